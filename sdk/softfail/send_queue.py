"""What waits to be sent: bounded in number and in size, first in first out."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol


class Outgoing(Protocol):
    """One event on its way. Only ``message`` may raise, and it is called on the background thread."""

    size: int

    def message(self) -> tuple[bytes, bytes]:
        """Key and value. Raises: ValueError: it cannot be sent."""

    def sent(self) -> None:
        """Kafka has acknowledged it."""

    def dropped(self, reason: str, detail: str) -> None:
        """It was given up."""


class Outbox:
    """Safe for threads, and for a signal handler in the middle of itself.

    Args:
        most: events that wait at most.
        most_bytes: their sizes at most (one larger event may wait alone).
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.RLock()
        self._items: deque[Outgoing] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Outgoing) -> list[Outgoing]:
        """Take an event. Gives the oldest ones that had to go for it: what happens now is worth more."""
        gone: list[Outgoing] = []
        with self._lock:
            self._items.append(item)
            self._bytes += item.size
            while len(self._items) > self._most or (self._bytes > self._most_bytes and len(self._items) > 1):
                gone.append(self._first())
        return gone

    def offer(self, item: Outgoing) -> bool:
        """Take an event if there is room."""
        with self._lock:
            if len(self._items) >= self._most or (self._items and self._bytes + item.size > self._most_bytes):
                return False
            self._items.append(item)
            self._bytes += item.size
            return True

    def take(self) -> Outgoing | None:
        """The oldest event, or None."""
        with self._lock:
            return self._first() if self._items else None

    def put_back(self, item: Outgoing) -> None:
        """Make an event that was taken the oldest again."""
        with self._lock:
            self._items.appendleft(item)
            self._bytes += item.size

    def _first(self) -> Outgoing:
        item = self._items.popleft()
        self._bytes -= item.size
        return item
