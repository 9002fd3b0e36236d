from __future__ import annotations

from pathlib import Path

import pytest

from softfail.options import Options

PAGE = (Path(__file__).parents[2] / "docs" / "producer.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [*Options.model_fields, "<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>", "<SSN>", "<IP>", "<SECRET>"]
)
def test_every_option_and_placeholder_is_in_the_table(name: str) -> None:
    assert f"\n| `{name}` |" in PAGE
