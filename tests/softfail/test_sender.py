from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from softfail.sender import Sender
from tests.polling import wait_until


class FakeItem:
    def __init__(self, number: int, size: int = 1, error: str = "") -> None:
        self.number, self.size, self._error = number, size, error
        self.outcomes: list[str] = []

    def message(self) -> tuple[bytes, bytes]:
        if self._error:
            raise ValueError(self._error)
        return b"s/f", str(self.number).encode()

    def sent(self) -> None:
        self.outcomes.append("sent")

    def dropped(self, reason: str, detail: str) -> None:
        self.outcomes.append(reason)


@pytest.fixture
def make() -> Iterator[Callable[..., Sender]]:
    senders: list[Sender] = []

    def make_sender(
        connect: Callable[[], Any],
        queue_size: int = 100,
        queue_bytes: int = 10_000,
        notes: list[str] | None = None,
    ) -> Sender:
        problems = [] if notes is None else notes
        senders.append(
            Sender(
                "t",
                connect,
                queue_size,
                queue_bytes,
                3600.0,
                lambda last: (),
                lambda reason, detail: problems.append(f"{reason}: {detail}"),
            )
        )
        return senders[-1]

    yield make_sender
    for sender in senders:
        sender.close(0.5)


def fail_to_connect() -> Any:
    raise KafkaTimeoutError("no broker")


@pytest.mark.parametrize(
    ("limit", "events", "kept"), [({"queue_size": 3}, 5, 3), ({"queue_bytes": 100}, 4, 2)]
)
def test_when_the_queue_is_full_in_events_or_bytes_the_oldest_event_is_dropped_and_counted(
    make: Callable[..., Sender], limit: dict[str, int], events: int, kept: int
) -> None:
    sender = make(fail_to_connect, **limit)
    items = [FakeItem(number, size=40) for number in range(events)]
    for item in items:
        sender.put(item)
    assert [item.outcomes for item in items] == [["queue full"]] * (events - kept) + [[]] * kept


def test_events_queued_during_an_outage_are_sent_in_order_after_it(
    make: Callable[..., Sender], fake: Any
) -> None:
    is_up = threading.Event()
    notes: list[str] = []
    sender = make(lambda: fake if is_up.is_set() else fail_to_connect(), notes=notes)
    items = [FakeItem(number) for number in range(50)]
    for item in items:
        sender.put(item)
    wait_until(lambda: notes)
    assert not sender.flush(0.05)
    is_up.set()
    assert sender.flush(10)
    assert [item.outcomes for item in items] == [["sent"]] * 50
    assert [int(value) for _, value in fake.messages] == list(range(50))
    assert "no broker" in notes[0]


def test_close_without_kafka_ends_in_time_and_drops_the_queue(
    make: Callable[..., Sender],
) -> None:
    sender = make(fail_to_connect)
    item = FakeItem(0)
    sender.put(item)
    assert not sender.close(0.3)
    assert item.outcomes == ["closed"]


def test_close_ends_in_time_while_connecting_blocks(make: Callable[..., Sender]) -> None:
    release = threading.Event()
    sender = make(lambda: release.wait(30) and fail_to_connect())
    item = FakeItem(0)
    sender.put(item)
    start_s = time.monotonic()
    assert not sender.close(0.3)
    release.set()
    assert time.monotonic() - start_s < 5
    assert item.outcomes == ["closed"]


def test_an_event_is_sent_when_acknowledged_and_dropped_when_rejected(
    make: Callable[..., Sender], fake: Any
) -> None:
    fake.auto_acknowledge = False
    sender = make(lambda: fake)
    first, second = FakeItem(1), FakeItem(2)
    sender.put(first)
    wait_until(fake.pending)
    assert first.outcomes == []
    fake.acknowledge()
    sender.put(second)
    wait_until(fake.pending)
    fake.acknowledge(KafkaTimeoutError("late"))
    assert sender.flush(5)
    assert (first.outcomes, second.outcomes) == (["sent"], ["not delivered"])


def test_the_number_of_events_in_flight_is_bounded_and_the_others_wait_in_the_queue(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softfail.in_flight._MAX_IN_FLIGHT", 3)
    send, pending_counts = fake.send, []

    def count_and_send(topic: str, value: bytes, key: bytes) -> Any:
        pending_counts.append(len(fake.pending()))
        return send(topic, value, key)

    monkeypatch.setattr(fake, "send", count_and_send)
    fake.auto_acknowledge = False
    sender = make(lambda: fake)
    items = [FakeItem(number) for number in range(7)]
    for item in items:
        sender.put(item)
    for count in (3, 6, 7):
        wait_until(lambda count=count: len(fake.messages) == count)
        fake.acknowledge()
    assert sender.flush(5)
    assert max(pending_counts) == 2
    assert [item.outcomes for item in items] == [["sent"]] * 7


def test_an_event_that_cannot_be_sent_does_not_stop_the_others(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = fake.send

    def send_or_raise(topic: str, value: bytes, key: bytes) -> Any:
        if value == b"2":
            raise MessageSizeTooLargeError("2 MB")
        if value == b"3":
            raise AssertionError("a bug in kafka-python")
        return send(topic, value, key)

    monkeypatch.setattr(fake, "send", send_or_raise)
    sender = make(lambda: fake)
    items = [FakeItem(0), FakeItem(1, error="feature: missing"), FakeItem(2), FakeItem(3), FakeItem(4)]
    for item in items:
        sender.put(item)
    assert sender.flush(5)
    assert [item.outcomes for item in items] == [["sent"], ["invalid"], ["too large"], ["refused"], ["sent"]]


def test_a_producer_that_fails_for_too_long_is_replaced(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softfail.sender._STUCK_S", 0.05)
    fake.auto_acknowledge = False
    producers = [fake, type(fake)()]
    sender = make(lambda: producers.pop(0))
    sender.put(FakeItem(0))
    wait_until(fake.pending)
    fake.acknowledge(KafkaTimeoutError("fenced"))
    wait_until(lambda: fake.closed)
    item = FakeItem(1)
    sender.put(item)
    assert sender.flush(5)
    assert item.outcomes == ["sent"]


def test_an_event_is_kept_and_retried_when_the_metadata_of_its_topic_times_out(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, failures = fake.send, [KafkaTimeoutError("metadata")] * 3

    def fail_three_times(topic: str, value: bytes, key: bytes) -> Any:
        if failures:
            raise failures.pop()
        return send(topic, value, key)

    monkeypatch.setattr(fake, "send", fail_three_times)
    sender = make(lambda: fake)
    item = FakeItem(0)
    sender.put(item)
    assert sender.flush(5)
    assert item.outcomes == ["sent"]


def test_offer_waits_for_space_and_returns_false_without_it(make: Callable[..., Sender], fake: Any) -> None:
    is_up = threading.Event()
    sender = make(lambda: fake if is_up.is_set() else fail_to_connect(), queue_size=2)
    assert sender.offer(FakeItem(0), 0.1)
    assert sender.offer(FakeItem(1), 0.1)
    assert not sender.offer(FakeItem(2), 0.1)
    is_up.set()
    assert sender.offer(FakeItem(3), 10)
