"""Publisher at a steady rate during faults, and a receiver of pages."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents.demo.fake_pagerduty import FakePagerDuty
from tests.durability.undisturbed import PARTITIONS, event
from tests.polling import wait_until

collect_ignore_glob = ["soak/*"]  # a program whose modules import each other by plain names


class Publisher(threading.Thread):
    """Publisher of ``value_of(rng, elapsed_s)``, a (key, value), at a steady rate until it is finished."""

    def __init__(
        self,
        topics: Any,
        value_of: Callable[[random.Random, float], tuple[bytes, bytes]],
        rate: float,
        seed: int,
    ) -> None:
        super().__init__(daemon=True)
        self._topics, self._value_of, self._rate, self._rng = topics, value_of, rate, random.Random(seed)
        self._done = threading.Event()
        self.published = 0

    def run(self) -> None:
        from kafka import KafkaProducer

        producer = KafkaProducer(
            bootstrap_servers=self._topics.address,
            linger_ms=5,
            enable_idempotence=True,
            delivery_timeout_ms=300_000,
            reconnect_backoff_ms=200,
            reconnect_backoff_max_ms=500,
        )
        began = time.monotonic()
        while not self._done.is_set():
            elapsed_s = time.monotonic() - began
            while self.published < elapsed_s * self._rate:
                key, value = self._value_of(self._rng, elapsed_s)
                producer.send(f"{self._topics.prefix}.events", key=key, value=value)
                self.published += 1
            time.sleep(0.02)
        producer.flush(timeout=120)
        producer.close()

    def finish(self) -> None:
        """Stop publishing; return when everything is acknowledged."""
        self._done.set()
        self.join()


@pytest.fixture
def publish() -> Iterator[Callable[..., Publisher]]:
    """Start a ``Publisher``."""
    started: list[Publisher] = []

    def start(
        topics: Any,
        value_of: Callable[[random.Random, float], tuple[bytes, bytes]],
        rate: float = 1500,
        seed: int = 1,
    ) -> Publisher:
        started.append(Publisher(topics, value_of, rate, seed))
        started[-1].start()
        return started[-1]

    yield start
    for publisher in started:
        publisher.finish()


@pytest.fixture
def receiver() -> Iterator[FakePagerDuty]:
    """A PagerDuty receiver that listens in its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = FakePagerDuty("0123456789abcdef0123456789abcdef")
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture
def two_workers(make_topics, make_workers, counting_command, publish):
    """Topics, two workers that own them, and a running publisher."""

    def start(environment: dict[str, str] | None = None, **settings: Any) -> tuple[Any, Any, Any]:
        topics = make_topics(PARTITIONS)
        workers = make_workers(counting_command(topics, **settings), environment)
        workers.start(1)
        workers.start(2)
        # on a busy machine all other records would be a single bundle
        wait_until(lambda: workers.log().count(" owns ") >= PARTITIONS, 60, "nobody owns the partitions")
        publisher = publish(topics, event)
        wait_until(lambda: publisher.published > 2000, 60, "nothing is published")
        return topics, workers, publisher

    return start
