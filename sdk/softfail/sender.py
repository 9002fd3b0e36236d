"""Run the background thread between the queue and Kafka. The calling thread waits for neither."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from softfail.backoff import Backoff
from softfail.in_flight import InFlight
from softfail.kafka_connection import abandon_producer, close_producer
from softfail.send_queue import QueueItem, SendQueue, UncheckedItem

_BATCH = 500  # events sent before the thread checks timers and the connection again
# The thread pauses this long so that a burst accumulates. Otherwise it would compete with the service for the
# interpreter lock at every event.
_GATHER_S = 0.01
_RECONNECT = Backoff(first_s=0.5, longest_s=30.0)
# Failures without a success for this long: use a new producer. An idempotent producer can fail permanently.
_STUCK_S = 60.0


class Sender:
    """Takes events from any thread and hands them to Kafka on a thread of its own.

    Args:
        topic: topic of the events.
        connect: returns a connected producer that knows the topic, or raises; runs on the background thread.
        queue_size: maximum number of waiting events. When it is reached, the oldest event is dropped.
        queue_bytes: maximum sum of their sizes.
        tick_interval_s: seconds between calls of ``tick``.
        tick: returns events to send (the meters); its argument says whether it is the last call.
        note: called with (reason, detail) when the connection has a problem.
    """

    def __init__(
        self,
        topic: str,
        connect: Callable[[], Any],
        queue_size: int,
        queue_bytes: int,
        tick_interval_s: float,
        tick: Callable[[bool], Iterable[QueueItem]],
        note: Callable[[str, str], None],
    ) -> None:
        self._connect, self._tick_interval_s, self._tick, self._note = connect, tick_interval_s, tick, note
        self._queue: SendQueue[QueueItem] = SendQueue(queue_size, queue_bytes)
        self._unchecked: SendQueue[UncheckedItem] = SendQueue(queue_size, queue_bytes)
        self._unchecked_count = self._checked_count = 0  # put, and taken, since the start
        self._in_flight = InFlight(topic, note)
        self._lock = threading.RLock()
        # A signal handler may interrupt its put and call it again, unlike Event.set.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._idle = False
        self._flush_count = 0  # flush calls in progress
        self._close_deadline_s: float | None = None  # set once, by close
        self._leftover_count = 0  # dropped because the time to close ran out
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._connect_failures = 0
        self._next_connect_s = 0.0
        self._next_tick_s = time.monotonic() + tick_interval_s

    # ---- for any thread

    def start(self) -> None:
        """Start the background thread if it is not running. ``put`` does this too."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="softfail", daemon=True)
                self._thread.start()

    def put(self, item: QueueItem) -> None:
        """Queue an event. Takes microseconds. If the queue is full, the oldest events are dropped."""
        if self._close_deadline_s is not None:
            item.dropped("closed", "reported after close")
            return
        self._append(item)
        self._wake_up()

    def put_unchecked(self, item: UncheckedItem) -> None:
        """Queue a response for the safety checks, which run on the background thread. If they are too slow,
        the oldest responses are sampled without having been checked.
        """
        if self._close_deadline_s is not None:
            self._put_without_check(item)
            return
        with self._lock:
            self._unchecked_count += 1
        for removed in self._unchecked.put(item):
            self._note("safety checks left out", "they are slower than the calls, or queue_size is too small")
            self._put_without_check(removed)
            self._count_checked()
        self._wake_up()

    def _put_without_check(self, item: UncheckedItem) -> None:
        for event in item.events(check=False):
            self.put(event)

    def _append(self, item: QueueItem) -> None:
        self._in_flight.accept()
        for removed in self._queue.put(item):
            self._in_flight.drop(removed, "queue full", "Kafka is down or slow, or queue_size is too small")

    def _count_checked(self) -> None:
        with self._lock:
            self._checked_count += 1

    def offer(self, item: QueueItem, timeout_s: float) -> bool:
        """Queue an event, waiting for space: for callers that may block.

        Returns:
            False if there was no space within the time.
        """
        deadline_s = time.monotonic() + timeout_s
        while self._close_deadline_s is None:
            if self._queue.offer(item):
                self._in_flight.accept()
                self._wake_up()
                return True
            if time.monotonic() >= deadline_s:
                break
            self._wake_up()
            time.sleep(0.005)
        return False

    def flush(self, timeout_s: float) -> bool:
        """Wait until all events queued before are acknowledged or dropped.

        Returns:
            False if some were not within the time.
        """
        deadline_s = time.monotonic() + timeout_s
        unchecked = self._unchecked_count
        with self._lock:
            self._flush_count += 1
        try:
            while (
                self._checked_count < unchecked
                and time.monotonic() < deadline_s
                and not self._stopped.is_set()
            ):
                self._wake_up()
                time.sleep(0.005)
            target = self._in_flight.accepted_count
            while (
                self._in_flight.completed_count < target
                and time.monotonic() < deadline_s
                and not self._stopped.is_set()
            ):
                self._wake_up()
                time.sleep(0.005)
            return self._in_flight.completed_count >= target and self._checked_count >= unchecked
        finally:
            with self._lock:
                self._flush_count -= 1

    def close(self, timeout_s: float) -> bool:
        """Send the queued events and a last meter, then end the thread.

        Returns:
            False if events were left when the time ran out. They are dropped and counted.
        """
        with self._lock:
            if self._close_deadline_s is None:
                self._close_deadline_s = time.monotonic() + timeout_s
                self._next_connect_s = 0.0
        if self._thread is not None:
            self._wake.put(None)
            self._stopped.wait(timeout_s + 0.2)
        self._drop_queue()
        return not self._leftover_count and self._in_flight.completed_count >= self._in_flight.accepted_count

    def abandon(self) -> None:
        """Give up the parent's connection, in the child of a fork. The parent continues to use it."""
        abandon_producer(self._producer)

    def _wake_up(self) -> None:
        if self._thread is None:
            self.start()
        if self._idle:
            self._idle = False
            self._wake.put(None)

    def _drop_queue(self) -> None:
        while (unchecked := self._unchecked.take()) is not None:
            for event in unchecked.events(check=False):
                self._append(event)
            self._count_checked()
        while (item := self._queue.take()) is not None:
            self._leftover_count += 1
            self._in_flight.drop(item, "closed", "before Kafka could be reached")

    # ---- the background thread

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._run_once()
            except Exception as error:  # noqa: BLE001 - a bug must not end the thread
                self._note("fault in the background thread", repr(error))
                time.sleep(0.5)
                if self._is_past_deadline():  # an error while closing must not keep the process alive
                    self._stopped.set()

    def _check(self) -> None:
        """Run the safety checks on responses that wait for them, and queue what is to be sent. They go on
        without Kafka, and wait for events that Kafka can take.
        """
        for _ in range(_BATCH):
            if self._producer is not None and self._queue.is_half_full:
                return
            item = self._unchecked.take()
            if item is None:
                return
            try:
                for event in item.events(check=True):
                    self._append(event)
            finally:
                self._count_checked()

    def _run_once(self) -> None:
        self._check()
        if self._producer is None and time.monotonic() >= self._next_connect_s:
            self._try_to_connect()
        if self._producer is not None:
            self._in_flight.send_from(self._queue, self._producer, _BATCH)
            if self._in_flight.failing_s() > _STUCK_S:
                stuck_producer, self._producer = self._producer, None
                close_producer(stuck_producer, 0.0)
        if time.monotonic() >= self._next_tick_s:
            self._next_tick_s = time.monotonic() + self._tick_interval_s
            self._send_meters(last=False)
        waits = self._queue or self._unchecked
        if self._close_deadline_s is not None and (not waits or self._is_past_deadline()):
            self._finish()
        else:
            self._wait_for_work()

    def _is_past_deadline(self) -> bool:
        return self._close_deadline_s is not None and time.monotonic() >= self._close_deadline_s

    def _wait_for_work(self) -> None:
        """Wait for an event, for at most a second or until the next tick."""
        closing = self._close_deadline_s is not None
        if self._unchecked and not (self._producer is not None and self._queue.is_half_full):
            return
        if self._queue or closing:
            if self._producer is None or not self._in_flight.has_capacity():
                time.sleep(0.01 if closing or self._producer else 0.05)
            elif not self._flush_count and not closing and len(self._queue) < _BATCH:
                time.sleep(_GATHER_S)
            return
        self._idle = True
        # Check again after setting the flag: an event that was put in between either saw it or is seen here.
        if not self._queue and not self._unchecked:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=max(0.01, min(1.0, self._next_tick_s - time.monotonic())))
        self._idle = False

    def _try_to_connect(self) -> None:
        try:
            self._producer = self._connect()
        except Exception as error:  # noqa: BLE001 - kafka-python raises many types: wrong settings, no broker, no topic
            self._note("no connection to Kafka", f"{type(error).__name__}: {error}"[:300])
            self._connect_failures += 1
            wait_s = _RECONNECT.wait_s(self._connect_failures, jitter=random.uniform(0.0, 0.6))
            closing = self._close_deadline_s is not None
            self._next_connect_s = time.monotonic() + (min(wait_s, 0.5) if closing else wait_s)
        else:
            self._connect_failures = 0
            self._in_flight.reset_failures()

    def _send_meters(self, last: bool) -> None:
        for item in self._tick(last):
            if self._producer is not None:
                self._in_flight.accept()
                if not self._in_flight.send(item, self._producer):
                    self._in_flight.drop(item, "not delivered", "no connection")

    def _finish(self) -> None:
        self._wait_for_acknowledgements()
        self._send_meters(last=True)
        self._wait_for_acknowledgements()
        self._drop_queue()
        producer, self._producer = self._producer, None
        if producer is not None:
            close_producer(producer, max(0.0, (self._close_deadline_s or 0.0) - time.monotonic()))
        self._stopped.set()

    def _wait_for_acknowledgements(self) -> None:
        while self._in_flight.count and not self._is_past_deadline():
            time.sleep(0.005)
