"""What an import read: cases, and what could not be mapped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import yaml

from monitor.golden.case_set import MAX_CASES, make_case
from monitor.golden.checks import check_fault
from schemas.config.yaml_text import read_yaml
from schemas.golden import Check, GoldenCase

_NOT_ID = re.compile(r"[^\w.\-]+")


class Imported:
    """Cases and notes of an import.

    Attributes:
        cases: in the order of the source.
        notes: (place, what was not imported and why).
        checks, mapped: number of expectations in the source, and of those imported.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[GoldenCase] = []
        self.notes: list[tuple[str, str]] = []
        self.checks = self.mapped = 0
        self._ids: set[str] = set()

    def note(self, place: str, text: str) -> None:
        """Note what was not imported."""
        self.notes.append((place, text))

    def new_id(self, wanted: str = "") -> str:
        """Return an id that no case has yet."""
        stem = _NOT_ID.sub("-", wanted).strip("-")[:100] if wanted else ""
        number = len(self.cases) + 1
        case_id = stem or f"{self.name}-{number:04}"
        while case_id in self._ids:
            number += 1
            case_id = f"{stem or self.name}-{number:04}"
        self._ids.add(case_id)
        return case_id

    def add(self, place: str, wanted_id: str = "", **fields: Any) -> None:
        """Add a case; a case that a set cannot have is a note."""
        if len(self.cases) >= MAX_CASES:
            if not self.notes or self.notes[-1][1] != "a set is full":
                self.note(place, "a set is full")
            return
        tree = {name: value for name, value in fields.items() if value not in (None, "", [], {}, ())}
        try:
            self.cases.append(make_case({"id": self.new_id(wanted_id), "input": fields.get("input"), **tree}))
        except ValueError as error:
            self.note(place, f"no case: {error}")

    def check(self, place: str, tree: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a check if it can be used; else note why and return None. Counts as one expectation."""
        try:
            check = Check.model_validate(tree)
        except ValueError:
            self.note(place, f"{tree.get('type')}: value or threshold has a wrong type")
            return None
        if fault := check_fault(check):
            self.note(place, f"{tree.get('type')}: {fault}")
            return None
        return dict(tree)


def read_tree(text: str) -> Any:
    """Read YAML, within the limits of a configuration, to values that JSON has.

    Raises:
        ValueError: it is no YAML, or exceeds a limit.

    >>> read_tree("{2026-11-30: .nan, yes: [1]}")
    {'2026-11-30': 'nan', 'True': [1]}
    """
    try:
        return plain_tree(read_yaml(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is no YAML: {error}") from None


def plain_tree(value: Any) -> Any:
    """Return a value with dates and other values that JSON has not as text."""
    if isinstance(value, dict):
        return {str(key): plain_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain_tree(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def as_text(value: Any) -> str | None:
    """Return a reference answer as text; None if there is none.

    >>> as_text(["Paris"]), as_text({"a": 1}), as_text(None)
    ('Paris', '{"a": 1}', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if isinstance(value, dict) and set(value) in ({"output"}, {"answer"}, {"text"}, {"expected"}):
        return as_text(next(iter(value.values())))
    return json.dumps(value, ensure_ascii=False)


def as_input(value: Any) -> Any:
    """Return an input of another tool as a case has it: text, messages or object; None if it is none.

    >>> as_input([{"role": "user", "content": "Hi", "name": "x"}])
    [{'role': 'user', 'content': 'Hi'}]
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(m, dict) and "role" in m for m in value):
        return [{"role": str(m["role"]), "content": m.get("content")} for m in value]
    if isinstance(value, dict):
        if set(value) in ({"input"}, {"question"}, {"query"}, {"prompt"}, {"messages"}):
            return as_input(next(iter(value.values())))
        return value
    return None
