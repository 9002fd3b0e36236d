"""Attacks on a running deployment. Each takes the scene and a generator, and returns a line for the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.durability.hostile_hour.clock import SettableClock
from tests.durability.hostile_hour.traffic import FLOOD, HEALTHY, NAMES, Traffic
from tests.durability.hostile_hour.worker import HANG, KILL
from tests.durability.soak.workers import Workers

OTHER_TOPICS = ("alerts", "windows", "samples", "deadletter")
"""The state topics are not among them: by docs/security.md only the worker and the operator may write there, and
whoever may can end a worker (78). The same rights guard ``alerts``, where junk is passed all the same.
"""
BOMB_BYTES = 64 << 20  # twice what a batch may have


@dataclass
class Scene:
    """Broker, topics, workers and traffic that are attacked."""

    broker: Any
    prefix: str
    partitions: int
    workers: Workers
    ports: dict[int, int]
    traffic: Traffic
    clock: SettableClock


def _events_junk(draw: random.Random) -> bytes | None:
    valid = {"time": "2026-01-01T00:00:00Z", "service": "s", "feature": "f", "kind": "response"}
    return draw.choice(
        (
            None,
            b"",
            draw.randbytes(draw.randint(1, 2000)),
            b"\xff\xfe\x00",
            b'{"a":' * 50_000,
            b"[" * 100_000 + b"]" * 100_000,
            b'{"kind": "response", "time": ',
            b'"' + b"\\ud800" * 100 + b'"',
            b"9" * 100_000,
            b"1e999999999",
            json.dumps([valid]).encode(),
            json.dumps(valid | {"time": "0000-00-00T00:00:00Z"}).encode(),
            json.dumps(valid | {"time": "9999-12-31T23:59:59Z"}).encode(),
            json.dumps(valid | {"service": {"$ne": None}}).encode(),
            json.dumps(valid | {"service": "x" * 600_000, "time": 5}).encode(),
        )
    )


def junk(scene: Scene, draw: random.Random) -> str:
    """Publish unreadable events to all partitions."""
    for partition in range(scene.partitions):
        scene.traffic.add_junk(_events_junk(draw), partition, "junk", draw.randbytes(8))
    return f"{scene.partitions} unreadable events"


def junk_elsewhere(scene: Scene, draw: random.Random) -> str:
    """Publish junk to every topic that is not a state topic."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=scene.broker.address, max_request_size=4 << 20)
    records = 0
    for suffix in OTHER_TOPICS:
        topic = f"{scene.prefix}.{suffix}"
        for partition in producer.partitions_for(topic):
            for value in _other_junk(draw):
                producer.send(topic, value, draw.randbytes(6), partition=partition)
                records += 1
    producer.flush(60)
    producer.close()
    return f"{records} records of junk to {', '.join(OTHER_TOPICS)}"


def _other_junk(draw: random.Random) -> list[bytes]:
    return [
        draw.randbytes(300),
        b"[" * 50_000,
        json.dumps({"record": draw.choice(("episode", "health", "silence", "window", "no such"))}).encode(),
        json.dumps({"record": "episode", "episode_id": "\x00" * 300, "incidents": "x"}).encode(),
        json.dumps({"record": "health", "partition": -5, "findings": {}, "time": "never"}).encode(),
        json.dumps({"record": "silence", "id": [], "until": 1e400}).encode(),
        b'{"record": "window", "start": "\\ud800", "metrics": ' + b"9" * 5000 + b"}",
        b"x" * 500_000,
    ]


def bomb(scene: Scene, draw: random.Random) -> str:
    """Publish a batch of kilobytes that is one record of 64 MB."""
    from aiokafka import AIOKafkaProducer

    codec = draw.choice(("zstd", "zstd", "gzip", "lz4"))
    partition = draw.randrange(scene.partitions)

    async def send() -> Any:
        producer = AIOKafkaProducer(
            bootstrap_servers=scene.broker.address,
            compression_type=codec,
            max_request_size=2 * BOMB_BYTES,
            max_batch_size=2 * BOMB_BYTES,
            enable_idempotence=True,
        )
        await producer.start()
        try:
            return await producer.send_and_wait(
                f"{scene.prefix}.events", bytes(BOMB_BYTES), partition=partition
            )
        finally:
            await producer.stop()

    record = asyncio.run(send())
    scene.traffic.junk[record.partition, record.offset] = "bomb"
    return f"{BOMB_BYTES >> 20} MB by {codec}, partition {partition}"


def poison(scene: Scene, draw: random.Random) -> str:
    """Publish a record that ends the process which applies it."""
    value, partition = draw.choice((KILL, HANG)), draw.randrange(scene.partitions)
    scene.traffic.add_junk(value, partition, "poison")
    return f"{value.decode()}, partition {partition}"


def flood(scene: Scene, draw: random.Random) -> str:
    """Publish a hundred times the usual traffic for a while, and ten times that of the healthy feature."""
    seconds, usual = draw.uniform(10, 20), scene.traffic.rates[HEALTHY]
    scene.traffic.rates[HEALTHY] = 10 * usual
    scene.traffic.burst(FLOOD, 1000, seconds)
    scene.traffic.rates[HEALTHY] = usual
    return f"{seconds:.0f} s of 1,000 a second"


def names(scene: Scene, draw: random.Random) -> str:
    """Publish a feature, service or environment of its own for each of some hundred calls."""
    seconds = draw.uniform(5, 10)
    scene.traffic.burst(NAMES, 50, seconds)
    return f"{50 * seconds:.0f} features"


def kill(scene: Scene, draw: random.Random) -> str:
    """Kill a worker and its supervisor with SIGKILL; they are started again."""
    number = draw.choice(scene.workers.numbers())
    scene.workers.send(number, signal.SIGKILL)
    return f"worker {number}"


def kill_notifier(scene: Scene, draw: random.Random) -> str:
    """Kill the worker that delivers."""
    for number in scene.workers.numbers():
        url = f"http://127.0.0.1:{scene.ports[number]}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            if b'softfail_owned_partitions{agent="notify"} 1' in answer.read():
                scene.workers.send(number, signal.SIGKILL)
                return f"worker {number}"
    return "nobody delivers, or it does not answer"


def clock(scene: Scene, draw: random.Random) -> str:
    """Set the clock of the workers by hours, and back after less than a minute."""
    if not scene.clock.environment:
        return "no compiler"
    hours, seconds = draw.choice((-25, -2, 2, 25)), draw.uniform(5, 20)
    scene.clock.set(hours * 3600)
    time.sleep(seconds)
    scene.clock.set(0)
    return f"{hours:+} h for {seconds:.0f} s"


def broker(scene: Scene, draw: random.Random) -> str:
    """Stop or kill the broker, and start it after some seconds."""
    number, down_s = draw.choice((signal.SIGTERM, signal.SIGKILL)), draw.uniform(0.5, 5)
    scene.broker.stop(number)
    time.sleep(down_s)
    scene.broker.start()
    return f"{number.name}, {down_s:.1f} s down"


class Attack(NamedTuple):
    """An attack and its mean interval, seconds. ``needs_broker``: it is not made while the broker is down."""

    make: Callable[[Scene, random.Random], str]
    interval_s: float
    needs_broker: bool = False


ATTACKS = (
    Attack(junk, 60),
    Attack(junk_elsewhere, 90, needs_broker=True),
    Attack(bomb, 100, needs_broker=True),
    Attack(poison, 400),
    Attack(flood, 240),
    Attack(names, 240),
    Attack(kill, 120),
    Attack(clock, 200),
    Attack(kill_notifier, 250),
    Attack(broker, 330, needs_broker=True),
)
LEAST = 2.0  # an attack of a short run comes at least so often
