from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from softfail.sender import Sender


class Item:
    def __init__(self, number: int, size: int = 1, fault: str = "") -> None:
        self.number, self.size, self._fault = number, size, fault
        self.ends: list[str] = []

    def message(self) -> tuple[bytes, bytes]:
        if self._fault:
            raise ValueError(self._fault)
        return b"s/f", str(self.number).encode()

    def sent(self) -> None:
        self.ends.append("sent")

    def dropped(self, reason: str, detail: str) -> None:
        self.ends.append(reason)


@pytest.fixture
def make() -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def sender(
        connect: Callable[[], Any],
        queue_size: int = 100,
        queue_bytes: int = 10_000,
        notes: list[str] | None = None,
    ) -> Sender:
        told = [] if notes is None else notes
        made.append(
            Sender(
                "t",
                connect,
                queue_size,
                queue_bytes,
                3600.0,
                lambda last: (),
                lambda reason, detail: told.append(f"{reason}: {detail}"),
            )
        )
        return made[-1]

    yield sender
    for one in made:
        one.close(0.5)


def away() -> Any:
    raise KafkaTimeoutError("nobody there")


def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.005)


def test_when_the_queue_is_full_the_oldest_goes_and_is_counted(make: Callable[..., Sender]) -> None:
    sender = make(away, queue_size=3)
    items = [Item(number) for number in range(5)]
    for item in items:
        sender.put(item)
    assert [item.ends for item in items] == [["queue full"]] * 2 + [[]] * 3


def test_the_queue_is_bounded_in_bytes_too(make: Callable[..., Sender]) -> None:
    sender = make(away, queue_bytes=100)
    items = [Item(number, size=40) for number in range(4)]
    for item in items:
        sender.put(item)
    assert [item.ends for item in items] == [["queue full"]] * 2 + [[]] * 2


def test_what_was_reported_while_kafka_was_away_is_sent_in_order_when_it_comes(
    make: Callable[..., Sender], fake: Any
) -> None:
    back = threading.Event()
    notes: list[str] = []
    sender = make(lambda: fake if back.is_set() else away(), notes=notes)
    items = [Item(number) for number in range(50)]
    for item in items:
        sender.put(item)
    until(lambda: notes)
    assert not sender.flush(0.05)
    back.set()
    assert sender.flush(10)
    assert [item.ends for item in items] == [["sent"]] * 50
    assert [int(value) for _, value in fake.messages] == list(range(50))
    assert "nobody there" in notes[0]


def test_close_keeps_its_time_and_drops_what_is_left_when_kafka_never_comes(
    make: Callable[..., Sender],
) -> None:
    sender = make(away)
    item = Item(0)
    sender.put(item)
    assert not sender.close(0.3)
    assert item.ends == ["closed"]


def test_close_keeps_its_time_while_connecting_hangs(make: Callable[..., Sender]) -> None:
    release = threading.Event()
    sender = make(lambda: release.wait(30) and away())
    item = Item(0)
    sender.put(item)
    began = time.monotonic()
    assert not sender.close(0.3)
    release.set()
    assert time.monotonic() - began < 5
    assert item.ends == ["closed"]


def test_only_an_acknowledgement_counts_as_sent_and_a_refusal_as_dropped(
    make: Callable[..., Sender], fake: Any
) -> None:
    fake.at_once = False
    sender = make(lambda: fake)
    first, second = Item(1), Item(2)
    sender.put(first)
    until(lambda: fake.futures)
    assert first.ends == []
    fake.deliver()
    sender.put(second)
    until(lambda: fake.futures)
    fake.deliver(KafkaTimeoutError("late"))
    assert sender.flush(5)
    assert (first.ends, second.ends) == (["sent"], ["not delivered"])


def test_what_is_under_way_is_bounded_and_the_rest_waits_in_the_queue(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softfail.in_flight._MOST_UNDER_WAY", 3)
    fake.at_once = False
    sender = make(lambda: fake)
    items = [Item(number) for number in range(7)]
    for item in items:
        sender.put(item)
    until(lambda: len(fake.messages) == 3)
    time.sleep(0.1)
    assert len(fake.messages) == 3
    fake.deliver()
    until(lambda: len(fake.messages) == 6)
    fake.deliver()
    until(lambda: len(fake.messages) == 7)
    fake.deliver()
    assert sender.flush(5)
    assert [item.ends for item in items] == [["sent"]] * 7


def test_an_event_that_cannot_be_sent_does_not_stop_its_neighbours(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = fake.send

    def refusing(topic: str, value: bytes, key: bytes) -> Any:
        if value == b"2":
            raise MessageSizeTooLargeError("2 MB")
        if value == b"3":
            raise AssertionError("a fault of kafka-python")
        return send(topic, value, key)

    monkeypatch.setattr(fake, "send", refusing)
    sender = make(lambda: fake)
    items = [Item(0), Item(1, fault="feature: missing"), Item(2), Item(3), Item(4)]
    for item in items:
        sender.put(item)
    assert sender.flush(5)
    assert [item.ends for item in items] == [["sent"], ["invalid"], ["too large"], ["refused"], ["sent"]]


def test_a_producer_that_only_fails_is_replaced(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softfail.sender._STUCK_S", 0.05)
    fake.at_once = False
    fresh = type(fake)()
    producers = [fake, fresh]
    sender = make(lambda: producers.pop(0))
    sender.put(Item(0))
    until(lambda: fake.futures)
    fake.deliver(KafkaTimeoutError("fenced"))
    until(lambda: fake.closed)
    item = Item(1)
    sender.put(item)
    assert sender.flush(5)
    assert item.ends == ["sent"]


def test_an_unknown_topic_while_sending_keeps_the_event_and_tries_again(
    make: Callable[..., Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, failures = fake.send, [KafkaTimeoutError("metadata")] * 3

    def sometimes(topic: str, value: bytes, key: bytes) -> Any:
        if failures:
            raise failures.pop()
        return send(topic, value, key)

    monkeypatch.setattr(fake, "send", sometimes)
    sender = make(lambda: fake)
    item = Item(0)
    sender.put(item)
    assert sender.flush(5)
    assert item.ends == ["sent"]


def test_offer_waits_for_room_and_says_when_there_is_none(make: Callable[..., Sender], fake: Any) -> None:
    back = threading.Event()
    sender = make(lambda: fake if back.is_set() else away(), queue_size=2)
    assert sender.offer(Item(0), 0.1)
    assert sender.offer(Item(1), 0.1)
    assert not sender.offer(Item(2), 0.1)
    back.set()
    assert sender.offer(Item(3), 10)
