"""Answers with Python: whole, broken, and texts around it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

GOOD = [
    "def total(prices):\n    return sum(prices)",
    "for name in names:\n    print(name)",
    "import csv\n\nwith open('a.csv', newline='') as file:\n    rows = list(csv.reader(file))",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n        self.items.append(item)",
    "squares = {n: n ** 2 for n in range(10) if n % 2}",
    "async def main():\n    await asyncio.sleep(1)\n\nasyncio.run(main())",
    "match command:\n    case ['go', place]:\n        go(place)\n    case _:\n        pass",
    "try:\n    value = int(text)\nexcept ValueError as error:\n    raise SystemExit(f'bad: {error}')",
    "result = (\n    frame.groupby('city')\n    .agg({'price': 'mean'})\n    .reset_index()\n)",
    "@app.get('/items/{item_id}')\ndef item(item_id: int, q: str | None = None) -> dict:\n    ...",
    "    def indented(self):\n        return self.value",
    ">>> add(1, 2)\n3\n>>> for x in [1]:\n...     print(x)\n...\n1",
    "!pip install pandas\nimport pandas as pd\n%matplotlib inline\nframe = pd.DataFrame()",
    "lambda x: x + 1",
    "print('Grüße', \"it's\", '''a\nb''')",
    "await client.get(url)",
    "return total / count",
    "# only a comment",
    "if (n := len(items)) > 10:\n    print(f'{n} items, {items[0]!r:>10}')",
    "assert 0x1F == 31 and 1_000 == 1e3",
]
BROKEN = [
    "def total(prices)\n    return sum(prices)",
    "for name in names:\nprint(name)",
    "print('hello",
    "values = [1, 2, 3",
    'print "hello"',
    "if x = 3:\n    pass",
    "class Stack:\n    def push(self, item):\n        self.items.append(item",
    "def f():\n    x = 1\n      y = 2",
    "return {'a': 1, 'b': }",
    "import pandas as\nframe = 1",
    "for i in range(10) {\n    print(i);\n}",
    "x = 5 +* 3",
    "def <function_name>(<arguments>):\n    pass",
    "else:\n    print('no')",
    "try:\n    risky()\nprint('done')",
    "with open('a') as f\n    f.read()",
    "def f(a, b=1, c):\n    return a",
    "exec 'code'",
    "raise ValueError, 'bad'",
    "while True\n    break",
    "{'a': 1, 'a' 2}",
    "lambda x: return x",
    "from math import (sqrt, pi",
    "print('a' 'b' c)",
    "x == 1 if else 2",
]
OTHER = [
    ("js", "const total = (prices) => prices.reduce((a, b) => a + b, 0);"),
    ("sql", "SELECT city, AVG(price) FROM offers GROUP BY city;"),
    ("bash", "pip install pandas && python main.py"),
    ("json", '{"a": [1, 2]}'),
    ("", 'Traceback (most recent call last):\n  File "a.py", line 1'),
    ("text", "def is a keyword of Python ("),
    ("yaml", "on: [push]\njobs: {}"),
    ("html", "<p>def x(</p>"),
]
LEADS = [
    "Here is the function:",
    "You can do it like this.",
    "Sure. This reads the file and returns its rows:",
    "So geht es:",
    "The bug is in the loop; write",
    "",
]
TAILS = ["", "It takes linear time.", "Let me know if you need tests.", "`total([])` is 0."]


def code(draw: random.Random) -> Iterator[dict[str, Any]]:
    """One or two blocks with text around them; a broken one makes the answer fail."""
    while True:
        blocks, broken, has_python = [], False, False
        for _ in range(draw.choice([1, 1, 2])):
            kind = draw.random()
            if kind < 0.42:
                blocks.append(
                    _block(draw, draw.choice(["python", "py", "Python", "python3"]), draw.choice(GOOD))
                )
                has_python = True
            elif kind < 0.8:
                blocks.append(_block(draw, draw.choice(["python", "py"]), draw.choice(BROKEN)))
                broken = has_python = True
            else:
                blocks.append(_block(draw, *draw.choice(OTHER)))
        parts = [draw.choice(LEADS), *blocks, draw.choice(TAILS)]
        yield {"output": "\n\n".join(part for part in parts if part), "fails": broken if has_python else None}


def _block(draw: random.Random, name: str, text: str) -> str:
    fence = draw.choice(["```", "```", "~~~", "````"])
    return f"{fence}{name}\n{text}\n{fence}"
