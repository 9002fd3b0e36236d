"""Types of the keyword arguments of ``Softfail``'s methods.

With these a type checker finds a misspelt field in the service. A test compares them with the event models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict


class EventFields(TypedDict, total=False):
    """Fields of every kind of event. ``None`` counts as absent."""

    event_id: str | None
    time: datetime | None
    service: str | None
    feature: str | None
    environment: str | None
    model: str | None
    prompt_version: str | None
    variant: str | None
    dimensions: dict[str, str] | None
    sample_probability: float | None
    base_probability: float | None
    schema_version: int | None


class ResponseFields(EventFields, total=False):
    """Fields of ``response``, ``call`` and ``watch``."""

    provider: str | None
    response_model: str | None
    operation: str | None
    input: str | None
    output: str | None
    context: str | None
    content_probability: float | None
    input_chars: int | None
    output_chars: int | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    tool_calls: int | None
    duration_s: float | None
    time_to_first_token_s: float | None
    stages_s: dict[str, float] | None
    finish_reason: str | None
    error_type: str | None
    attempt: int | None
    cost_usd: float | None
    interaction: Literal["sync", "progressive", "async"] | None
    cold_start: bool | None
    cache_hit: bool | None
    outcome: Literal["ok", "parse_error", "schema_error", "downstream_error"] | None
    guardrail: Literal["none", "flagged", "blocked"] | None
    fallback: Literal["none", "model", "cache", "template", "omitted"] | None
    degradation_level: int | None
    session_id: str | None
    trace_id: str | None
    span_id: str | None
    service_version: str | None


class FeedbackFields(EventFields, total=False):
    """Fields of ``feedback``."""

    response_id: str | None
    accepted: bool | None
    edit_distance: float | None
    regenerated: bool | None
    rating: float | None
    task_s: float | None
    outcome: str | None


class EvaluationFields(EventFields, total=False):
    """Fields of ``evaluation``."""

    response_id: str | None
    evaluator: str | None
    evaluator_version: str | None
    judge_labels: str | None
    passed: bool | None
    score: float | None
    reason: str | None
