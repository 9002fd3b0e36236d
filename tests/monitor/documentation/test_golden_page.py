"""docs/golden.md names what the code has, and its examples are valid."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from monitor.cli.golden.run_options import add_comparison_options, add_run_options
from monitor.golden.case_set import read_case
from monitor.golden.importers import FORMATS
from schemas.golden import CHECK_TYPES, GoldenCase

PAGE = (Path(__file__).parents[3] / "docs" / "golden.md").read_text("utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))
CASES = [line for line in PAGE.splitlines() if line.startswith('{"id"')]


def options_of_run() -> list[str]:
    parser = argparse.ArgumentParser()
    add_run_options(parser)
    add_comparison_options(parser)
    return [action.option_strings[-1] for action in parser._actions if action.option_strings]


@pytest.mark.parametrize("name", [*CHECK_TYPES, *GoldenCase.model_fields, *FORMATS])
def test_every_check_field_and_format_is_on_the_page(name: str) -> None:
    assert name in NAMED


@pytest.mark.parametrize("option", options_of_run())
def test_every_option_of_run_is_on_the_page(option: str) -> None:
    assert option == "--help" or re.search(rf"{option}\b", PAGE)


@pytest.mark.parametrize("line", CASES)
def test_every_example_of_a_case_is_a_case(line: str) -> None:
    assert read_case(line.encode()).id
    assert len(CASES) >= 2
