"""A response that calls a tool needs no text, in whatever words its provider says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from schemas.event_decoder import decode

REASONS = ("tool_calls", "tool-calls", "FinishReason.TOOL_CALLS", "toolUse", "Tool Calls", "FUNCTION_CALL")
OTHERS = ("stop", "length", "zorp", "end_turn", "FinishReason.STOP", "content_filter", "")


def states(**fields: Any) -> dict[str, State]:
    event = {
        "event_id": "1",
        "time": "2026-03-02T09:00:00Z",
        "service": "s",
        "feature": "f",
        "model": "m",
        **fields,
    }
    suite = Suite.from_settings(["error", "empty", "json"])
    return dict(
        zip(suite.names, (v.state for v in suite.judge(decode(json.dumps(event).encode()))), strict=True)
    )


@pytest.mark.parametrize("reason", REASONS)
def test_a_response_that_calls_a_tool_is_neither_empty_nor_broken_json(reason: str) -> None:
    assert states(output="", finish_reason=reason)["empty"] == State.PASSED
    assert states(output="", finish_reason=reason)["json"] == State.SKIPPED


@pytest.mark.parametrize("reason", OTHERS)
def test_any_other_finish_reason_without_text_is_empty(reason: str) -> None:
    assert states(output="", finish_reason=reason)["empty"] == State.FAILED


@pytest.mark.parametrize(
    ("output", "reasoning", "expected"),
    [(40, 300, State.PASSED), (40, 30, State.PASSED), (40, 40, State.FAILED), (0, 300, State.FAILED)],
)
def test_thoughts_beside_the_output_are_not_taken_from_it(
    output: int, reasoning: int, expected: State
) -> None:
    fields = {"output_tokens": output, "reasoning_tokens": reasoning, "finish_reason": "stop"}
    assert states(**fields)["empty"] == expected
