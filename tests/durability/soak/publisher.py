"""Publishes a corpus and records for each message whether the broker acknowledged it, to attribute losses
correctly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class SentEvent(NamedTuple):
    """Message sent by the publisher. ``position``: (partition, offset) after the broker's acknowledgement."""

    key: bytes | None
    value: bytes | None
    position: tuple[int, int] | None


class Publisher(threading.Thread):
    """Publisher of a corpus at a steady rate, which records whether the broker has each message.

    Its clock continues during an outage of the broker: the messages of that time are sent late and in order,
    like those of a service.
    """

    def __init__(self, address: str, topic: str, message: Callable[[float], Any], rate: float) -> None:
        super().__init__(daemon=True, name=f"publisher of {topic}")
        self._address, self._topic, self._message, self.rate = address, topic, message, rate
        self._done = threading.Event()
        self._sent: list[tuple[bytes | None, bytes | None]] = []
        self._at: dict[int, tuple[int, int]] = {}
        self.failed: dict[int, str] = {}
        self.began = time.monotonic()

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
            metadata_max_age_ms=5_000,
        )
        self.began = time.monotonic()
        due_s = 0.0  # when the next message is due, by this publisher's clock
        while not self._done.is_set():
            while due_s < time.monotonic() - self.began:
                self._send(producer, self._message(due_s))
                due_s += 1 / self.rate
            time.sleep(0.01)
        producer.flush(timeout=120)
        producer.close(timeout=30)

    def _send(self, producer: Any, record: Any) -> None:
        number = len(self._sent)
        key, value, partition, headers = (
            record.key,
            record.value,
            record.partition,
            list(record.headers or ()),
        )
        self._sent.append((key, value))
        future = producer.send(self._topic, key=key, value=value, partition=partition, headers=headers)
        future.add_callback(lambda got: self._at.__setitem__(number, (got.partition, got.offset)))
        future.add_errback(lambda error: self.failed.__setitem__(number, repr(error)))

    def finish(self) -> None:
        """Stop publishing; return when every message is acknowledged or given up."""
        self._done.set()
        self.join(180)
        if self.is_alive():
            raise RuntimeError("the publisher does not come to its end: is the broker there?")

    def sent_events(self) -> list[SentEvent]:
        """Return all sent events in order."""
        return [SentEvent(key, value, self._at.get(number)) for number, (key, value) in enumerate(self._sent)]
