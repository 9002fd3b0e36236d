"""Names of metrics in state records: the usual ones as small numbers, any other as it is.

Written out, names take a third of the record of a pane of 60 events.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

METRIC_NAMES = (
    "pass_rate",
    "error_rate",
    "feedback.acceptance_rate",
    "feedback.regeneration_rate",
    "evaluator.error.fail_rate",
    "evaluator.outcome.fail_rate",
    "evaluator.empty.fail_rate",
    "evaluator.refusal.fail_rate",
    "evaluator.truncation.fail_rate",
    "evaluator.content_filter.fail_rate",
    "evaluator.known_failure.fail_rate",
    "evaluator.json.fail_rate",
    "evaluator.json_schema.fail_rate",
    "evaluator.length.fail_rate",
    "evaluator.latency.fail_rate",
    "evaluator.repetition.fail_rate",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "tool_calls",
    "input_chars",
    "output_chars",
    "duration_s",
    "time_to_first_token_s",
    "cost_usd",
    "feedback.edit_distance",
    "feedback.rating",
    "feedback.task_s",
    "response_model",
    "provider",
    "finish_reason",
    "error_type",
    "outcome",
    "guardrail",
    "fallback",
    "degradation_level",
    "input_language",
    "output_language",
)
"""Append only: the position of a name is its number in state records."""

MetricId = Annotated[int, msgspec.Meta(ge=0, lt=len(METRIC_NAMES))] | str
"""A name as a state record stores it."""

_NUMBERS = {name: number for number, name in enumerate(METRIC_NAMES)}


def metric_id(name: str) -> int | str:
    """Return the form of a name in a state record: its number, or the name if it has none.

    >>> metric_id("error_rate"), metric_id("stage.rank_s")
    (1, 'stage.rank_s')
    """
    return _NUMBERS.get(name, name)


def metric_name(stored: int | str) -> str:
    """Return the name that a state record stores as ``stored``.

    >>> metric_name(1), metric_name("error_rate")
    ('error_rate', 'error_rate')
    """
    return stored if isinstance(stored, str) else METRIC_NAMES[stored]
