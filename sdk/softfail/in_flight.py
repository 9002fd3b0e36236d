"""Hand events to kafka-python and track them until Kafka acknowledges them or they are dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from softfail.connection_diagnosis import describe_denial
from softfail.send_queue import QueueItem, SendQueue

# kafka-python 3 does not limit its buffer, so further events wait in our queue, which is limited
_MAX_IN_FLIGHT = 5_000
_MAX_BYTES_IN_FLIGHT = 16 * 2**20


class InFlight:
    """Completes each accepted event exactly once: it is acknowledged or dropped.

    Args:
        topic: topic of the events.
        note: called with (reason, detail) when the topic's metadata is not available any more.

    Attributes:
        accepted_count: events that will be completed.
        completed_count: of those, acknowledged or dropped.
        count: events that kafka-python has, and that are not yet acknowledged.
    """

    def __init__(self, topic: str, note: Callable[[str, str], None]) -> None:
        self._topic, self._note = topic, note
        self._lock = threading.RLock()
        self._bytes = 0
        self._failing_since_s: float | None = None
        self.accepted_count = 0
        self.completed_count = 0
        self.count = 0

    def accept(self) -> None:
        """Count an event that will be completed later."""
        with self._lock:
            self.accepted_count += 1

    def has_capacity(self) -> bool:
        """Return whether kafka-python may take another event."""
        return self.count < _MAX_IN_FLIGHT and self._bytes < _MAX_BYTES_IN_FLIGHT

    def reset_failures(self) -> None:
        """Forget earlier failures, because there is a new producer."""
        self._failing_since_s = None

    def failing_s(self) -> float:
        """Return the seconds since the first failure after the last success; 0 if there is none."""
        since_s = self._failing_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def send_from(self, queue: SendQueue[QueueItem], producer: Any, max_items: int) -> None:
        """Send events from the queue while there is capacity, at most ``max_items``."""
        for _ in range(max_items):
            item = queue.take() if self.has_capacity() else None
            if item is None:
                return
            if not self.send(item, producer):
                queue.put_back(item)
                return

    def send(self, item: QueueItem, producer: Any) -> bool:
        """Hand one event to kafka-python. Return False if it cannot take the event now."""
        try:
            key, value = item.message()
        except ValueError as error:
            self.drop(item, "invalid", str(error))
            return True
        size = len(value)
        self._add(1, size)
        try:
            future = producer.send(self._topic, value=value, key=key)
        except KafkaTimeoutError as error:
            self._add(-1, -size)
            self._note("no connection to Kafka", str(error))
            return False
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            self._add(-1, -size)
            too_large = isinstance(error, MessageSizeTooLargeError)
            detail = str(error) if too_large else describe_denial(error, self._topic) or repr(error)
            self.drop(item, "too large" if too_large else "refused", detail)
        else:
            future.add_callback(lambda _: self._on_acknowledged(item, size))
            future.add_errback(lambda error: self._on_error(item, size, error))
        return True

    def drop(self, item: QueueItem, reason: str, detail: str) -> None:
        """Drop an event that was accepted and that kafka-python does not have."""
        item.dropped(reason, detail)
        with self._lock:
            self.completed_count += 1

    def _add(self, count: int, size: int) -> None:
        with self._lock:
            self.count += count
            self._bytes += size

    def _on_acknowledged(self, item: QueueItem, size: int) -> None:
        """Runs on kafka-python's thread."""
        self._failing_since_s = None
        item.sent()
        self._add(-1, -size)
        with self._lock:
            self.completed_count += 1

    def _on_error(self, item: QueueItem, size: int, error: BaseException) -> None:
        """Runs on kafka-python's thread."""
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
        self.drop(item, "not delivered", describe_denial(error, self._topic) or repr(error))
        self._add(-1, -size)
