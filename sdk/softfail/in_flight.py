"""What kafka-python has of ours, and what became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from softfail.send_queue import Outbox, Outgoing

_MOST_UNDER_WAY = 5_000  # kafka-python 3 has no bound on its buffer: events wait in our outbox, which has one
_MOST_BYTES_UNDER_WAY = 16 * 2**20


class Deliveries:
    """Every event expected is settled once: acknowledged, or dropped.

    Args:
        topic: where they go.
        note: told (reason, detail) when the topic is not known any more.
    """

    def __init__(self, topic: str, note: Callable[[str, str], None]) -> None:
        self._topic, self._note = topic, note
        self._lock = threading.RLock()
        self._bytes_under_way = 0
        self._failing_since: float | None = None
        self.expected = 0
        self.settled = 0
        self.under_way = 0

    def expect(self) -> None:
        """One more event will be settled some day."""
        with self._lock:
            self.expected += 1

    def room(self) -> bool:
        """Whether kafka-python may have more."""
        return self.under_way < _MOST_UNDER_WAY and self._bytes_under_way < _MOST_BYTES_UNDER_WAY

    def begin_anew(self) -> None:
        """There is a fresh producer."""
        self._failing_since = None

    def failing_s(self) -> float:
        """Seconds since the first failure after the last success; 0 when there is none."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    def hand_on(self, producer: Any, outbox: Outbox, most: int) -> None:
        """Send from the outbox while there is room, at most so many."""
        for _ in range(most):
            item = outbox.take() if self.room() else None
            if item is None:
                return
            if not self.send(producer, item):
                outbox.put_back(item)
                return

    def send(self, producer: Any, item: Outgoing) -> bool:
        """Hand one event to kafka-python. False: not now."""
        try:
            key, value = item.message()
        except ValueError as error:
            self.drop(item, "invalid", str(error))
            return True
        size = len(value)
        self._move(1, size)
        try:
            future = producer.send(self._topic, value=value, key=key)
        except KafkaTimeoutError as error:
            self._move(-1, -size)
            self._note("no connection to Kafka", str(error))
            return False
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            self._move(-1, -size)
            large = isinstance(error, MessageSizeTooLargeError)
            self.drop(item, "too large" if large else "refused", str(error) if large else repr(error))
        else:
            future.add_callback(lambda _: self._arrived(item, size))
            future.add_errback(lambda error: self._failed(item, size, error))
        return True

    def drop(self, item: Outgoing, reason: str, detail: str) -> None:
        """Give up an event that is not under way."""
        item.dropped(reason, detail)
        with self._lock:
            self.settled += 1

    def _move(self, count: int, size: int) -> None:
        with self._lock:
            self.under_way += count
            self._bytes_under_way += size

    def _arrived(self, item: Outgoing, size: int) -> None:
        """On kafka-python's thread."""
        self._failing_since = None
        item.sent()
        self._move(-1, -size)
        with self._lock:
            self.settled += 1

    def _failed(self, item: Outgoing, size: int, error: BaseException) -> None:
        """On kafka-python's thread."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self.drop(item, "not delivered", repr(error))
        self._move(-1, -size)
