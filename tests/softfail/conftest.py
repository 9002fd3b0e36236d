from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

collect_ignore_glob = [
    "own_evaluator_*.py"
]  # their import hangs or ends the process, which is what they are for


class Broker:
    """librdkafka's mock cluster: real sockets and protocol, no durability. Topics have 4 partitions."""

    def __init__(self) -> None:
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        self._topic_numbers = itertools.count()

    def topic(self) -> str:
        """Create a topic. The mock does this on first use, which our producer never requests."""
        name = f"events-{next(self._topic_numbers)}"
        self._cluster.list_topics(name, timeout=10)
        return name

    def messages(self, topic: str, min_count: int = 0, timeout_s: float = 10.0) -> list[Any]:
        """Read all messages of a topic. Wait until there are at least ``min_count``."""
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
        messages: list[Any] = []
        deadline_s = time.monotonic() + timeout_s
        empty_polls = 0
        while time.monotonic() < deadline_s and (len(messages) < min_count or empty_polls < 2):
            message = consumer.poll(0.2)
            empty_polls = empty_polls + 1 if message is None else 0
            if message is not None and not message.error():
                messages.append(message)
        consumer.close()
        return messages

    def events(self, topic: str, min_count: int = 0) -> dict[str, list[dict[str, Any]]]:
        """Read all events of a topic, by kind. Wait until there are at least ``min_count`` in all."""
        events: dict[str, list[dict[str, Any]]] = {
            "response": [],
            "feedback": [],
            "evaluation": [],
            "meter": [],
        }
        for message in self.messages(topic, min_count):
            event = json.loads(message.value())
            events[event["kind"]].append(event)
        return events


class FakeFuture:
    """The future of a sent message. Callbacks added after its completion run at once, as in kafka-python."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Any], Any]] = []
        self._errbacks: list[Callable[[Any], Any]] = []
        self._error: Exception | None = None
        self.completed = False

    def add_callback(self, function: Callable[[Any], Any]) -> FakeFuture:
        return self._add(function, self._callbacks, is_errback=False)

    def add_errback(self, function: Callable[[Any], Any]) -> FakeFuture:
        return self._add(function, self._errbacks, is_errback=True)

    def complete(self, error: Exception | None = None) -> None:
        with self._lock:
            self.completed, self._error = True, error
        for function in self._errbacks if error else self._callbacks:
            function(error)

    def _add(
        self, function: Callable[[Any], Any], functions: list[Callable[[Any], Any]], is_errback: bool
    ) -> FakeFuture:
        with self._lock:
            if not self.completed:
                functions.append(function)
                return self
        if is_errback == (self._error is not None):
            function(self._error)
        return self


class FakeProducer:
    """Has the interface of kafka-python's producer.

    Acknowledges each message at once, or, with ``auto_acknowledge`` False, in ``acknowledge``.
    """

    def __init__(self, auto_acknowledge: bool = True) -> None:
        self.auto_acknowledge = auto_acknowledge
        self.messages: list[tuple[bytes, bytes]] = []
        self._futures: list[FakeFuture] = []
        self.closed = False

    def send(self, topic: str, value: bytes, key: bytes) -> FakeFuture:
        future = FakeFuture()
        if self.auto_acknowledge:
            future.complete()
        self._futures.append(future)
        self.messages.append((key, value))
        return future

    def pending(self) -> list[FakeFuture]:
        """The futures of the messages that are not acknowledged."""
        return [future for future in self._futures if not future.completed]

    def acknowledge(self, error: Exception | None = None) -> None:
        """Acknowledge all pending messages, or fail them with an error."""
        for future in self.pending():
            future.complete(error)

    def close(self, timeout: float) -> None:
        self.closed = True

    def events(self, kind: str = "response") -> list[dict[str, Any]]:
        return [event for event in (json.loads(value) for _, value in self.messages) if event["kind"] == kind]


@pytest.fixture(scope="session")
def broker() -> Broker:
    return Broker()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    """A fake producer. Every ``Softfail`` created in the test sends to it."""
    producer = FakeProducer()
    monkeypatch.setattr("softfail.client.open_producer", lambda *_: producer)
    return producer


@pytest.fixture
def client(fake: FakeProducer) -> Iterator[Callable[..., Any]]:
    """A function that creates clients on the fake producer. They are closed after the test."""
    from softfail import Softfail

    clients = []

    def make(**options: Any) -> Softfail:
        client = Softfail(
            **{"service": "shop", "content_probability": 1.0, "meter_interval_s": 3600, **options}
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close(2)


@pytest.fixture(scope="session")
def fake_client() -> Callable[..., Any]:
    """A context manager for property tests: a new client and its new fake producer."""

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
