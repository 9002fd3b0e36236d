"""Check that answers are JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn

import msgspec
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


def decode_json(text: str) -> tuple[Verdict, Any]:
    """Decode exactly one JSON value; return a verdict, and the value if it passed, else None."""
    try:
        return PASSED, msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        try:  # RFC 8259 allows a lone surrogate, which msgspec refuses
            return PASSED, json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return failed(f"not JSON: {error}"), None
    except RecursionError:
        return failed("not JSON: nested too deeply"), None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
