"""Check that answers are JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection
from math import copysign, isfinite
from typing import Any, NamedTuple, NoReturn

import msgspec
import numpy as np
from pydantic import Field

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.verdict import (
    PASSED,
    SKIPPED_CANCELLED,
    SKIPPED_ERROR,
    SKIPPED_NO_TEXT,
    Verdict,
    failed,
    skipped,
)
from monitor.normal_form.finish_reason import Finish, called_tools, finish_of

# CommonMark: three or more backticks or tildes, any label; the closing fence is at least as long
_OPENING_FENCE = re.compile(r"(`{3,}|~{3,})[^\n`]*\n")
MAX_DEPTH = 1_000
"""Most arrays and objects around a value."""
_SHALLOW = 100
"""Depth that needs no measuring and no care."""
_MAX_DIGITS = 40
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^][{}]+")
_OPEN_ARRAY, _OPEN_OBJECT = b"[{"
_LARGE_INTEGER = re.compile(r"[0-9]{19,}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
SKIPPED_TOO_LARGE = skipped("too large")
_SKIPPED_TOOL_CALL = skipped("a tool call beside its text")


class JsonParameters(Parameters):
    """Parameters of the JSON evaluators."""

    fenced: bool = Field(False, description="Whether JSON in one Markdown code fence passes")


class JsonEvaluator(Evaluator):
    """Fails when the output is not exactly one JSON value (RFC 8259: no NaN, no comments, no other text).

    Skipped for a call of a tool, unless its text begins like JSON. Runs only where configured.
    """

    name = "json"
    version = "2"
    reads_text = True
    opt_in = True
    parameters_model = JsonParameters
    parameters: JsonParameters
    failure_text = "answers were not valid JSON"
    failing_example = {"output": 'Sure! {"total": 3}'}
    next_step = "Read a failing answer; compare prompt versions and models, roll back a new one."

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the parser's message as reason."""
        verdict, _ = parse(event, self.parameters.fenced)
        return verdict


def parse(event: Any, fenced: bool) -> tuple[Verdict, Any]:
    """Parse the output as JSON; return a verdict, and the value if it passed, else None."""
    if event.error_type:
        return SKIPPED_ERROR, None
    output = event.output
    if output is None:
        return SKIPPED_NO_TEXT, None
    output = output.removeprefix("\ufeff")
    text = output.lstrip()
    if not text and finish_of(event.finish_reason) is Finish.CANCELLED:
        return SKIPPED_CANCELLED, None
    if not text.startswith(("{", "[", "`")) and called_tools(event):
        return (_SKIPPED_TOOL_CALL if text else SKIPPED_NO_TEXT), None
    return decode_json(_without_fence(output) if fenced else output)


def _without_fence(text: str) -> str:
    """Return what stands in the one fence that is the whole text; another text as it is."""
    stripped = text.strip()
    opening = _OPENING_FENCE.match(stripped)
    if opening is None:
        return text
    content = stripped[opening.end() :]
    inside = content.rstrip(opening[1][0])
    return inside if len(content) - len(inside) >= len(opening[1]) else text


class JsonSize(NamedTuple):
    """Upper bounds of what a JSON text holds: ``values``, and integers beyond 64 bits; ``chars`` is exact."""

    values: int
    chars: int
    large_integers: int

    @classmethod
    def measure(cls, text: str) -> JsonSize:
        """Measure a text.

        >>> JsonSize.measure('{"a": [1, 2]}')
        JsonSize(values=4, chars=13, large_integers=0)
        """
        values = 1 + text.count(",") + text.count("[") + text.count("{")
        return cls(values, len(text), sum(1 for _ in _LARGE_INTEGER.finditer(text)))


def decode_json(text: str) -> tuple[Verdict, Any]:
    """Decode exactly one JSON value; return a verdict, and the value if it passed, else None."""
    depth = 0
    if text.count("[") + text.count("{") > _SHALLOW:
        depth, closed = _nesting(text)
        if depth > MAX_DEPTH:
            return (SKIPPED_TOO_LARGE if closed else failed("not JSON: nested without end")), None
    limit = sys.getrecursionlimit()
    if depth > _SHALLOW:
        sys.setrecursionlimit(limit + 2 * MAX_DEPTH)  # the same verdict wherever the caller stands
    try:
        return _decode(text)
    finally:
        if depth > _SHALLOW:
            sys.setrecursionlimit(limit)


def _decode(text: str) -> tuple[Verdict, Any]:
    try:
        return PASSED, msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        # RFC 8259 allows a lone surrogate and numbers of any size, which msgspec refuses
        try:
            value = _loads(text)
            if _SURROGATE.search(text):
                value = _loads(_ESCAPE.sub(_without_lone_surrogate, text).encode("utf-8", "replace"))
            return PASSED, value
        except ValueError:
            return failed(f"not JSON: {error}"), None


def _loads(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_decimal)


def _nesting(text: str) -> tuple[int, bool]:
    """Return the greatest depth of arrays and objects, and whether all of them are closed."""
    marks = np.frombuffer(_NO_BRACKETS.sub("", _STRING.sub("", text)).encode(), np.uint8)
    depth = np.cumsum(np.where((marks == _OPEN_ARRAY) | (marks == _OPEN_OBJECT), 1, -1))
    return (int(depth.max()), int(depth[-1]) == 0) if len(depth) else (0, True)


def _without_lone_surrogate(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["lone"] else escape[0]


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else _decimal(digits)


def _decimal(digits: str) -> float:
    """Return a number beyond the range of floats as the greatest one: it is a number, and no infinity."""
    number = float(digits)
    return number if isfinite(number) else copysign(sys.float_info.max, number)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
