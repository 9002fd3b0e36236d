"""What an evaluator of your own needs: the response that it gets, and the verdict that it returns.

An evaluator is a function of one ``ModelResponse``, or a class whose instances can be called with one. It
returns a ``Verdict``, or a bool (whether the response passes). docs/own-evaluators.md has a complete example;
``softfail.testing`` runs one as a worker does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

FINISH_REASONS = (
    "",
    "stop",
    "length",
    "tool_call",
    "content_filter",
    "refusal",
    "error",
    "cancelled",
    "unknown",
)
"""Finish reasons of a response in normal form; empty: its service sent none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponse:
    """One response of a model in normal form, whatever its provider.

    ``output`` is the answer without the thoughts of a reasoning model. ``finish_reason`` is one of
    ``FINISH_REASONS``. What a service did not send is None, empty or ``{}``. docs/events.md explains each field.
    Responses of failed calls are not evaluated.
    """

    event_id: str
    output: str | None = None
    input: str | None = None
    context: str | None = None
    finish_reason: str = ""
    service: str = ""
    feature: str = ""
    environment: str = "production"
    model: str = ""
    response_model: str = ""
    provider: str = ""
    operation: str = ""
    prompt_version: str = ""
    variant: str = ""
    service_version: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    tool_calls: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_s: float | None = None
    time_to_first_token_s: float | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    cost_usd: float | None = None
    interaction: str | None = None
    outcome: str | None = None
    fallback: str | None = None
    session_id: str = ""
    trace_id: str = ""


class Verdict(NamedTuple):
    """The verdict on one response. Make one with ``passed``, ``failed`` or ``skipped``.

    ``state``: ``error`` is the state of an evaluation that broke; an evaluator raises an exception instead of
    returning it. ``reason``: at most 500 characters are kept. ``score``: a number between -10⁹ and 10⁹.

    >>> Verdict("failed", "no source", 0.0).state
    'failed'
    """

    state: Literal["passed", "failed", "skipped", "error"]
    reason: str = ""
    score: float | None = None


def passed(score: float | None = None) -> Verdict:
    """Return the verdict on a response that passes."""
    return Verdict("passed", "", score)


def failed(reason: str, score: float | None = None) -> Verdict:
    """Return the verdict on a response that fails. ``reason``: why, for the person who reads the response."""
    return Verdict("failed", reason, score)


def skipped(reason: str) -> Verdict:
    """Return the verdict on a response to which the evaluator does not apply.

    ``reason``: from a small set of texts, because skips are counted by reason.
    """
    return Verdict("skipped", reason)
