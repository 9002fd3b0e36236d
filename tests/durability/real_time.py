"""Parts of runs in real time: PagerDuty's receiver with what a person got, and history before the run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from agents.demo.fake_pagerduty import FakePagerDuty
from tests.scenarios.deployment import PagerDutyModel, calls_of

ROUTING_KEY = "0123456789abcdef0123456789abcdef"


class Receiver(FakePagerDuty):
    """PagerDuty that checks each event and keeps what a person got. ``start_s``: wall clock of minute 0."""

    start_s = float("inf")

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Take an event."""
        status, answer = super().take(body)
        if status == 202:
            self.model.take(body, (time.time() - self.start_s) / 60)
        return status, answer

    @property
    def model(self) -> PagerDutyModel:
        """What a person got."""
        return self.__dict__.setdefault("_model", PagerDutyModel())


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Receiver(ROUTING_KEY)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def set_append_time(brokers: str, prefix: str, kind: str) -> None:
    """Set who stamps the events topic: so that the history before the run can have times of its own."""
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=brokers)
    settings = {"message.timestamp.type": kind}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{prefix}.events", settings)])
    admin.close()


def publish_history(
    brokers: str, prefix: str, features: Sequence[str], start_s: float, *, minutes: float, a_minute: int
) -> int:
    """Publish healthy calls of the minutes before minute 0, and until now, stamped with their own times.

    Returns:
        How many.
    """
    from kafka import KafkaProducer

    set_append_time(brokers, prefix, "CreateTime")
    producer = KafkaProducer(bootstrap_servers=brokers, linger_ms=20)
    until, start = (time.time() - start_s) / 60, datetime.fromtimestamp(start_s, UTC)
    calls = calls_of(features, -minutes, until, a_minute=a_minute, start=start)
    for moment, value in calls:
        event = json.loads(value)
        key = f"{event['service']}/{event['feature']}".encode()
        producer.send(f"{prefix}.events", value, key, timestamp_ms=round(moment.timestamp() * 1000))
    producer.flush(60)
    producer.close()
    set_append_time(brokers, prefix, "LogAppendTime")
    return len(calls)
