"""From what a service says to an event in the outbox, on the calling thread: identity, labels, the decision
to send, bounds.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from softfail.options import Options
from softfail.outgoing_event import TEXTS, Report
from softfail.producer_counters import Ledger, source
from softfail.response_id import LABELS, ResponseId
from softfail.sampling import Sampler
from softfail.send_queue import Outgoing
from softfail.text_truncation import Halves, rough

_FAILED = frozenset({"parse_error", "schema_error", "downstream_error"})


class Intake:
    """May raise for what is hopelessly wrong: its caller counts that.

    Args:
        put: takes the event on.
        recent: labels of recent responses, by event id; outlives a fork.
    """

    def __init__(
        self,
        options: Options,
        ledger: Ledger,
        put: Callable[[Outgoing], None],
        redact: Callable[[str], str] | None,
        recent: OrderedDict[str, ResponseId],
    ) -> None:
        self._options, self._ledger, self._put, self._redact, self._recent = (
            options,
            ledger,
            put,
            redact,
            recent,
        )
        self._sampler = Sampler(
            options.sample_probability, options.content_probability, options.error_content_per_minute
        )
        self._lock = threading.RLock()

    def response(self, fields: dict[str, Any]) -> ResponseId:
        """Count a response, and take it on if it is to be sent."""
        self._complete(fields)
        if self._options.service_version:
            fields.setdefault("service_version", self._options.service_version)
        name = str(fields["event_id"])
        session = fields.get("session_id")
        failed = bool(fields.get("error_type")) or _is_failure(fields.get("outcome"))
        with self._lock:
            decision = self._sampler.decide(session if isinstance(session, str) and session else name, failed)
        size = self._shorten(fields, decision.text)
        fields["sample_probability"] = _times(fields.get("sample_probability"), decision.sample_probability)
        fields["content_probability"] = _times(
            fields.get("content_probability"), decision.content_probability
        )
        labels = {label: fields[label] for label in LABELS if fields.get(label) is not None}
        made = ResponseId(name, labels, decision.send, decision.sample_probability)
        tally = self._ledger.tally(source(fields["service"], fields["environment"], fields.get("feature")))
        if decision.send:
            self._ledger.count(tally, "seen", "sampled")
            self._put(Report("response", fields, self._ledger, tally, self._redact, size))
        else:
            self._ledger.count(tally, "seen")
        with self._lock:
            self._recent[name] = made
            while len(self._recent) > self._options.recent_responses:
                self._recent.popitem(last=False)
        return made

    def verdict(self, kind: str, response: Any, fields: dict[str, Any]) -> str:
        """Count feedback on a response, or an evaluation of it, with its labels; take it on if it is to be
        sent.
        """
        if response is None:
            response = fields.get("response_id")
        known = (
            response
            if isinstance(response, ResponseId)
            else self._recent.get(response)
            if isinstance(response, str)
            else None
        )
        if known is not None:
            fields = {**known.labels, **fields}
            if kind == "evaluation":
                fields["sample_probability"] = _times(
                    fields.get("sample_probability"), known.sample_probability
                )
        fields["response_id"] = str(response) if isinstance(response, str) else response
        self._complete(fields)
        size = self._shorten(fields, keep=True)
        tally = self._ledger.tally(source(None, None, None), kind)
        if known is None or known.sent or kind == "feedback":
            self._ledger.count(tally, "seen", "sampled")
            self._put(Report(kind, fields, self._ledger, tally, self._redact, size))
        else:
            self._ledger.count(tally, "seen")
        return str(fields["event_id"])

    def _complete(self, fields: dict[str, Any]) -> None:
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
                fields[name] = dict(fields[name])  # the caller may go on with his

    def _shorten(self, fields: dict[str, Any], keep: bool) -> int:
        """Measure the texts, then bound them or leave them out. Gives the rough size of the event, bytes."""
        size = 1_000
        for name in TEXTS:
            text = fields.get(name)
            if not isinstance(text, str):
                continue
            if name in ("input", "output") and fields.get(f"{name}_chars") is None:
                fields[f"{name}_chars"] = len(text)
            if keep:
                kept = fields[name] = rough(text)
                size += len(kept[0]) + len(kept[1]) if isinstance(kept, Halves) else len(kept)
            else:
                del fields[name]
        return size


def _times(given: Any, probability: float) -> Any:
    """The probability of both; what is no number is left to the validation, which names the field."""
    if given is None:
        return probability
    return given * probability if isinstance(given, int | float) and not isinstance(given, bool) else given


def _is_failure(outcome: Any) -> bool:
    return isinstance(outcome, str) and outcome in _FAILED
