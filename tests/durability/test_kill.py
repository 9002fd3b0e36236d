"""`kill -9` of the real worker: the last revision of every window equals that of an undisturbed run.

More kinds of faults: ``python -m tests.durability.soak``.
"""

from __future__ import annotations

import collections
import datetime
import json
import random
import signal
import sys
import time
from typing import Any

import pytest

from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.conftest import SESSION_S
from tests.polling import wait_until
from tests.tiers import by_profile

KILLS, SEED = by_profile(4, 20), 1
RATE = by_profile(500, 1500)  # events a second
PARTITIONS, FEATURES = 4, by_profile(12, 24)
SPEED = by_profile(20, 40)  # seconds of event time per second; the number of windows is proportional to it
BEGIN = datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.UTC)
SETTINGS = {"time": {"pane": "10s", "lateness": "5s"}}


def event(rng: random.Random, elapsed_s: float) -> tuple[bytes, bytes]:
    """Make an event; one in fifty is late.

    Event time runs 40 times as fast as the clock, so that the wall clock closes no pane before the end.
    """
    late_s = rng.uniform(20, 300) if rng.random() < 0.02 else rng.uniform(0, 3)
    event_time = BEGIN + datetime.timedelta(seconds=400 + elapsed_s * SPEED - late_s)
    feature = rng.randrange(FEATURES)
    answer = (
        {"error_type": "timeout"}
        if rng.random() < 0.02
        else {"output": "It was shipped on Tuesday.", "finish_reason": "stop"}
    )
    value = {
        "kind": "response",
        "event_id": f"{rng.getrandbits(64):x}",
        "time": event_time.isoformat(),
        "service": f"s{feature % 3}",
        "feature": f"f{feature}",
        "model": rng.choice(("large", "small")),
        "input_tokens": 20,
        "output_tokens": rng.randint(5, 500),
        "duration_s": rng.expovariate(1),
        "sample_probability": rng.choice((1, 0.5)),
        **answer,
    }
    return f"s{feature % 3}/f{feature}".encode(), json.dumps(value).encode()


def undisturbed(records: list[Any]) -> dict[bytes, Any]:
    """Return key -> last revision of each window, from a core over the records of each partition."""
    config, windows = Config.model_validate(SETTINGS), {}
    by_partition: dict[int, list[Any]] = collections.defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    for partition, partition_records in by_partition.items():
        core = Watch(config, partition, PARTITIONS)
        outputs = core.apply(partition_records)
        outputs.extend(core.finish())
        windows.update({message.key: json.loads(message.value) for message in outputs.messages["windows"]})
    return windows


@pytest.mark.long_form
def test_kills_of_two_workers_leave_every_window_exact(make_topics, make_workers, publish, tmp_path):
    topics, rng = make_topics(PARTITIONS), random.Random(SEED)

    def command(number: int) -> list[str]:
        path = tmp_path / f"config{number}.yaml"
        kafka = {
            "brokers": topics.address,
            "prefix": topics.prefix,
            "partitions": PARTITIONS,
            "checkpoint": 0.5,
            "session_timeout": SESSION_S,
        }
        path.write_text(json.dumps({**SETTINGS, "kafka": kafka, "http": {"port": 0}}))
        return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

    workers = make_workers(command)
    workers.start(1)
    workers.start(2)
    publisher = publish(topics, event, rate=RATE, seed=SEED)
    wait_until(lambda: topics.read("windows")[0], 60, "nothing is measured", every_s=0.3)
    for _ in range(KILLS):
        workers.send(rng.choice((1, 2)), signal.SIGKILL)
        time.sleep(rng.uniform(1, 5))  # at any point of the other worker's work
    publisher.finish()
    records, ends = topics.read("events")
    expected = undisturbed(records)
    topics.await_positions(ends, patience_s=60)
    deadline = time.monotonic() + 30  # the last panes close by the wall clock, after pane and lateness
    while True:
        actual = {record.key: json.loads(record.value) for record in topics.read("windows")[0]}
        wrong = {
            key: (actual.get(key), expected.get(key))
            for key in actual.keys() | expected.keys()
            if actual.get(key) != expected.get(key)
        }
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(1)
    print(
        f"{len(records)} events, {len(expected)} windows, exits {dict(workers.exits)}, restarts"
        f" {workers.log().count('RESTART')}"
    )
    assert len(expected) > 1000
    assert sum(window["revision"] > 1 for window in expected.values()) > 100
    assert not wrong, (
        f"{len(wrong)} of {len(expected)} windows differ (got, expected): {list(wrong.items())[:2]}"
    )
    assert workers.exits[-signal.SIGKILL] == KILLS
