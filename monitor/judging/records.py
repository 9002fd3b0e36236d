"""Records of judges: what waits for a judge, what a judgement gave, and the events that tell of it."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from monitor.judging.answer import ErrorKind
from monitor.judging.prompt import shorten
from monitor.judging.sampling import Stratum
from monitor.protocol.messages import Message, to_json
from monitor.protocol.service import SERVICE
from monitor.stats.judge_correction import JudgeCorrection
from schemas.config.judges import Judge
from schemas.times import microseconds, rfc3339
from softfail.redact import redact
from softfail.response_id import LABELS
from softfail.sanitize import sanitize

ENVIRONMENT = "judge"
"""Environment of the judges' own calls. It is none of ``page_environments``, so nothing about them pages."""


class Pending(msgspec.Struct, frozen=True):
    """A response that was chosen and is not judged yet. ``sent``: probability of the event and its texts."""

    judge: str
    response_id: str
    time: str
    labels: dict[str, Any]
    input: str | None
    output: str
    context: str | None
    stratum: Stratum
    probability: float
    sent: float
    estimate_usd: float

    @property
    def time_us(self) -> int:
        """Time of the response, microseconds since 1970."""
        return microseconds(msgspec.convert(self.time, datetime, strict=False))


class Judgement(msgspec.Struct, frozen=True):
    """What came of one judgement, its retries and its repair together.

    ``choice`` is empty if there was no verdict; ``error`` then says why.
    """

    choice: str = ""
    reason: str = ""
    error: ErrorKind | None = None
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    duration_s: float = 0.0
    calls: int = 1
    finish_reason: str = ""


def pending_of(
    judge: Judge, event: Any, stratum: Stratum, probability: float, estimate_usd: float
) -> Pending:
    """Return what waits for the judge of a decoded response; its texts are cut."""
    labels = {name: value for name in LABELS if (value := getattr(event, name))}
    return Pending(
        judge.name,
        event.event_id,
        rfc3339(event.time),
        labels,
        _cut(event.input, judge),
        _cut(event.output, judge) or "",
        _cut(event.context, judge),
        stratum,
        probability,
        event.sample_probability * event.content_probability,
        estimate_usd,
    )


def _cut(text: str | None, judge: Judge) -> str | None:
    return None if text is None else shorten(text, judge.text_chars)


def event_id(judge: str, partition: int, offset: int, kind: str = "") -> str:
    """Return the id of an event about one response: the same if the response is judged again after a crash."""
    digest = blake2b(f"{judge}/{partition}/{offset}".encode(), digest_size=12).hexdigest()
    return f"judge-{kind}{digest}"


def evaluation(
    judge: Judge,
    pending: Pending,
    judgement: Judgement,
    evaluator: str,
    version: str,
    name: str,
    correction: JudgeCorrection | None = None,
) -> Message:
    """Return the evaluation event of a verdict, with the labels and the probability of its response.

    Args:
        evaluator: the judge's name, or that of its verdicts while it is uncalibrated.
        version: identity of the judge.
        name: id of the event.
        correction: by which workers correct the rate of a calibrated judge.
    """
    record = {
        "kind": "evaluation",
        "event_id": name,
        "time": pending.time,
        **pending.labels,
        "response_id": pending.response_id,
        "evaluator": evaluator,
        "evaluator_version": version,
        **({} if correction is None else {"judge_labels": correction.text()}),
        "passed": judge.rubric.passed(judgement.choice),
        "score": judge.rubric.choice_scores[judgement.choice],
        "reason": sanitize(redact(f"{judgement.choice}: {judgement.reason}"), 500),
        "sample_probability": min(1.0, pending.sent * pending.probability),
    }
    return Message(f"{pending.labels['service']}/{pending.labels['feature']}".encode(), to_json(record))


def own_call(judge: Judge, judgement: Judgement, name: str, now_us: int, partition: int) -> Message:
    """Return the event that reports a judgement as a call of the feature ``softfail/judge-NAME``, without texts.

    Args:
        name: id of the event.
        now_us: wall clock, microseconds since 1970.
        partition: of that feature.
    """
    record = {
        "event_id": name,
        "time": rfc3339(now_us),
        "service": SERVICE,
        "feature": feature_of(judge),
        "environment": ENVIRONMENT,
        "model": judge.model,
        "response_model": judgement.model,
        "provider": judge.endpoint.kind,
        "input_tokens": judgement.input_tokens,
        "output_tokens": judgement.output_tokens,
        "duration_s": round(judgement.duration_s, 6),
        "cost_usd": round(judgement.cost_usd, 9),
        "attempt": max(1, judgement.calls),
        "finish_reason": judgement.finish_reason[:256],
        "error_type": f"judge_{judgement.error}" if judgement.error else "",
    }
    return Message(f"{SERVICE}/{feature_of(judge)}".encode(), to_json(record), partition)


def feature_of(judge: Judge) -> str:
    """Return the feature of a judge's own calls."""
    return f"judge-{judge.name}"
