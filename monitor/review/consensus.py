"""What several raters say of an answer together, and the events of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from monitor.review.answer import Answer
from monitor.review.labels import Label
from monitor.review.sample_file import Sample, numbered
from schemas.times import rfc3339
from softfail.events import MIN_SAMPLE_PROBABILITY

_MOST_REASON_CHARS = 1_000


class Consensus(NamedTuple):
    """The verdict of the raters on an answer. ``passed``: None if as many say yes as no."""

    answer: int
    passed: bool | None
    labels: Sequence[Label]

    @property
    def is_unanimous(self) -> bool:
        """Whether all raters gave the same label."""
        return len({label.label for label in self.labels}) == 1


def consensus_of(sample: Sample, by_answer: Mapping[int, Sequence[Label]]) -> list[Consensus]:
    """Return the verdict of the majority on each answer that has labels."""
    out = []
    for answer, labels in sorted(by_answer.items()):
        passing = sum(sample.question.passes(label.label) is True for label in labels)
        failing = len(labels) - passing
        out.append(Consensus(answer, None if passing == failing else passing > failing, labels))
    return out


def common_factor(sample: Sample) -> tuple[float, int]:
    """Return the factor by which the probabilities of all labels are raised, and how many exceed the limit then.

    An event may have a probability of 0.0001 or more. A label can stand for more than 10,000 calls; a share
    does not change if the probabilities of all labels are raised alike.
    """
    probabilities = [answer.probability for answer in sample.answers]
    if not probabilities:
        return 1.0, 0
    factor = max(1.0, MIN_SAMPLE_PROBABILITY / min(probabilities))
    factor = min(factor, 1 / max(probabilities))
    return factor, sum(factor * p < MIN_SAMPLE_PROBABILITY * (1 - 1e-9) for p in probabilities)


def events_of(sample: Sample, verdicts: Sequence[Consensus], time: datetime) -> list[dict[str, Any]]:
    """Return the ``evaluation`` events of the answers on which there is a verdict.

    The id of an event is decided by question and response, so that a second import writes the same events.

    Args:
        sample: with the answers.
        verdicts: of ``consensus_of``.
        time: of the events.
    """
    answers = dict(numbered(sample.answers))
    factor, _ = common_factor(sample)
    question = sample.question
    events = []
    for verdict in verdicts:
        if verdict.passed is None:
            continue
        answer = answers[verdict.answer]
        event: dict[str, Any] = {
            "kind": "evaluation",
            "event_id": f"{question.evaluator}:{_digest(question.version, answer)}",
            "time": rfc3339(time),
            **answer.labels,
            **({"dimensions": answer.dimensions} if answer.dimensions else {}),
            "response_id": answer.response_id,
            "evaluator": question.evaluator,
            "evaluator_version": question.version,
            "passed": verdict.passed,
            "sample_probability": min(1.0, max(MIN_SAMPLE_PROBABILITY, factor * answer.probability)),
        }
        if reason := _reason(verdict):
            event["reason"] = reason
        events.append(event)
    return events


def _digest(version: str, answer: Answer) -> str:
    """Name a response in any number of characters that an event id may have."""
    key = json.dumps(
        [version, answer.labels.get("service"), answer.labels.get("feature"), answer.response_id]
    )
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def _reason(verdict: Consensus) -> str:
    """Return the labels, with the notes; raters have no names in events."""
    labels = ", ".join(sorted({label.label for label in verdict.labels}))
    notes = "; ".join(label.note for label in verdict.labels if label.note)
    return (f"{labels}: {notes}" if notes else labels)[:_MOST_REASON_CHARS]
