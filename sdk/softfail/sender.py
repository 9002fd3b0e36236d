"""The background thread between the outbox and Kafka. The calling thread waits for neither."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from softfail.in_flight import Deliveries
from softfail.kafka_connection import discard, shut
from softfail.send_queue import Outbox, Outgoing

_BATCH = 500  # events handed on before the thread looks at anything else
_GATHER_S = 0.01  # the thread lets a burst arrive instead of fighting for the interpreter at every event
_BACKOFF_S = (0.5, 30.0)
_STUCK_S = 60.0  # failures and no success for so long: a fresh producer (an idempotent one can fail for good)


class Sender:
    """Takes events from any thread, hands them to Kafka on one of its own.

    Args:
        topic: where they go.
        connect: gives a connected producer that knows the topic, or raises; called on the background thread.
        queue_size: events that wait at most; one more, and the oldest is dropped.
        queue_bytes: their sizes at most.
        every_s: seconds between calls of ``tick``.
        tick: gives what is to be sent of its own accord (meters); its argument says whether it is the last
            call.
        note: told (reason, detail) of what goes wrong with the connection.
    """

    def __init__(
        self,
        topic: str,
        connect: Callable[[], Any],
        queue_size: int,
        queue_bytes: int,
        every_s: float,
        tick: Callable[[bool], Iterable[Outgoing]],
        note: Callable[[str, str], None],
    ) -> None:
        self._connect, self._every_s, self._tick, self._note = connect, every_s, tick, note
        self._outbox = Outbox(queue_size, queue_bytes)
        self._deliveries = Deliveries(topic, note)
        self._lock = threading.RLock()
        # its put may be interrupted by itself, unlike Event.set
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._idle = False
        self._hurry = 0
        self._deadline: float | None = None  # set once: closing
        self._left = 0  # dropped because it was closing
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._attempts = 0
        self._next_attempt = 0.0
        self._next_tick = time.monotonic() + every_s

    # ---- for any thread

    def start(self) -> None:
        """Start the thread, once. ``put`` does it too."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="softfail", daemon=True)
                self._thread.start()

    def put(self, item: Outgoing) -> None:
        """Take an event; microseconds. When there is no room the oldest ones are dropped."""
        if self._deadline is not None:
            item.dropped("closed", "reported after close")
            return
        self._deliveries.expect()
        for old in self._outbox.put(item):
            self._deliveries.drop(old, "queue full", "Kafka is away or slow, or queue_size is too small")
        self._awake()

    def offer(self, item: Outgoing, timeout_s: float) -> bool:
        """Take an event, waiting for room: for callers that have time. False: there was none."""
        until = time.monotonic() + timeout_s
        while self._deadline is None:
            if self._outbox.offer(item):
                self._deliveries.expect()
                self._awake()
                return True
            if time.monotonic() >= until:
                break
            self._awake()
            time.sleep(0.005)
        return False

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put before is acknowledged or dropped. False: not within the time."""
        until = time.monotonic() + timeout_s
        target = self._deliveries.expected
        with self._lock:
            self._hurry += 1
        try:
            while self._deliveries.settled < target and time.monotonic() < until and not self._done.is_set():
                self._awake()
                time.sleep(0.005)
            return self._deliveries.settled >= target
        finally:
            with self._lock:
                self._hurry -= 1

    def close(self, timeout_s: float) -> bool:
        """Send what is queued, a last meter, and end the thread. False: something was left, and is dropped
        and counted.
        """
        with self._lock:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout_s
                self._next_attempt = 0.0
        if self._thread is not None:
            self._wake.put(None)
            self._done.wait(timeout_s + 0.2)
        self._drop_the_rest()
        return not self._left and self._deliveries.settled >= self._deliveries.expected

    def abandon(self) -> None:
        """In the child of a fork: neither thread nor sockets are ours; the parent goes on with them."""
        discard(self._producer)

    def _awake(self) -> None:
        if self._thread is None:
            self.start()
        if self._idle:
            self._idle = False
            self._wake.put(None)

    def _drop_the_rest(self) -> None:
        while (item := self._outbox.take()) is not None:
            self._left += 1
            self._deliveries.drop(item, "closed", "before Kafka could be reached")

    # ---- the background thread

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the thread must outlive any fault of its own
                self._note("fault in the background thread", repr(error))
                time.sleep(0.5)
                if self._late():  # a fault while closing must not keep the process
                    self._done.set()

    def _round(self) -> None:
        if self._producer is None and time.monotonic() >= self._next_attempt:
            self._try_to_connect()
        if self._producer is not None:
            self._deliveries.hand_on(self._producer, self._outbox, _BATCH)
            if self._deliveries.failing_s() > _STUCK_S:
                stuck, self._producer = self._producer, None
                shut(stuck, 0.0)
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + self._every_s
            self._send_of_itself(last=False)
        if self._deadline is not None and (not self._outbox or self._late()):
            self._finish()
        else:
            self._rest()

    def _late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _rest(self) -> None:
        """Wait for something to do; no longer than a second, or until the next tick."""
        closing = self._deadline is not None
        if self._outbox or closing:
            if self._producer is None or not self._deliveries.room():
                time.sleep(0.01 if closing or self._producer else 0.05)
            elif not self._hurry and not closing and len(self._outbox) < _BATCH:
                time.sleep(_GATHER_S)
            return
        self._idle = True
        if not self._outbox:  # looked at again after the flag: a put in between has seen it, or is seen
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
            self._next_attempt = time.monotonic() + (delay if self._deadline is None else min(delay, 0.5))
        else:
            self._attempts = 0
            self._deliveries.begin_anew()

    def _send_of_itself(self, last: bool) -> None:
        for item in self._tick(last):
            if self._producer is not None:
                self._deliveries.expect()
                if not self._deliveries.send(self._producer, item):
                    self._deliveries.drop(item, "not delivered", "no connection")

    def _finish(self) -> None:
        self._await_deliveries()
        self._send_of_itself(last=True)
        self._await_deliveries()
        self._drop_the_rest()
        producer, self._producer = self._producer, None
        if producer is not None:
            shut(producer, max(0.0, (self._deadline or 0.0) - time.monotonic()))
        self._done.set()

    def _await_deliveries(self) -> None:
        while self._deliveries.under_way and not self._late():
            time.sleep(0.005)
