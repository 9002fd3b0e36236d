"""Build events from the reports of the service, on the calling thread: ids, labels, sampling, size limits."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from softfail.events import MIN_SAMPLE_PROBABILITY
from softfail.options import Options
from softfail.outgoing_event import TEXT_FIELDS, OutgoingEvent
from softfail.producer_counters import EventCounts, ProducerCounters, meter_key
from softfail.response_id import LABELS, ResponseId
from softfail.safety import SafetyChecks, SafetyVerdict
from softfail.sampling import Sampler, SamplingDecision, keep_always
from softfail.send_queue import QueueItem, UncheckedItem
from softfail.text_truncation import TruncatedText, truncate_for_queue

_FAILED_OUTCOMES = frozenset({"parse_error", "schema_error", "downstream_error"})


class EventBuilder:
    """Builds events and queues those that are sampled.

    Its methods raise if a report is unusable; the caller counts that.

    Args:
        options: labels and probabilities.
        counters: counts each report.
        put: queues an event.
        redact: applied to texts by the background thread; None leaves them.
        recent_responses: labels of recent responses by event id. A forked child keeps them.
        put_unchecked: queues a response for the safety checks.
        checks: the safety checks.
    """

    def __init__(
        self,
        options: Options,
        counters: ProducerCounters,
        put: Callable[[QueueItem], None],
        redact: Callable[[str], str] | None,
        recent_responses: OrderedDict[str, ResponseId],
        put_unchecked: Callable[[UncheckedItem], None],
        checks: SafetyChecks,
    ) -> None:
        self._options = options
        self._counters = counters
        self._put = put
        self._redact = redact
        self._recent_responses = recent_responses
        self._put_unchecked = put_unchecked
        self._checks = checks
        self._sampler = Sampler(
            options.sample_probability, options.content_probability, options.error_content_per_minute
        )
        self._lock = threading.RLock()

    def add_response(self, fields: dict[str, Any]) -> ResponseId:
        """Count a response, and queue it if it is sampled."""
        self._fill_in(fields)
        if self._options.service_version:
            fields.setdefault("service_version", self._options.service_version)
        event_id = str(fields["event_id"])
        session_id = fields.get("session_id")
        failed = bool(fields.get("error_type")) or _is_failure(fields.get("outcome"))
        with self._lock:
            decision = self._sampler.decide(
                session_id if isinstance(session_id, str) and session_id else event_id, failed
            )
        labels = {label: fields[label] for label in LABELS if fields.get(label) is not None}
        response_id = ResponseId(event_id, labels, decision.send, decision.sample_probability)
        key = meter_key(fields["service"], fields["environment"], fields.get("feature"))
        counts = self._counters.counts_of(key)
        self._counters.count(counts, "seen")
        if self._checks and not failed:
            self._put_unchecked(self._unchecked(fields, decision, response_id, counts))
        elif decision.send:
            self._put(self._sampled(fields, decision, counts))
        with self._lock:
            self._recent_responses[event_id] = response_id
            while len(self._recent_responses) > self._options.recent_responses:
                self._recent_responses.popitem(last=False)
        return response_id

    def _sampled(
        self, fields: dict[str, Any], decision: SamplingDecision, counts: EventCounts
    ) -> OutgoingEvent:
        """Count a response as sampled; return its event, with the probabilities of the decision."""
        size = self._limit_texts(fields, decision.include_texts)
        given = fields.get("sample_probability")
        for name in ("sample_probability", "content_probability"):
            fields[name] = _multiply(fields.get(name), getattr(decision, name))
        self._set_base_probability(fields, given, decision)
        self._counters.count(counts, "sampled")
        return OutgoingEvent("response", fields, self._counters, counts, self._redact, size)

    def _unchecked(
        self, fields: dict[str, Any], decision: SamplingDecision, response_id: ResponseId, counts: EventCounts
    ) -> UncheckedItem:
        """Return a response that waits for the safety checks."""
        size = self._limit_texts(fields, include=True)

        def events(*, check: bool) -> list[QueueItem]:
            verdicts = self._checks.verdicts(fields) if check else []
            final = decision
            if any(item.verdict.state == "failed" for item in verdicts):
                final = keep_always(decision)
            if not final.send:
                return []
            reported = [item for item in verdicts if item.is_reported and item.verdict.state != "error"]
            return [
                self._sampled(fields, final, counts),
                *(self._verdict_event(item, response_id, fields, final) for item in reported),
            ]

        return UncheckedItem(events, size)

    def _verdict_event(
        self,
        item: SafetyVerdict,
        response_id: ResponseId,
        response: Mapping[str, Any],
        decision: SamplingDecision,
    ) -> OutgoingEvent:
        """Return the evaluation event of a check, with the probabilities of its response."""
        state, reason, score = item.verdict
        fields = {
            **response_id.labels,
            "response_id": str(response_id),
            "evaluator": item.name,
            "passed": None if state == "skipped" else state == "passed",
            "reason": reason or None,
            "score": score,
            "sample_probability": response["sample_probability"],
            "base_probability": response.get("base_probability"),
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        self._fill_in(fields)
        counts = self._counters.counts_of(meter_key(None, None, None), "evaluation")
        size = self._limit_texts(fields, include=True)
        self._counters.count(counts, "seen", "sampled")
        return OutgoingEvent("evaluation", fields, self._counters, counts, self._redact, size)

    def add_follow_up(self, kind: str, response: Any, fields: dict[str, Any]) -> str:
        """Count feedback on a response or an evaluation of it, and queue it if it is to be sent.

        Args:
            kind: ``feedback`` or ``evaluation``.
            response: a ``ResponseId``, or an event id; None: ``fields["response_id"]``.
            fields: override the labels of the response.

        Returns:
            The event id of the follow-up.
        """
        if response is None:
            response = fields.get("response_id")
        response_id: ResponseId | None = None
        if isinstance(response, ResponseId):
            response_id = response
        elif isinstance(response, str):
            response_id = self._recent_responses.get(response)
        if response_id is not None:
            fields = {**response_id.labels, **fields}
            if kind == "evaluation":
                fields["sample_probability"] = _multiply(
                    fields.get("sample_probability"), response_id.sample_probability
                )
        fields["response_id"] = str(response) if isinstance(response, str) else response
        self._fill_in(fields)
        size = self._limit_texts(fields, include=True)
        counts = self._counters.counts_of(meter_key(None, None, None), kind)
        if response_id is None or response_id.sent or kind == "feedback":
            self._counters.count(counts, "seen", "sampled")
            self._put(OutgoingEvent(kind, fields, self._counters, counts, self._redact, size))
        else:
            self._counters.count(counts, "seen")
        return str(fields["event_id"])

    def _set_base_probability(self, fields: dict[str, Any], given: Any, decision: SamplingDecision) -> None:
        """Record the probability that ordinary calls have, if this call was kept with another one.

        ``given``: the sample probability of the service itself. A value too small for an event is left out:
        the event must not be refused for it.
        """
        base = fields.get("base_probability")
        if base is None and decision.base_probability is not None:
            base = 1.0 if given is None else given
        if base is None:
            return
        fields["base_probability"] = base = _multiply(base, self._options.sample_probability)
        if isinstance(base, float) and base < MIN_SAMPLE_PROBABILITY:
            del fields["base_probability"]

    def _fill_in(self, fields: dict[str, Any]) -> None:
        """Set the id, the time and the labels that the caller left out."""
        if fields.get("event_id") is None:
            fields["event_id"] = uuid.uuid4().hex
        if fields.get("time") is None:
            fields["time"] = datetime.now(UTC)
        if fields.get("service") is None:
            fields["service"] = self._options.service
        if fields.get("environment") is None:
            fields["environment"] = self._options.environment
        for name in ("dimensions", "stages_s"):
            if isinstance(fields.get(name), dict):
                fields[name] = dict(fields[name])  # the caller may change its own dict later

    def _limit_texts(self, fields: dict[str, Any], include: bool) -> int:
        """Record the lengths of the texts, then truncate or remove the texts.

        Returns:
            The estimated size of the event, bytes.
        """
        size = 1_000
        for name in TEXT_FIELDS:
            text = fields.get(name)
            if not isinstance(text, (str, TruncatedText)):
                continue
            if name in ("input", "output") and fields.get(f"{name}_chars") is None:
                fields[f"{name}_chars"] = text.chars if isinstance(text, TruncatedText) else len(text)
            if include:
                kept = fields[name] = text if isinstance(text, TruncatedText) else truncate_for_queue(text)
                size += len(kept.head) + len(kept.tail) if isinstance(kept, TruncatedText) else len(kept)
            else:
                del fields[name]
        return size


def _multiply(given: Any, probability: float) -> Any:
    """Multiply the probability given by the service with ours.

    A value that is not a number is returned as it is: validation rejects it and names the field.
    """
    if given is None:
        return probability
    return given * probability if isinstance(given, int | float) and not isinstance(given, bool) else given


def _is_failure(outcome: Any) -> bool:
    return isinstance(outcome, str) and outcome in _FAILED_OUTCOMES
