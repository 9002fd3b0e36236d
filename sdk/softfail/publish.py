"""``python -m softfail publish``: events that exist already, from a file to Kafka, exactly as they stand but
for redaction.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from softfail.events import KINDS, Event
from softfail.kafka_connection import open_producer
from softfail.options import Options, producer_settings
from softfail.outgoing_event import TEXTS, fault
from softfail.publish_progress import Progress
from softfail.sender import Sender

PATIENCE_S = 60.0
"""Without any event acknowledged for so long, Kafka is given up."""


class InvalidLine(ValueError):
    """A line that is no event; the message names the field."""


class Read(NamedTuple):
    """One line, understood."""

    key: bytes
    time: datetime
    fields: dict[str, Any]


def read_line(line: bytes) -> Read:
    """One event from its line.

    Raises:
        InvalidLine: it is none; the message names the field.

    >>> read_line(b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m"}').key
    b's/f'
    """
    try:
        fields = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidLine(f"not JSON in UTF-8: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidLine("not a JSON object")
    kind = fields.get("kind") or "response"
    model: type[Event] | None = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidLine(f"kind: {kind!r:.60} is not one of {', '.join(KINDS)}")
    try:
        event = model.model_validate({**fields, "kind": kind})
    except ValidationError as error:
        raise InvalidLine(fault(error)) from None
    return Read(event.key, event.time, fields)


@dataclass
class Outcome:
    """What became of the lines."""

    sent: int = 0
    invalid: int = 0
    undelivered: int = 0
    faults: list[str] = field(default_factory=list)  # to be printed, between two pictures of the progress bar

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, delivered: bool) -> None:
        """One more event is acknowledged, or given up. Called on the sender's and on kafka-python's thread."""
        with self._lock:
            if delivered:
                self.sent += 1
            else:
                self.undelivered += 1

    @property
    def settled(self) -> int:
        """Events that Kafka has, or that were given up."""
        return self.sent + self.undelivered


class Line:
    """An ``Outgoing``: the line as it stands, or with its texts redacted."""

    def __init__(
        self, where: str, line: bytes, read: Read, redact: Callable[[str], str] | None, outcome: Outcome
    ) -> None:
        self._where, self._line, self._read, self._redact, self._outcome = where, line, read, redact, outcome
        self.size = len(line)

    def message(self) -> tuple[bytes, bytes]:
        """Key and value; the very bytes of the file if there was nothing to redact."""
        if self._redact is None:
            return self._read.key, self._line
        fields = self._read.fields
        redacted = {name: self._redact(fields[name]) for name in TEXTS if isinstance(fields.get(name), str)}
        if all(fields[name] == text for name, text in redacted.items()):
            return self._read.key, self._line
        return self._read.key, json.dumps({**fields, **redacted}, ensure_ascii=False).encode()

    def sent(self) -> None:
        """Kafka has it."""
        self._outcome.count(delivered=True)

    def dropped(self, reason: str, detail: str) -> None:
        """It was given up."""
        self._outcome.count(delivered=False)
        if reason != "closed":  # that Kafka was given up is said once
            self._outcome.faults.append(f"{self._where}: {reason}: {detail}")


class Publisher:
    """Sends lines in order, at a multiple of event time or as fast as Kafka takes them.

    Args:
        sender: where they go.
        redact: applied to the texts; None leaves them.
        speed: seconds of event time a second, above 0; None: as fast as possible.
        progress: told now and then.
        patience_s: gives up after so long without an acknowledgement.
    """

    def __init__(
        self,
        sender: Sender,
        redact: Callable[[str], str] | None,
        speed: float | None,
        progress: Progress,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._sender, self._redact, self._speed, self._progress, self._patience_s = (
            sender,
            redact,
            speed,
            progress,
            patience_s,
        )
        self.outcome = Outcome()
        self._first: tuple[datetime, float] | None = None
        self._moved = (0, time.monotonic())

    def publish(self, name: str, lines: Iterable[bytes]) -> bool:
        """All lines of one file. False: Kafka was given up on the way."""
        for number, raw in enumerate(lines, 1):
            self._progress.read(len(raw))
            line = raw.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else raw.strip()
            if not line:
                continue
            where = f"{name}:{number}"
            try:
                read = read_line(line)
            except InvalidLine as error:
                self.outcome.invalid += 1
                self.outcome.faults.append(f"{where}: {error}")
                continue
            self._await_its_time(read.time)
            item = Line(where, line, read, self._redact, self.outcome)
            while not self._sender.offer(item, 0.2):
                if not self._patient():
                    return self._give_up(where)
            self._progress.show(self.outcome)
        while not self._sender.flush(0.2):
            if not self._patient():
                return self._give_up(f"{name}: end")
        self._progress.show(self.outcome)
        return True

    def _await_its_time(self, event_time: datetime) -> None:
        if self._speed is None:
            return
        if self._first is None:
            self._first = (event_time, time.monotonic())
        due = self._first[1] + (event_time - self._first[0]).total_seconds() / self._speed
        while (left := due - time.monotonic()) > 0:
            self._progress.show(self.outcome)
            time.sleep(min(left, 0.2))
        # waiting for event time is no fault of Kafka's
        self._moved = (self.outcome.settled, time.monotonic())

    def _patient(self) -> bool:
        self._progress.show(self.outcome)
        if self.outcome.settled != self._moved[0]:
            self._moved = (self.outcome.settled, time.monotonic())
        return time.monotonic() - self._moved[1] < self._patience_s

    def _give_up(self, where: str) -> bool:
        self.outcome.faults.append(
            f"{where}: nothing acknowledged for {self._patience_s:g} s, given up; is the broker there, and"
            " the topic?"
        )
        return False


def publish(
    name: str,
    options: Options,
    kafka: Mapping[str, Any],
    redact: Callable[[str], str] | None,
    speed: float | None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Publish a file (``-``: standard input). Gives the exit code: 0 if every line was an event and every
    event is acknowledged.

    Raises:
        OSError: the file cannot be read.
    """
    settings = producer_settings(options, kafka, f"softfail-publish-{uuid.uuid4().hex[:8]}")
    began, err = time.monotonic(), sys.stderr
    with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
        progress = Progress(file, err)
        told: set[str] = set()

        def note(reason: str, detail: str) -> None:
            if detail not in told:
                told.add(detail)
                publisher.outcome.faults.append(f"{reason}: {detail}")

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
            whole = publisher.publish("<stdin>" if name == "-" else name, file)
        except KeyboardInterrupt:
            whole = False
            publisher.outcome.faults.append("interrupted; what was read is being sent")
        sender.close(min(5.0, patience_s))
    outcome = publisher.outcome
    progress.end(outcome)
    took = time.monotonic() - began
    err.write(
        f"{outcome.sent:,} events sent to {options.topic} in {took:.1f} s, {outcome.invalid:,} lines invalid,"
        f" {outcome.undelivered:,} events undelivered{'' if whole else ', the rest not read'}\n"
    )
    return 0 if whole and not outcome.invalid and not outcome.undelivered else 1
