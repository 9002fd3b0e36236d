"""docs/producer.md against the SDK."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from softfail.__main__ import parser
from softfail.options import Options

PAGE = (Path(__file__).parents[2] / "docs" / "producer.md").read_text(encoding="utf-8")
PLACEHOLDERS = ["<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>", "<SSN>", "<IP>", "<SECRET>"]
REASONS = ["queue full", "invalid", "used wrongly", "too large", "not delivered", "refused", "closed"]


@pytest.mark.parametrize("name", [*Options.model_fields, *PLACEHOLDERS, *REASONS])
def test_every_option_placeholder_and_reason_is_in_a_table(name: str) -> None:
    assert f"\n| `{name}` |" in PAGE


def test_the_first_example_prints_the_documented_counts(
    fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    exec(example[1], {})
    printed = capsys.readouterr().out.strip()
    assert printed.startswith("{'seen': 1")
    assert f"`{printed}`" in PAGE


def test_every_option_of_publish_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["publish", "--help"])
    options = set(re.findall(r"--[a-z-]+|-X", capsys.readouterr().out)) - {"--help"}
    assert options >= {"--speed", "--topic", "-X"}
    assert {option for option in options if option not in PAGE} == set()


def test_every_link_inside_the_page_has_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([a-z-]+)\)", PAGE))
    assert links
    assert links <= headings
