"""The list of remedies stays true to the tree. That each is missed: ``python tests/remedies.py``."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("removals", ROOT / "tests" / "removals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REMOVALS = load().REMOVALS


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_what_is_taken_out_is_there_exactly_once_and_the_rest_is_still_python(removal):
    text = (ROOT / removal.file).read_text("utf-8")
    assert text.count(removal.old) == 1
    assert removal.old != removal.new
    ast.parse(text.replace(removal.old, removal.new))


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_the_tests_that_are_named_exist(removal):
    assert removal.tests
    for test in removal.tests:
        path, name = test.split("::")
        functions = {
            node.name
            for node in ast.parse((ROOT / path).read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef)
        }
        assert name.split("[")[0] in functions, test


def test_names_are_given_once_and_every_row_and_rule_of_the_design_has_a_remedy():
    names = [removal.name for removal in REMOVALS]
    assert len(set(names)) == len(names)
    named = {
        f"{part} {number}"
        for removal in REMOVALS
        for part, numbers in re.findall(r"(Faust|state) ((?:\d+(?:, )?)+)", removal.row)
        for number in re.findall(r"\d+", numbers)
    }
    assert named >= {f"Faust {row}" for row in range(1, 15)} | {f"state {rule}" for rule in range(1, 9)}
