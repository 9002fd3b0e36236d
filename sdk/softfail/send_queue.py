"""The queue of events that wait to be sent: first in, first out, limited in number and in size."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class QueueItem(Protocol):
    """One event in the queue. Only ``message`` may raise; it is called on the background thread."""

    size: int

    def message(self) -> tuple[bytes, bytes]:
        """Return the key and the value.

        Raises:
            ValueError: the event cannot be sent.
        """

    def sent(self) -> None:
        """Called when Kafka has acknowledged the event."""

    def dropped(self, reason: str, detail: str) -> None:
        """Called when the event was dropped."""


class UncheckedItem:
    """A response that waits for the safety checks.

    Args:
        events: returns the events to send, none if the response is not sampled; ``check`` false: without
            checking it.
        size: estimated, bytes.
    """

    __slots__ = ("events", "size")

    def __init__(self, events: Callable[..., list[QueueItem]], size: int) -> None:
        self.events = events
        self.size = size


_Item = TypeVar("_Item", bound="_Sized")


class _Sized(Protocol):
    size: int


class SendQueue(Generic[_Item]):
    """A bounded queue. Safe for threads, and for a signal handler that interrupts one of its methods.

    Args:
        max_items: maximum number of events.
        max_bytes: maximum sum of their sizes. A single larger event may wait alone.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._lock = threading.RLock()
        self._items: deque[_Item] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_half_full(self) -> bool:
        """Whether half of its space is taken."""
        return 2 * len(self._items) >= self._max_items or 2 * self._bytes >= self._max_bytes

    def put(self, item: _Item) -> list[_Item]:
        """Append an event. Return the oldest events that were removed to make space."""
        removed: list[_Item] = []
        with self._lock:
            self._items.append(item)
            self._bytes += item.size
            while len(self._items) > self._max_items or (
                self._bytes > self._max_bytes and len(self._items) > 1
            ):
                removed.append(self._pop_oldest())
        return removed

    def offer(self, item: _Item) -> bool:
        """Append an event if there is space. Return whether it was appended."""
        with self._lock:
            if len(self._items) >= self._max_items or (
                self._items and self._bytes + item.size > self._max_bytes
            ):
                return False
            self._items.append(item)
            self._bytes += item.size
            return True

    def take(self) -> _Item | None:
        """Remove and return the oldest event; None if the queue is empty."""
        with self._lock:
            return self._pop_oldest() if self._items else None

    def put_back(self, item: _Item) -> None:
        """Return an event to the front of the queue."""
        with self._lock:
            self._items.appendleft(item)
            self._bytes += item.size

    def _pop_oldest(self) -> _Item:
        item = self._items.popleft()
        self._bytes -= item.size
        return item
