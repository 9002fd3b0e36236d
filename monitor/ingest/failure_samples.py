"""Failure samples: failing responses that are kept for people to read; few, redacted and cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import Verdict
from monitor.ingest.aggregation import Failures
from monitor.ingest.batch import Chunk
from monitor.protocol.examples import Example
from monitor.protocol.messages import OutputRecord
from monitor.windows.metric_definitions import evaluator_of_metric
from schemas.times import microseconds, rfc3339
from softfail.redact import redact

A_PANE = 10  # failing responses kept of one segment and pane
AN_EVALUATOR = 3  # of those, shown with an episode
TEXT_CHARS = 4_000
EXCERPT_CHARS = 280
_MARGIN_CHARS = 1024
"""Longer than anything that redaction must see whole."""


class SampleRecord(OutputRecord, frozen=True, kw_only=True, tag="sample"):
    """A failing response. ``failed``: evaluator -> reason."""

    event_id: str
    time: str
    service: str
    feature: str
    environment: str
    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]
    failed: dict[str, str]
    input: str | None
    output: str | None
    context: str | None
    error_type: str
    finish_reason: str
    session_id: str
    trace_id: str
    partition: int
    offset: int


def sample(
    event: Any, failed: Sequence[tuple[int, Verdict]], suite: Suite, partition: int, offset: int
) -> SampleRecord:
    """Build the sample of a failing response.

    Args:
        event: a decoded ``response``.
        failed: (index of the evaluator in the suite, its verdict), of those that failed.
        suite: that judged it.
        partition: of the event.
        offset: of the event.
    """
    return SampleRecord(
        event_id=event.event_id,
        time=rfc3339(microseconds(event.time)),
        service=event.service,
        feature=event.feature,
        environment=event.environment,
        model=event.model,
        prompt_version=event.prompt_version,
        variant=event.variant,
        dimensions=dict(event.dimensions),
        failed={suite.names[index]: redact(verdict.reason) for index, verdict in failed},
        input=_cut(event.input),
        output=_cut(event.output),
        context=_cut(event.context),
        error_type=redact(event.error_type),
        finish_reason=redact(event.finish_reason),
        session_id=redact(event.session_id),
        trace_id=event.trace_id,
        partition=partition,
        offset=offset,
    )


def sample_failures(chunk: Chunk, failures: Failures, partition: int) -> list[tuple[int, SampleRecord]]:
    """Return the first failing responses of each pane as failure samples, each with its offset.

    They become examples of the feature too, for pages.

    Args:
        chunk: the responses.
        failures: index of a response in the chunk -> its failed evaluators.
        partition: of the events topic.
    """
    samples = []
    for index, failed in failures.items():
        group, suite = chunk.groups[chunk.group_of[index]], chunk.suite
        gating = [(number, verdict) for number, verdict in failed if suite.gating[number]]
        if not gating or group.pane.samples >= A_PANE:
            continue
        group.pane.samples += 1
        offset = chunk.records[index].offset
        record = sample(chunk.events[index], gating, suite, partition, offset)
        samples.append((offset, record))
        for number, _ in () if group.is_late else gating:
            examples = group.feature.examples.setdefault(suite.names[number], [])
            examples.append(example(record, suite.names[number]))
            del examples[:-AN_EVALUATOR]
    return samples


def example(record: SampleRecord, evaluator: str) -> Example:
    """Cut a sample to what a page shows of one evaluator's failure."""
    return {
        "event_id": record.event_id,
        "time": record.time,
        "model": record.model,
        "evaluator": evaluator,
        "reason": record.failed[evaluator][:EXCERPT_CHARS],
        "output": _excerpt(record.output),
        "input": _excerpt(record.input),
        "prompt_version": record.prompt_version,
        "session_id": record.session_id,
        "trace_id": record.trace_id,
    }


def chosen(examples: Mapping[str, Sequence[Example]], metrics: Sequence[str]) -> list[Example]:
    """Choose up to three examples for the metrics of an episode's incidents, of different events; those of
    the evaluators that the metrics name come first.

    ``examples``: evaluator -> its last failing responses, the oldest first.
    """
    evaluators = [
        "error" if metric == "error_rate" else evaluator_of_metric(metric)
        for metric in metrics
        if metric == "error_rate" or metric.startswith("evaluator.")
    ]
    by_event: dict[str, Example] = {}
    for evaluator in [*evaluators, *(sorted(examples) if "pass_rate" in metrics else ())]:
        for failure in reversed(examples.get(evaluator, ())):
            by_event.setdefault(failure["event_id"], failure)
    return list(by_event.values())[:AN_EVALUATOR]


def _excerpt(text: str | None) -> str | None:
    return text if text is None or len(text) <= EXCERPT_CHARS else text[: EXCERPT_CHARS - 1] + "…"


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) <= TEXT_CHARS:
        return _shortened(redact(text))
    # Redacted before it is cut. What crosses the end that redaction saw lies in the margin, which goes: also where
    # redaction made the text shorter, no half of a card number stays.
    return _shortened(redact(text[: TEXT_CHARS + _MARGIN_CHARS])[:-_MARGIN_CHARS] + "…")


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
