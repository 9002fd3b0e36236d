"""The background thread: a bounded queue on one side, Kafka on the other. The calling thread never waits for either."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from softfail.connection import discard, shut

_BATCH = 500  # taken from the queue under the lock at once
_GATHER_S = 0.01  # the thread lets a burst arrive instead of fighting for the interpreter at every event
_MOST_UNDER_WAY = 5_000  # kafka-python 3 has no bound on its buffer: events wait in our queue, which has one
_MOST_BYTES_UNDER_WAY = 16 * 2**20
_BACKOFF_S = (0.5, 30.0)
_STUCK_S = 60.0  # failures and no success for so long: a fresh producer (an idempotent one can fail for good)


class Outgoing(Protocol):
    """One event on its way. All but ``size`` is called on background threads; none of it may raise but ``message``."""

    size: int

    def message(self) -> tuple[bytes, bytes]:
        """Key and value. Raises: ValueError: it cannot be sent."""

    def sent(self) -> None:
        """Kafka has acknowledged it."""

    def dropped(self, reason: str, detail: str) -> None:
        """It was given up."""


class Sender:
    """Takes events from any thread, hands them to Kafka on one of its own.

    Args:
        topic: where they go.
        connect: gives a connected producer that knows the topic, or raises; called on the background thread.
        queue_size: events that wait at most; one more, and the oldest is dropped: what happens now is worth more.
        queue_bytes: their sizes at most.
        every_s: seconds between calls of ``tick``.
        tick: gives what is to be sent of its own accord (meters); its argument says whether it is the last call.
        note: told (reason, detail) of what goes wrong with the connection.
    """

    def __init__(self, topic: str, connect: Callable[[], Any], queue_size: int, queue_bytes: int, every_s: float,
                 tick: Callable[[bool], Iterable[Outgoing]], note: Callable[[str, str], None]) -> None:
        self._topic, self._connect, self._tick, self._note = topic, connect, tick, note
        self._queue_size, self._queue_bytes, self._every_s = queue_size, queue_bytes, every_s
        self._lock = threading.RLock()
        self._queue: deque[Outgoing] = deque()
        self._queued_bytes = self._under_way = self._bytes_under_way = 0
        self._taken = self._settled = self._left = 0
        self._wake: SimpleQueue[None] = SimpleQueue()  # its put may be interrupted by itself, unlike Event.set
        self._idle = False
        self._hurry = 0
        self._deadline: float | None = None  # set once: closing
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._attempts = 0
        self._next_attempt = 0.0
        self._failing_since: float | None = None
        self._next_tick = time.monotonic() + every_s

    def start(self) -> None:
        """Start the thread, once. ``put`` does it too."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="softfail", daemon=True)
                self._thread.start()

    def put(self, item: Outgoing) -> None:
        """Take an event; microseconds. When there is no room the oldest ones are dropped."""
        gone: list[Outgoing] = []
        with self._lock:
            if self._deadline is not None:
                gone.append(item)
            else:
                self._append(item)
                while len(self._queue) > self._queue_size or (self._queued_bytes > self._queue_bytes and len(self._queue) > 1):
                    gone.append(self._pop())
                    self._settled += 1
        closed = self._deadline is not None
        for old in gone:
            old.dropped("closed" if closed else "queue full", "" if closed else "Kafka is away or slow, or queue_size is too small")
        self._awake()

    def offer(self, item: Outgoing, timeout_s: float) -> bool:
        """Take an event, waiting for room: for callers that have time. False: there was none."""
        until = time.monotonic() + timeout_s
        while True:
            with self._lock:
                room = len(self._queue) < self._queue_size and (not self._queue or self._queued_bytes + item.size <= self._queue_bytes)
                if room and self._deadline is None:
                    self._append(item)
                    break
            if self._deadline is not None or time.monotonic() >= until:
                return False
            self._awake()
            time.sleep(0.005)
        self._awake()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put before is acknowledged or dropped. False: not within the time."""
        until = time.monotonic() + timeout_s
        with self._lock:
            target = self._taken
            self._hurry += 1
        try:
            while self._settled < target:
                if time.monotonic() >= until or self._done.is_set():
                    return self._settled >= target
                self._awake()
                time.sleep(0.005)
            return True
        finally:
            with self._lock:
                self._hurry -= 1

    def close(self, timeout_s: float) -> bool:
        """Send what is queued, a last meter, and end the thread. False: something was left, and is dropped and counted."""
        with self._lock:
            started = self._thread is not None
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout_s
                self._next_attempt = 0.0
        if started:
            self._wake.put(None)
            self._done.wait(timeout_s + 0.2)
        self._drop_queue("closed", "before Kafka could be reached")
        return not self._left and self._settled >= self._taken

    def abandon(self) -> None:
        """In the child of a fork: neither thread nor sockets are ours; the parent goes on with them."""
        discard(self._producer)

    def _append(self, item: Outgoing) -> None:
        self._queue.append(item)
        self._queued_bytes += item.size
        self._taken += 1
        if self._thread is None:
            self.start()

    def _pop(self) -> Outgoing:
        item = self._queue.popleft()
        self._queued_bytes -= item.size
        return item

    def _awake(self) -> None:
        if self._idle:
            self._idle = False
            self._wake.put(None)

    def _drop_queue(self, reason: str, detail: str) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                item = self._pop()
                self._settled += 1
                self._left += 1
            item.dropped(reason, detail)

    # ---- the background thread

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the thread must outlive any fault of its own
                self._note("fault in the background thread", repr(error))
                time.sleep(0.5)
                if self._closing():  # a fault while closing must not keep the process
                    self._done.set()

    def _round(self) -> None:
        if self._producer is None and time.monotonic() >= self._next_attempt:
            self._try_to_connect()
        if self._producer is not None:
            self._send_some()
            self._renew_if_stuck()
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + self._every_s
            self._send_of_itself(last=False)
        if self._closing() and (not self._queue or self._late()):
            self._finish()
        else:
            self._rest()

    def _closing(self) -> bool:
        return self._deadline is not None

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _rest(self) -> None:
        """Wait for something to do; no longer than a second, or until the next tick."""
        if self._queue and self._producer is not None and self._room():
            if not self._hurry and not self._closing() and len(self._queue) < _BATCH:
                time.sleep(_GATHER_S)
            return
        if self._queue or self._closing():
            time.sleep(0.01 if self._producer is not None or self._closing() else 0.05)
            return
        self._idle = True
        if not self._queue:  # looked at again after the flag: a put in between has seen it, or is seen
            with contextlib.suppress(Empty):
                self._wake.get(timeout=max(0.01, min(1.0, self._next_tick - time.monotonic())))
        self._idle = False

    def _try_to_connect(self) -> None:
        try:
            self._producer = self._connect()
        except Exception as error:  # noqa: BLE001 - whatever kafka-python raises: wrong settings, no broker, no topic, no rights
            self._note("no connection to Kafka", f"{type(error).__name__}: {error}"[:300])
            least, most = _BACKOFF_S
            delay = min(most, least * 2 ** min(self._attempts, 10)) * random.uniform(0.7, 1.0)
            self._attempts += 1
            self._next_attempt = time.monotonic() + (min(delay, 0.5) if self._closing() else delay)
        else:
            self._attempts = 0
            self._failing_since = None

    def _room(self) -> bool:
        return self._under_way < _MOST_UNDER_WAY and self._bytes_under_way < _MOST_BYTES_UNDER_WAY

    def _send_some(self) -> None:
        for _ in range(_BATCH):
            with self._lock:
                if not self._queue or not self._room():
                    return
                item = self._pop()
            if not self._send(item):
                with self._lock:
                    self._queue.appendleft(item)
                    self._queued_bytes += item.size
                return

    def _send(self, item: Outgoing) -> bool:
        """Hand one event to kafka-python. False: not now."""
        try:
            key, value = item.message()
        except ValueError as error:
            self._settle(item, 0, "invalid", str(error))
            return True
        with self._lock:
            self._under_way += 1
            self._bytes_under_way += len(value)
        try:
            future = self._producer.send(self._topic, value=value, key=key)
        except KafkaTimeoutError as error:  # the topic is not known any more
            self._note("no connection to Kafka", str(error))
            self._landed(len(value))
            return False
        except MessageSizeTooLargeError as error:
            self._settle(item, len(value), "too large", str(error), landed=True)
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            self._settle(item, len(value), "refused", repr(error), landed=True)
        else:
            size = len(value)
            future.add_callback(lambda _: self._settle(item, size, landed=True))
            future.add_errback(lambda error: self._settle(item, size, "not delivered", repr(error), landed=True))
        return True

    def _landed(self, size: int) -> None:
        with self._lock:
            self._under_way -= 1
            self._bytes_under_way -= size

    def _settle(self, item: Outgoing, size: int, reason: str = "", detail: str = "", landed: bool = False) -> None:
        """An event has reached its end: acknowledged (no reason), or given up. Also called on kafka-python's thread."""
        if reason:
            item.dropped(reason, detail)
            if reason == "not delivered" and self._failing_since is None:
                self._failing_since = time.monotonic()
        else:
            item.sent()
            self._failing_since = None
        if landed:
            self._landed(size)
        with self._lock:
            self._settled += 1

    def _renew_if_stuck(self) -> None:
        if self._failing_since is not None and time.monotonic() - self._failing_since > _STUCK_S:
            stuck, self._producer = self._producer, None
            shut(stuck, 0.0)

    def _send_of_itself(self, last: bool) -> None:
        for item in self._tick(last):
            if self._producer is not None:
                with self._lock:
                    self._taken += 1
                if not self._send(item):
                    self._settle(item, 0, "not delivered", "no connection")

    def _finish(self) -> None:
        self._await_under_way()
        self._send_of_itself(last=True)
        self._await_under_way()
        self._drop_queue("closed", "before Kafka could be reached")
        producer, self._producer = self._producer, None
        if producer is not None:
            shut(producer, max(0.0, (self._deadline or 0.0) - time.monotonic()))
        self._done.set()

    def _await_under_way(self) -> None:
        while self._under_way and not self._late():
            time.sleep(0.005)
