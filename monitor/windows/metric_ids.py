"""Metrics' names as records of state have them: what every pane counts as a small number, anything else as it
is.

Spelt out, names are a third of the record of a pane of 60 events. The order is part of the layout: names are
added at the end and never taken away.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

KNOWN = (
    "pass_rate", "error_rate", "feedback.acceptance_rate", "feedback.regeneration_rate",
    "evaluator.error.fail_rate", "evaluator.outcome.fail_rate", "evaluator.empty.fail_rate", "evaluator.refusal.fail_rate",
    "evaluator.truncation.fail_rate", "evaluator.content_filter.fail_rate", "evaluator.known_failure.fail_rate", "evaluator.json.fail_rate",
    "evaluator.json_schema.fail_rate", "evaluator.length.fail_rate", "evaluator.latency.fail_rate", "evaluator.repetition.fail_rate",
    "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "tool_calls", "input_chars", "output_chars",
    "duration_s", "time_to_first_token_s", "cost_usd", "feedback.edit_distance", "feedback.rating", "feedback.task_s",
    "response_model", "provider", "finish_reason", "error_type", "outcome", "guardrail", "fallback", "degradation_level",
    "input_language", "output_language",
)  # fmt: skip

Kept = Annotated[int, msgspec.Meta(ge=0, lt=len(KNOWN))] | str
"""A name as a record has it."""

_NUMBERS = {name: number for number, name in enumerate(KNOWN)}


def kept(name: str) -> int | str:
    """A name as a record has it.

    >>> kept("error_rate"), kept("stage.rank_s")
    (1, 'stage.rank_s')
    """
    return _NUMBERS.get(name, name)


def name_of(kept: int | str) -> str:
    """The name that a record means.

    >>> name_of(1), name_of("error_rate")
    ('error_rate', 'error_rate')
    """
    return kept if isinstance(kept, str) else KNOWN[kept]
