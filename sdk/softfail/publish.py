"""Publish the events of a file: ``python -m softfail publish``. Each line is sent as it is, except for
redaction.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from softfail.bounded_lines import bounded_lines, too_long
from softfail.event_faults import describe_faults
from softfail.events import KINDS, LABEL_CHARS, Event
from softfail.field_repair import repair
from softfail.kafka_connection import open_producer
from softfail.options import Options, producer_settings
from softfail.outgoing_event import SHORT_TEXT_FIELDS, TEXT_FIELDS
from softfail.publish_progress import PublishCounts, PublishProgress
from softfail.sender import Sender

PATIENCE_S = 60.0
"""Default time without an acknowledgement after which publishing stops, seconds."""


class InvalidLine(ValueError):
    """The line is not an event; the message names the field."""


class ParsedLine(NamedTuple):
    """The key, the time and the fields of the event on a line."""

    key: bytes
    time: datetime
    fields: dict[str, Any]


def parse_line(line: bytes) -> ParsedLine:
    """Parse and validate the event on a line.

    Raises:
        InvalidLine: the line is not an event; the message names the field.

    >>> line = b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m"}'
    >>> parse_line(line).key
    b's/f'
    """
    if fault := too_long(line):
        raise InvalidLine(fault)
    try:
        fields = from_json(line.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidLine(f"not JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidLine("not a JSON object")
    kind = fields.get("kind") or "response"
    model: type[Event] | None = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidLine(f"kind: {kind!r:.60} is not one of {', '.join(KINDS)}")
    try:
        event = model.model_validate(repair(kind, {**fields, "kind": kind})[0])
    except ValidationError as error:
        raise InvalidLine(describe_faults(error)) from None
    return ParsedLine(event.key, event.time, fields)


class OutgoingLine:
    """A queued line of the file.

    Args:
        position: ``FILE:LINE``, for error messages.
        line: the bytes of the file.
        parsed: the event on the line.
        redact: applied to the texts; None leaves them.
        counts: counts this event when it is sent or dropped.
    """

    def __init__(
        self,
        position: str,
        line: bytes,
        parsed: ParsedLine,
        redact: Callable[[str], str] | None,
        counts: PublishCounts,
    ) -> None:
        self._position, self._line, self._parsed, self._redact = position, line, parsed, redact
        self._counts = counts
        self.size = len(line)

    def message(self) -> tuple[bytes, bytes]:
        """Return the key and the value. The value is the line itself if nothing was redacted."""
        key, fields = self._parsed.key, self._parsed.fields
        if self._redact is None:
            return key, self._line
        names = (*TEXT_FIELDS, *SHORT_TEXT_FIELDS.get(fields.get("kind") or "response", ()))
        redacted = {name: self._redact(fields[name]) for name in names if isinstance(fields.get(name), str)}
        for name in names[len(TEXT_FIELDS) :]:
            if name in redacted:
                redacted[name] = redacted[name][:LABEL_CHARS]
        if all(fields[name] == text for name, text in redacted.items()):
            return key, self._line
        return key, json.dumps({**fields, **redacted}, ensure_ascii=False).encode()

    def sent(self) -> None:
        """Count the event as acknowledged by Kafka."""
        self._counts.count(delivered=True)

    def dropped(self, reason: str, detail: str) -> None:
        """Count the event as undelivered."""
        self._counts.count(delivered=False)
        if reason != "closed":  # publishing has stopped, and one error already says so
            self._counts.errors.append(f"{self._position}: {reason}: {detail}")


class Publisher:
    """Sends lines in order, paced by event time or as fast as Kafka accepts them.

    Args:
        sender: sends the events.
        redact: applied to the texts; None leaves them.
        speed: seconds of event time per second, above 0; None: as fast as possible.
        progress: shows the progress.
        patience_s: stop after this many seconds without an acknowledgement.
    """

    def __init__(
        self,
        sender: Sender,
        redact: Callable[[str], str] | None,
        speed: float | None,
        progress: PublishProgress,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._sender, self._redact, self._speed = sender, redact, speed
        self._progress, self._patience_s = progress, patience_s
        self.counts = PublishCounts()
        self._first_event: tuple[datetime, float] | None = None  # event time, and when it was sent
        self._last_completed = 0
        self._last_completed_s = time.monotonic()

    def publish(self, name: str, lines: Iterable[bytes]) -> bool:
        """Publish all lines of a file.

        Args:
            name: name of the file, for error messages.
            lines: one event each. Empty lines are skipped.

        Returns:
            False if publishing stopped early, because Kafka did not acknowledge events in time.
        """
        for number, raw_line in enumerate(lines, 1):
            self._progress.read(len(raw_line))
            line = raw_line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw_line.strip()
            if not line:
                continue
            position = f"{name}:{number}"
            try:
                parsed = parse_line(raw_line if too_long(raw_line) else line)
            except InvalidLine as error:
                self.counts.invalid += 1
                self.counts.errors.append(f"{position}: {error}")
                continue
            self._wait_for_event_time(parsed.time)
            item = OutgoingLine(position, line, parsed, self._redact, self.counts)
            while not self._sender.offer(item, 0.2):
                if not self._is_patient():
                    return self._give_up(position)
            self._progress.show(self.counts)
        while not self._sender.flush(0.2):
            if not self._is_patient():
                return self._give_up(f"{name}: end")
        self._progress.show(self.counts)
        return True

    def _wait_for_event_time(self, event_time: datetime) -> None:
        if self._speed is None:
            return
        if self._first_event is None:
            self._first_event = (event_time, time.monotonic())
        first_time, first_sent_s = self._first_event
        due_s = first_sent_s + (event_time - first_time).total_seconds() / self._speed
        while (wait_s := due_s - time.monotonic()) > 0:
            self._progress.show(self.counts)
            time.sleep(min(wait_s, 0.2))
        # the time spent here does not count against Kafka
        self._last_completed, self._last_completed_s = self.counts.completed, time.monotonic()

    def _is_patient(self) -> bool:
        self._progress.show(self.counts)
        if self.counts.completed != self._last_completed:
            self._last_completed, self._last_completed_s = self.counts.completed, time.monotonic()
        return time.monotonic() - self._last_completed_s < self._patience_s

    def _give_up(self, position: str) -> bool:
        self.counts.errors.append(
            f"{position}: stopped, nothing was acknowledged for {self._patience_s:g} s; check that the broker"
            " is up and that the topic exists"
        )
        return False


def publish(
    name: str,
    options: Options,
    kafka_settings: Mapping[str, Any],
    redact: Callable[[str], str] | None,
    speed: float | None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Publish a file and return the exit code.

    Args:
        name: path of the file; ``-``: standard input.
        options: where and how to connect.
        kafka_settings: settings of ``KafkaProducer``.
        redact: applied to the texts; None leaves them.
        speed: seconds of event time per second, above 0; None: as fast as possible.
        patience_s: stop after this many seconds without an acknowledgement.

    Returns:
        0 if every line was an event and every event was acknowledged, else 1.

    Raises:
        OSError: the file cannot be read.
    """
    settings = producer_settings(options, kafka_settings, f"softfail-publish-{uuid.uuid4().hex[:8]}")
    start_s, err = time.monotonic(), sys.stderr
    with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
        progress = PublishProgress(file, err)
        printed: set[str] = set()

        def note(reason: str, detail: str) -> None:
            if detail not in printed:
                printed.add(detail)
                publisher.counts.errors.append(f"{reason}: {detail}")

        sender = Sender(
            options.topic,
            lambda: open_producer(settings, options.topic, options.security),
            10_000,
            32 * 2**20,
            3600.0,
            lambda last: (),
            note,
        )
        publisher = Publisher(sender, redact, speed, progress, patience_s)
        try:
            complete = publisher.publish("<stdin>" if name == "-" else name, bounded_lines(file))
        except KeyboardInterrupt:
            complete = False
            publisher.counts.errors.append("interrupted; the lines read so far are being sent")
        sender.close(min(5.0, patience_s))
    counts = publisher.counts
    progress.end(counts)
    duration_s = time.monotonic() - start_s
    err.write(
        f"{counts.sent:,} events sent to {options.topic} in {duration_s:.1f} s, {counts.invalid:,} lines"
        f" invalid, {counts.undelivered:,} events undelivered{'' if complete else ', the rest not read'}\n"
    )
    return 0 if complete and not counts.invalid and not counts.undelivered else 1
