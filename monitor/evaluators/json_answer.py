"""Check that answers are JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec
from pydantic import Field

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.tool_turns import called_tools
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

_FENCED = re.compile(r"\s*```(?:json|JSON)?[ \t]*\r?\n(.*?)\r?\n?```\s*", re.DOTALL)


class JsonParameters(Parameters):
    """Parameters of the JSON evaluators."""

    fenced: bool = Field(False, description="Whether JSON in one Markdown code fence passes")


class JsonEvaluator(Evaluator):
    """Fails when the output is not exactly one JSON value (RFC 8259: no NaN, no comments, no other text).

    Runs only where configured.
    """

    name = "json"
    reads_text = True
    opt_in = True
    parameters_model = JsonParameters
    parameters: JsonParameters
    failure_text = "answers were not valid JSON"
    failing_example = {"output": 'Sure! {"total": 3}'}
    next_step = (
        "Hold a failing answer against the schema; compare prompt versions and models, roll back a new one."
    )

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the parser's message as reason."""
        verdict, _ = parse(event, self.parameters.fenced)
        return verdict


def parse(event: Any, fenced: bool) -> tuple[Verdict, Any]:
    """Parse the output as JSON; return a verdict, and the value if it passed, else None."""
    if event.error_type:
        return SKIPPED_ERROR, None
    output = event.output
    if output is None or (not output and called_tools(event)):
        return SKIPPED_NO_TEXT, None
    if fenced and (match := _FENCED.fullmatch(output)):
        output = match[1]
    try:
        return PASSED, msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeError) as error:
        return failed(f"not JSON: {error}"), None
    except RecursionError:
        return failed("not JSON: nested too deeply"), None
