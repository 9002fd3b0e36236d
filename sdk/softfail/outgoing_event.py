"""Convert a report of the service to a Kafka message, on the background thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from softfail.event_faults import MOST_FAULTS, describe_faults
from softfail.events import KINDS, LABEL_CHARS, Event, Response
from softfail.field_repair import repair
from softfail.producer_counters import EventCounts, MeterKey, ProducerCounters
from softfail.send_queue import QueueItem
from softfail.text_truncation import redact_and_truncate

TEXT_FIELDS = ("input", "output", "context", "reason")
"""Fields that are redacted and truncated."""

SHORT_TEXT_FIELDS = {"response": ("error_type", "finish_reason", "session_id"), "feedback": ("outcome",)}
"""Labels of each kind that may come from an exception or a user: redacted, then cut to 256 characters. All
other fields are labels or numbers and are sent as they are."""

_MAX_READ_CHARS = 4096  # of a short text, before it is redacted

_FIELDS = {kind: frozenset(model.model_fields) for kind, model in KINDS.items()}


class OutgoingEvent:
    """A queued event of the client: the fields of one kind of event, not yet validated.

    Args:
        kind: a key of ``softfail.events.KINDS``.
        fields: as reported.
        counters: gives sequence numbers, and notes problems.
        counts: counts this event when it is sent or dropped.
        redact: applied to texts; None leaves them.
        size: estimated size, bytes.
    """

    __slots__ = ("_counters", "_counts", "_fields", "_kind", "_redact", "_sequence", "size")

    def __init__(
        self,
        kind: str,
        fields: dict[str, Any],
        counters: ProducerCounters,
        counts: EventCounts,
        redact: Callable[[str], str] | None,
        size: int,
    ) -> None:
        self._kind = kind
        self._fields = fields
        self._counters = counters
        self._counts = counts
        self._redact = redact
        # assigned once: an event that is put back into the queue keeps its number
        self._sequence: int | None = None
        self.size = size

    def message(self) -> tuple[bytes, bytes]:
        """Redact, truncate, validate and encode the event.

        Raises:
            ValueError: the event is invalid; the message names the field.
        """
        fields = {"kind": self._kind, **self._fields}
        for name in TEXT_FIELDS:
            if isinstance(fields.get(name), str | tuple):
                fields[name] = self._redact_and_truncate(name, fields[name])
        for name in SHORT_TEXT_FIELDS.get(self._kind, ()):
            value = fields.get(name)
            if value is not None and not isinstance(value, str):  # a number, UUID or list is sent as its text
                value = repair(self._kind, {name: value})[0].get(name)
            if isinstance(value, str):
                fields[name] = self._redact_label(name, value)
        unknown = fields.keys() - _FIELDS[self._kind]
        if unknown:
            self._counters.note(
                f"field unknown to a {self._kind}, left out", ", ".join(sorted(str(name) for name in unknown))
            )
        fields, left_out = repair(self._kind, fields)
        if left_out:
            self._counters.note(
                "odd field, left out or cut",
                ", ".join(f"{name} {reason}" for name, reason in left_out[:MOST_FAULTS]),
            )
        try:
            event: Event = KINDS[self._kind].model_validate(fields)
        except ValidationError as error:
            raise ValueError(f"{self._kind}: {describe_faults(error)}") from None
        if isinstance(event, Response):
            event = self._with_sequence(event)
        return event.key, event.model_dump_json(exclude_unset=True).encode()

    def _with_sequence(self, event: Response) -> Response:
        """Number the event, so that the worker can detect the loss of events that are dropped after this."""
        if self._sequence is None:
            key = MeterKey(event.service, event.environment, event.feature)
            self._sequence = self._counters.next_sequence(key)
        return event.model_copy(
            update={"producer_id": self._counters.producer_id, "sequence": self._sequence}
        )

    def _redact_and_truncate(self, name: str, text: Any) -> str | None:
        try:
            return redact_and_truncate(text, self._redact)
        except Exception as error:  # noqa: BLE001 - the user's function may raise anything; never send unredacted text
            self._counters.note("text left out, redaction failed", f"{name}: {error!r}")
            return None

    def _redact_label(self, name: str, text: str) -> str | None:
        redacted = self._redact_and_truncate(name, text[:_MAX_READ_CHARS])
        return redacted if redacted is None else redacted[:LABEL_CHARS]

    def sent(self) -> None:
        """Count the event as acknowledged by Kafka."""
        self._counters.count(self._counts, "sent")

    def dropped(self, reason: str, detail: str) -> None:
        """Count the event as dropped."""
        self._counters.drop(self._counts, reason, detail)


class OutgoingMeter(OutgoingEvent):
    """A queued meter. It is created valid and has no texts."""

    __slots__ = ()

    def __init__(self, meter: Event, counters: ProducerCounters) -> None:
        super().__init__(
            "meter",
            json.loads(meter.model_dump_json()),
            counters,
            counters.counts_of(MeterKey("", "", ""), "meter"),
            None,
            300,
        )


class MeterTimer:
    """Called by the sender at every meter interval. Returns meters, and logs problems once a minute."""

    def __init__(self, counters: ProducerCounters, interval_s: float) -> None:
        self._counters = counters
        self._intervals_per_minute = max(1, round(60 / interval_s))
        self._calls = 0

    def __call__(self, last: bool) -> list[QueueItem]:
        """Return the current meters.

        Args:
            last: whether this is the last call; it always logs the problems, and its meters say that the
                producer closes.
        """
        if last or self._calls % self._intervals_per_minute == 0:
            self._counters.log_problems()
        self._calls += 1
        return [OutgoingMeter(meter, self._counters) for meter in self._counters.meters(closing=last)]
