"""The format of an answer."""

from __future__ import annotations

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ingest import text_format as module
from monitor.ingest.text_format import FORMATS, text_format

TEXTS = {
    "empty": ("", " \n\t", "\u200b\ufeff", "<think>Nothing to say.</think>\n"),
    "json": (
        '{"total": 3}',
        ' {\n "items": [1, 2],\n "name": "Anna"\n}\n',
        "[]",
        "[1, 2, 3]",
        '[{"id": 1}, {"id": 2}]',
        '{"id": 1}\n{"id": 2}',
        '{"answer": "the text was cut he',
        "{'total': 3}",
        '<think>The user wants JSON.</think>{"total": 3}',
        json.dumps({"items": ["word"] * 5000}),
    ),
    "code_fence": (
        "```python\nprint(1)\n```",
        "```\nplain\n```",
        '```json\n{"total": 3}\n```',
        "Here is the function:\n\n```js\nconst a = 1;\n```\n\nIt returns 1.",
        "1. Run this:\n   ```sh\n   ls\n   ```\n",
        "~~~\na\n~~~",
        "```sql\nSELECT 1",
    ),
    "table": (
        "| name | price |\n|---|---:|\n| tea | 3 |",
        "name | price\n--- | ---\ntea | 3",
        "The prices are:\n\n| name | price |\n| :--- | :--- |\n| tea | 3 |\n",
    ),
    "code": (
        "def add(a, b):\n    return a + b",
        "for row in table:\n    print(row)",
        "total = sum(x * x for x in values)",
        "names = sorted(people, key=str.lower)",
        "import os\n\nprint(os.getcwd())",
        "from pathlib import Path\n# the folder\nhome = Path.home()",
        "class Solution:\n    def twoSum(self, nums, target):\n        seen = {}\n        return []",
        "const sum = (a, b) => a + b;",
        "function add(a, b) {\n  return a + b;\n}",
        "SELECT name FROM users WHERE id = 3",
        "select id, name from users order by name",
        "SELECT\n  name,\n  city\nFROM users\nWHERE id = 3;",
        "#include <stdio.h>\nint main() {\n  return 0;\n}",
        "<ul>\n  <li>tea</li>\n  <li>milk</li>\n</ul>",
        "while True:\n    step()",
        "x, y = y, x",
        "if not items:\n    return None",
        "# adds two numbers\nadd = lambda a, b: a + b",
        "print(row)",
        "return a + b",
    ),
    "headings": (
        "# Order\n\nIt ships on Tuesday.",
        "## Steps\n\n1. Open Settings\n2. Press Return",
        "Here is the answer.\n\n### Why\nBecause it rained.",
    ),
    "list": (
        "- tea\n- milk",
        "You need:\n\n* tea\n* milk\n* sugar\n\nEnjoy!",
        "1. Open Settings.\n2. Press Return.\n3. Wait.",
        "a) tea\nb) milk",
        "• Tee\n• Milch",
    ),
    "prose": (
        "Paris is the capital of France.",
        "Yes",
        "(A).",
        "42",
        "[No]",
        "C. Somewhat worried",
        "I'm sorry, but I can't help with that.",
        "Use `sorted` for that; it returns a list.",
        "Select the item from the menu.",
        "From Monday to Friday we are open from 8 to 18.",
        "Your order was shipped on Tuesday (by train) and arrives on Friday.",
        "Here are the prices (in euros):",
        "If you want to return it, write to us.\n\nFor all else, call us.",
        "Where is it? In the box; look there.",
        "for the last year we saw rain\nwith wind from the west\nand so on",
        'The answer is {"total": 3}.',
        '{"total": 3}\n\nThis is the total.',
        "[1] The first source says so.",
        "[[Berlin]] is a city.",
        "{{ customer_name }}, thank you.",
        "Let me know if you (or others) need help.",
        "Ihr Paket wurde heute Morgen an den Zusteller übergeben und kommt am Donnerstag.",
        "您的订单已于星期二发货，将于星期五送达。",
        "Price - 3 | Weight - 2",
        "Function words are short (like and, or).",
        "Import duties apply to parcels from abroad.",
        "#1 in sales this year",
        "Dear customer,\n\nYour parcel is here.\n\nKind regards,\nAnna",
    ),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts])
def test_a_text_has_the_format_that_a_reader_would_name(name: str, text: str) -> None:
    assert text_format(text) == name


def test_every_format_has_examples() -> None:
    assert set(TEXTS) == set(FORMATS)


SAMPLES = [text for texts in TEXTS.values() for text in texts]


@given(
    st.text() | st.lists(st.sampled_from([*SAMPLES, "\n", " ", "|", "-", "`", "#", "{", '"'])).map("".join)
)
def test_any_text_has_one_format_and_surrounding_blanks_do_not_matter(text: str) -> None:
    name = text_format(text)
    assert name in FORMATS
    assert text_format(f"\n  \n{text.strip()}\n ") == name


@given(st.sampled_from([text for name in ("list", "prose", "headings", "table") for text in TEXTS[name]]))
def test_a_fence_around_any_text_makes_it_a_fence(text: str) -> None:
    assert text_format(f"```\n{text}\n```") == "code_fence"


@given(st.text("[{(\"'|-# \n=:;ab", min_size=1, max_size=3))
def test_lines_beyond_the_limit_do_not_matter(part: str) -> None:
    """The time is bounded, so what is not read cannot decide: fences and the ends of JSON are searched."""
    begin = "The answer is long. " * (module.MAX_CHARS // 20 + 1)
    assert text_format(begin + part * 50_000) == "prose"


def test_the_doctest_passes() -> None:
    assert doctest.testmod(module) == (0, 2)
