"""Failing responses that are kept to be looked at: redacted, cut, and few."""

from __future__ import annotations

from typing import Any

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import Verdict
from schemas.times import microseconds, rfc3339
from softfail.redact import redact

A_PANE = 10  # failing responses kept of one segment and pane
AN_EVALUATOR = 3  # of those, shown with an episode
TEXT_CHARS = 4_000
EXCERPT_CHARS = 280


def sample(
    event: Any, failed: list[tuple[int, Verdict]], suite: Suite, partition: int, offset: int
) -> dict[str, Any]:
    """A failing response as the samples topic has it."""
    return {
        "record": "sample",
        "event_id": event.event_id,
        "time": rfc3339(microseconds(event.time)),
        "service": event.service,
        "feature": event.feature,
        "environment": event.environment,
        "model": event.model,
        "prompt_version": event.prompt_version,
        "variant": event.variant,
        "dimensions": dict(event.dimensions),
        "failed": {suite.names[index]: redact(verdict.reason) for index, verdict in failed},
        "input": _cut(event.input),
        "output": _cut(event.output),
        "context": _cut(event.context),
        "error_type": event.error_type,
        "finish_reason": event.finish_reason,
        "trace_id": event.trace_id,
        "partition": partition,
        "offset": offset,
    }


def example(kept: dict[str, Any], evaluator: str) -> dict[str, Any]:
    """The same as a page shows it."""
    output = kept["output"]
    if output is not None and len(output) > EXCERPT_CHARS:
        output = output[: EXCERPT_CHARS - 1] + "…"
    return {
        "event_id": kept["event_id"],
        "time": kept["time"],
        "model": kept["model"],
        "evaluator": evaluator,
        "reason": kept["failed"][evaluator][:EXCERPT_CHARS],
        "output": output,
    }


def chosen(examples: dict[str, list[dict[str, Any]]], metrics: list[str]) -> list[dict[str, Any]]:
    """Up to three examples for the metrics of an episode's incidents, different ones, those of the named
    evaluators first.
    """
    wanted = [
        "error" if metric == "error_rate" else metric.split(".")[1]
        for metric in metrics
        if metric == "error_rate" or metric.startswith("evaluator.")
    ]
    found: dict[str, dict[str, Any]] = {}
    for evaluator in [*wanted, *(sorted(examples) if "pass_rate" in metrics else ())]:
        for one in reversed(examples.get(evaluator, ())):
            found.setdefault(one["event_id"], one)
    return list(found.values())[:AN_EVALUATOR]


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    # redacted before it is cut: half a card number is recognised by nobody
    redacted = redact(text[: TEXT_CHARS + EXCERPT_CHARS])
    return redacted if len(redacted) <= TEXT_CHARS else redacted[: TEXT_CHARS - 1] + "…"
