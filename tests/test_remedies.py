"""The list of remedies matches the tree. That tests detect each removal: ``python tests/remedies.py``."""

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


removals = load()
REMOVALS = removals.REMOVALS


def removal(old, new):
    return removals.Removal("a name", "a row", "a/file.py", old, new, ("a/test.py::test",))


@pytest.mark.parametrize(
    "text",
    [
        "f(a=1, b='x' 'y', c=[2])\n",
        'f(\n    a=1,\n    b="x"  # why\n    "y",\n    c=[\n        2,\n    ],\n)\n',
        'f(a=1, b="xy", c=[2,])\n',
    ],
)
def test_code_is_found_with_any_formatting(text):
    changed = removal("b='xy',\n  c=[2]", "d=3").apply(text)
    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse("f(a=1, d=3)"))


def test_code_that_does_not_occur_exactly_once_is_refused():
    with pytest.raises(ValueError, match="contains its code 0 times"):
        removal("ab()", "").apply("a()\nb()\n")
    with pytest.raises(ValueError, match="contains its code 2 times"):
        removal("b()", "").apply("b()\nb()\n")
    with pytest.raises(ValueError, match="contains its code 0 times"):
        removal("", "x").apply("b()\n")


def test_replacement_lines_are_indented_like_the_code():
    text = "try:\n    a()\nexcept E:\n    b()\n"
    changed = removal("a()\nexcept E:", "    if x:\n        a()\nexcept F:").apply(text)
    assert changed == "try:\n    if x:\n        a()\nexcept F:\n    b()\n"


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_each_removed_code_occurs_exactly_once_and_the_rest_is_valid_python(removal):
    text = (ROOT / removal.file).read_text("utf-8")
    without = removal.apply(text)
    assert ast.dump(ast.parse(without)) != ast.dump(ast.parse(text))


def functions_of(path: Path) -> set[str]:
    """The functions of a module, and those of contracts of which it imports all (``import *``)."""
    functions: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            functions.add(node.name)
        elif isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["*"]:
            assert node.module is not None
            functions |= functions_of(ROOT / f"{node.module.replace('.', '/')}.py")
    return functions


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_the_named_tests_exist(removal):
    assert removal.tests
    for test in removal.tests:
        path, name = test.split("::")
        assert name.split("[")[0] in functions_of(ROOT / path), test


def test_names_are_unique_and_every_row_and_rule_of_the_design_has_a_remedy():
    names = [removal.name for removal in REMOVALS]
    assert len(set(names)) == len(names)
    named = {
        f"{part} {number}"
        for removal in REMOVALS
        for part, numbers in re.findall(r"(Faust|state) ((?:\d+(?:, )?)+)", removal.row)
        for number in re.findall(r"\d+", numbers)
    }
    assert named >= {f"Faust {row}" for row in range(1, 15)} | {f"state {rule}" for rule in range(1, 9)}
