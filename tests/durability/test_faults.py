"""Whatever is done to workers, broker or bundles, state and outputs are those of one undisturbed run over
what the topic really holds.

The agent here only counts, so every event and every output is compared one by one.
"""

from __future__ import annotations

import collections
import json
import random
import signal
import time
from typing import Any

import pytest

PARTITIONS, FEATURES = 4, 24


def event(rng: random.Random, elapsed_s: float) -> tuple[bytes, bytes]:
    """A new minute each second, some late by up to five; some values are garbage."""
    key = f"f{rng.randrange(FEATURES)}"
    if rng.random() < 0.002:
        return key.encode(), rng.randbytes(50)
    minute = 5 + int(elapsed_s) - (rng.randrange(5) if rng.random() < 0.02 else 0)
    return key.encode(), json.dumps({"key": key, "minute": minute, "padding": "x" * 300}).encode()


def disturbed_equals_undisturbed(topics: Any, workers: Any, counting: Any) -> None:
    """State, windows and dead letters against a fresh core over the records of the topic."""
    records, ends = topics.read("events")
    state = topics.await_positions(ends, patience_s=60)
    of: dict[int, list[Any]] = collections.defaultdict(list)
    for record in records:
        of[record.partition].append(record)
    expected, outputs = {}, collections.Counter()
    for partition, some in of.items():
        core = counting.Counts()
        for suffix, messages in core.apply(some).messages.items():
            outputs.update((suffix, message.value) for message in messages)
        expected.update({(partition, key): value for key, value in core.changed()})
    got = collections.Counter(
        (suffix, record.value) for suffix in ("windows", "deadletter") for record in topics.read(suffix)[0]
    )
    wrong = {
        at: (state.get(at), expected.get(at))
        for at in state.keys() | expected.keys()
        if state.get(at) != expected.get(at)
    }
    print(
        f"{len(records)} events, {len(expected)} counts, {sum(got.values())} outputs; exits"
        f" {dict(workers.exits)}; restarts {workers.log().count('RESTART')}, gaps"
        f" {workers.log().count('gap in')}, fenced {workers.log().count('Fenced')}"
    )
    assert len(records) > 1000
    assert not wrong, (
        f"{len(wrong)} of {len(expected)} counts differ (got, expected): {dict(list(wrong.items())[:5])}"
    )
    assert got == outputs, f"outputs missing {outputs - got}, doubled {got - outputs}"


@pytest.fixture
def two_workers(make_topics, make_workers, counting_command, publish):
    """Topics, two workers that own them, and a publisher under way."""

    def start(environment: dict[str, str] | None = None, **settings: Any) -> tuple[Any, Any, Any]:
        topics = make_topics(PARTITIONS)
        workers = make_workers(counting_command(topics, **settings), environment)
        workers.start(1)
        workers.start(2)
        deadline = time.monotonic() + 60
        # on a busy machine all would else be one bundle
        while workers.log().count(" owns ") < PARTITIONS and time.monotonic() < deadline:
            time.sleep(0.1)
        publisher = publish(topics, event)
        time.sleep(6)
        return topics, workers, publisher

    return start


def test_a_worker_that_wakes_up_after_its_session_changes_nothing(two_workers, counting):
    topics, workers, publisher = two_workers()
    for number in (1, 2):
        workers.send(number, signal.SIGSTOP)
        time.sleep(10)  # the session lasts 6 s: the other one takes over
        workers.send(number, signal.SIGCONT)
        time.sleep(5)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert "Fenced" in workers.log()


def test_broker_restarts_lose_and_double_nothing(kafka, two_workers, counting):
    topics, workers, publisher = two_workers()
    for number, down_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 4.0)):
        kafka.stop(number)
        time.sleep(down_s)
        kafka.start()
        time.sleep(10)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)


def test_a_worker_that_is_told_to_stop_leaves_everything_durable(two_workers, counting):
    topics, workers, publisher = two_workers(checkpoint=60)
    publisher.finish()
    time.sleep(2)
    # what closes nothing and so waits for the next checkpoint: but for the last one, a minute
    for partition in range(PARTITIONS):
        topics.send("events", json.dumps({"key": "quiet", "minute": 0}).encode(), partition)
    time.sleep(3)
    for number in (1, 2):
        began = time.monotonic()
        assert workers.retire(number) == 0
        assert time.monotonic() - began < 10
    disturbed_equals_undisturbed(topics, workers, counting)


def test_bundles_that_are_thrown_away_on_the_way_are_fetched_again(two_workers, counting):
    topics, workers, publisher = two_workers({"DROP_BUNDLES": "0.05"})
    time.sleep(8)
    workers.send(1, signal.SIGKILL)
    time.sleep(4)
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
    assert "gap in" in workers.log()
