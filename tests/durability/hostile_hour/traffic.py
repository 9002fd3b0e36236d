"""What is published to the events: healthy and failing calls, floods, labels that never repeat, and junk."""

from __future__ import annotations

import collections
import json
import random
import threading
import time
from datetime import UTC, datetime
from typing import Any

from tests.scenarios.faults import FAULTS, healthy

HEALTHY = "shop-bot/answer"
FLOOD, LABELS, NAMES = "batch/flood", "shop-bot/labels", "names"
CALLS_A_MINUTE = 240  # of the healthy and of each failing feature
TICK_S = 0.01
Place = tuple[int, int]  # partition, offset


class Traffic(threading.Thread):
    """Publisher of all events, by one producer that neither loses nor repeats.

    Attributes:
        rates: calls a second, by feature; what is not there is not sent.
        faults: feature to what its calls are, of ``tests.scenarios.faults``; others are healthy.
        sent: calls by feature. ``failed``: those of a fault.
        junk: where each record lies that must become a dead letter, and its kind.
        lost: what the producer gave up.
    """

    def __init__(self, address: str, prefix: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._address, self._topic = address, f"{prefix}.events"
        self._draw = random.Random(f"traffic {seed}")
        self.rates: dict[str, float] = {}
        self.faults: dict[str, str] = {}
        self.sent: collections.Counter[str] = collections.Counter()
        self.failed: collections.Counter[str] = collections.Counter()
        self.junk: dict[Place, str] = {}
        self.lost: list[str] = []
        self._names = 0
        self._waiting: collections.deque[tuple[bytes, bytes | None, int, str]] = collections.deque()
        self._done = threading.Event()

    def add_junk(self, value: bytes | None, partition: int, kind: str, key: bytes = b"\xff junk") -> None:
        """Publish a record that must become one dead letter."""
        self._waiting.append((key, value, partition, kind))

    def burst(self, feature: str, rate: float, seconds: float) -> None:
        """Send calls of a feature at a rate for some time, then at its rate of before."""
        before = self.rates.get(feature, 0.0)
        self.rates[feature] = rate
        time.sleep(seconds)
        self.rates[feature] = before

    def run(self) -> None:
        """Publish until ``finish``."""
        from kafka import KafkaProducer

        producer = KafkaProducer(
            bootstrap_servers=self._address,
            linger_ms=5,
            enable_idempotence=True,
            delivery_timeout_ms=300_000,
            reconnect_backoff_ms=100,
            reconnect_backoff_max_ms=300,
            max_block_ms=120_000,
            max_request_size=8 << 20,
        )
        due: dict[str, float] = {}
        looked_s = time.monotonic()
        while not self._done.is_set():
            time.sleep(TICK_S)
            now_s = time.monotonic()
            for feature, rate in list(self.rates.items()):
                due[feature] = due.get(feature, 0.0) + rate * (now_s - looked_s)
                while due[feature] >= 1:
                    due[feature] -= 1
                    self._call(producer, feature)
            looked_s = now_s
            while self._waiting:
                self._junk(producer, *self._waiting.popleft())
        producer.flush(timeout=120)
        producer.close(timeout=30)

    def _call(self, producer: Any, feature: str) -> None:
        call = healthy(feature, 0.0, self._draw)
        if (fault := self.faults.get(feature)) is not None:
            changed = FAULTS[fault].change(call, self._draw)
            self.failed[feature] += changed is not call
            call = changed or call
        if feature == LABELS:
            label = self._draw.choice(("prompt_version", "model", "variant"))
            call[label] = f"{self._draw.getrandbits(64):x}"
        if feature == NAMES:
            self._names += 1
            call |= {"service": NAMES, "feature": "f"}
            call[self._draw.choice(("service", "feature", "environment"))] = f"n{self._names}"
        self.sent[feature] += 1
        call |= {
            "event_id": f"{feature}-{self.sent[feature]}",
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        key = f"{call['service']}/{call['feature']}".encode()
        value = json.dumps({name: field for name, field in call.items() if field is not None}).encode()
        producer.send(self._topic, value, key).add_errback(lambda error: self.lost.append(repr(error)))

    def _junk(self, producer: Any, key: bytes, value: bytes | None, partition: int, kind: str) -> None:
        future = producer.send(self._topic, value, key, partition=partition)
        future.add_callback(lambda got: self.junk.__setitem__((got.partition, got.offset), kind))
        future.add_errback(lambda error: self.lost.append(f"{kind}: {error!r}"))

    def finish(self) -> None:
        """Stop publishing; return when everything is acknowledged.

        Raises:
            RuntimeError: it is not within three minutes.
        """
        self._done.set()
        self.join(180)
        if self.is_alive():
            raise RuntimeError("the publisher does not come to its end: is the broker there?")
