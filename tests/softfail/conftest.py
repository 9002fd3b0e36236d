from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


class Broker:
    """librdkafka's mock cluster: real sockets and the real protocol, without durability. Topics have 4
    partitions.
    """

    def __init__(self) -> None:
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        self._names = itertools.count()

    def topic(self) -> str:
        """A fresh topic. The mock creates topics on first use, which our producer does not ask for."""
        name = f"events-{next(self._names)}"
        self._cluster.list_topics(name, timeout=10)
        return name

    def raw(self, topic: str, least: int = 0, timeout_s: float = 10.0) -> list[Any]:
        """All messages of a topic, at least so many (waits)."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "tests",
                "enable.auto.commit": False,
                "check.crcs": True,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(4)])
        found: list[Any] = []
        until = time.monotonic() + timeout_s
        quiet = 0
        while time.monotonic() < until and (len(found) < least or quiet < 2):
            message = consumer.poll(0.2)
            quiet = quiet + 1 if message is None else 0
            if message is not None and not message.error():
                found.append(message)
        consumer.close()
        return found

    def events(self, topic: str, least: int = 0) -> dict[str, list[dict[str, Any]]]:
        """Kind -> events, when there are at least so many in all."""
        found: dict[str, list[dict[str, Any]]] = {
            "response": [],
            "feedback": [],
            "evaluation": [],
            "meter": [],
        }
        for message in self.raw(topic, least):
            event = json.loads(message.value())
            found[event["kind"]].append(event)
        return found


class FakeFuture:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[Any], Any]] = []
        self.errbacks: list[Callable[[Any], Any]] = []

    def add_callback(self, function: Callable[[Any], Any]) -> FakeFuture:
        self.callbacks.append(function)
        return self

    def add_errback(self, function: Callable[[Any], Any]) -> FakeFuture:
        self.errbacks.append(function)
        return self


class FakeProducer:
    """Takes what kafka-python's producer takes; acknowledges from ``deliver``, or at once when a callback is
    added.
    """

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.messages: list[tuple[bytes, bytes]] = []
        self.futures: list[FakeFuture] = []
        self.closed = False

    def send(self, topic: str, value: bytes, key: bytes) -> FakeFuture:
        self.messages.append((key, value))
        future = FakeFuture()
        if self.at_once:
            future.add_callback = lambda function: function(None)  # type: ignore[method-assign, assignment]
        self.futures.append(future)
        return future

    def deliver(self, error: Exception | None = None) -> None:
        for future in self.futures:
            for function in future.errbacks if error else future.callbacks:
                function(error)
        self.futures.clear()

    def close(self, timeout: float) -> None:
        self.closed = True

    def events(self, kind: str = "response") -> list[dict[str, Any]]:
        return [event for event in (json.loads(value) for _, value in self.messages) if event["kind"] == kind]


@pytest.fixture(scope="session")
def broker() -> Broker:
    return Broker()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    """Every ``Softfail`` made in the test sends to this producer."""
    producer = FakeProducer()
    monkeypatch.setattr("softfail.client.open_producer", lambda *_: producer)
    return producer


@pytest.fixture
def client(fake: FakeProducer) -> Iterator[Callable[..., Any]]:
    """Makes clients on the fake producer, closed at the end."""
    from softfail import Softfail

    made = []

    def make(**options: Any) -> Softfail:
        made.append(
            Softfail(**{"service": "shop", "content_probability": 1.0, "meter_interval_s": 3600, **options})
        )
        return made[-1]

    yield make
    for one in made:
        one.close(2)


@pytest.fixture(scope="session")
def fake_client() -> Callable[..., Any]:
    """A context manager for property tests: a client and its fake producer, both fresh."""

    @contextlib.contextmanager
    def make(**options: Any) -> Iterator[tuple[Any, FakeProducer]]:
        from softfail import Softfail

        producer = FakeProducer()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("softfail.client.open_producer", lambda *_: producer)
            sf = Softfail(**{"service": "shop", **options})
            try:
                yield sf, producer
            finally:
                sf.close(5)

    return make
