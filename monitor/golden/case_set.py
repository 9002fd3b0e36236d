"""Read a golden set from lines: one clear error a line, bounded; digests of cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from monitor.evaluators.configured import closest
from monitor.evaluators.suite import Suite
from monitor.golden.checks import check_fault
from schemas.config.fault_text import plain_text
from schemas.golden import CHECK_TYPES, GoldenCase

MAX_LINE_BYTES = 1 << 20
MAX_CASES = 20_000
MAX_FAULTS = 50
_FIELDS = ", ".join(GoldenCase.model_fields)


class CaseSet(NamedTuple):
    """Cases in the order of the file.

    ``faults``: (line number, message) of lines that are no case. ``lines``: case id -> line number.
    """

    cases: tuple[GoldenCase, ...]
    faults: tuple[tuple[int, str], ...]
    lines: dict[str, int]

    @property
    def active(self) -> tuple[GoldenCase, ...]:
        """The cases that a run asks: all but candidates."""
        return tuple(case for case in self.cases if case.status == "active")


def read_set(lines: Iterable[bytes]) -> CaseSet:
    """Read the lines of a set; empty lines are skipped.

    Args:
        lines: UTF-8 JSON objects. At most ``MAX_CASES`` cases and ``MAX_LINE_BYTES`` bytes a line are read;
            reading ends after ``MAX_FAULTS`` faults.

    >>> read_set([b'{"id": "a", "input": "Hi", "must_pas": true}']).faults
    ((1, "must_pas: no such field; did you mean 'must_pass'?"),)
    """
    cases: dict[str, GoldenCase] = {}
    line_of: dict[str, int] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(cases) == MAX_CASES:
            faults.append((number, f"a set has at most {MAX_CASES:,} cases; split the file"))
            break
        try:
            case = read_case(line)
            if case.id in cases:
                raise ValueError(f"id: {case.id!r} is also the id of line {line_of[case.id]}; rename one")
        except ValueError as error:
            faults.append((number, str(error)))
            if len(faults) == MAX_FAULTS:
                faults.append((number, f"reading ended after {MAX_FAULTS} faults"))
                break
            continue
        cases[case.id], line_of[case.id] = case, number
    return CaseSet(tuple(cases.values()), tuple(faults), line_of)


def read_case(line: bytes) -> GoldenCase:
    """Read one case.

    Raises:
        ValueError: it cannot be used; the message names the field and the remedy.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"the line has {len(line):,} bytes; at most {MAX_LINE_BYTES:,} are read; shorten it")
    try:
        tree = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}; write one JSON object a line") from None
    if not isinstance(tree, dict):
        raise ValueError('not an object; write one like {"id": "a", "input": "..."}')
    case = make_case(tree)
    _check_parts(case)
    return case


def make_case(tree: dict[str, Any]) -> GoldenCase:
    """Validate the fields of a case.

    Raises:
        ValueError: as ``read_case``.
    """
    try:
        return GoldenCase.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = _path(first["loc"])
        name = path.rpartition(".")[2]
        if first["type"] == "extra_forbidden":
            hint = closest(name, GoldenCase.model_fields) or f"; there are: {_FIELDS}"
            raise ValueError(f"{path}: no such field{hint}") from None
        if first["type"] == "literal_error" and name == "type":
            hint = closest(str(first["input"])[:40], CHECK_TYPES) or f"; there are: {', '.join(CHECK_TYPES)}"
            raise ValueError(f"{path}: no such check{hint}") from None
        if path.startswith("input"):
            raise ValueError(
                'input: write a text, a list of messages {"role", "content"}, or an object'
            ) from None
        text = plain_text(dict(first))
        raise ValueError(f"{path}: {text}" if path else text) from None


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _check_parts(case: GoldenCase) -> None:
    if case.evaluators is not None:
        try:
            Suite.from_settings(list(case.evaluators))
        except ValueError as error:
            raise ValueError(f"evaluators: {error}") from None
    for index, check in enumerate(case.checks):
        if fault := check_fault(check, case.reference):
            raise ValueError(f"checks[{index}].{fault}")


def case_digest(case: GoldenCase) -> str:
    """Return a digest of what decides a verdict: all but ``tags``, ``must_pass``, ``status``, ``origin``, ``note``."""
    return digest_of(
        case.model_dump(
            mode="json", exclude={"tags", "must_pass", "status", "origin", "note"}, exclude_defaults=True
        )
    )


def set_digest(cases: Iterable[GoldenCase]) -> str:
    """Return a digest of the active cases, whatever their order."""
    return digest_of(sorted((case.id, case_digest(case)) for case in cases if case.status == "active"))


def digest_of(value: Any) -> str:
    """Return 16 hexadecimal digits of SHA-256 of a JSON value.

    >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
