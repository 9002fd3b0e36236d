"""``python -m agents state`` on a real Kafka, beside workers and after them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from faust.types import TP

from agents.journal import Journal
from agents.state_topic import Refused, Rewriter
from monitor.core import Outputs
from schemas.config import Kafka

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]


def state(topics: Any, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOFTFAIL_KAFKA__BROKERS": topics.address, "SOFTFAIL_KAFKA__PREFIX": topics.prefix}
    return subprocess.run([sys.executable, "-m", "agents", "state", *arguments], capture_output=True, text=True, cwd=ROOT, env=environment,
                          timeout=60, input=typed)


def publish(topics: Any, count: int, partition: int) -> None:
    publish_values(topics, [json.dumps({"key": "k", "minute": number // 10}).encode() for number in range(count)], partition)


def publish_values(topics: Any, values: list[bytes], partition: int) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for value in values:
        producer.send(f"{topics.prefix}.events", value=value, partition=partition)
    producer.flush()
    producer.close()


def await_free(topics: Any, *arguments: str, patience_s: float = 30) -> subprocess.CompletedProcess[str]:
    """The command, repeated until the worker that stopped is forgotten by the group."""
    deadline = time.monotonic() + patience_s
    while (done := state(topics, *arguments)).returncode == 1 and time.monotonic() < deadline:
        assert "6 s" in done.stderr
        time.sleep(1)
    return done


async def written(kafka: Kafka, number: int, position: int, *records: tuple[bytes, bytes | None]) -> Journal:
    """An open journal that has written this; close it yourself."""
    journal = Journal(kafka, "watch", TP(f"{kafka.prefix}.events", number), await cluster_of(kafka))
    await journal.open()
    await journal.write(position, records, Outputs())
    return journal


async def cluster_of(kafka: Kafka) -> str:
    from agents.state_topic import StateTopic

    return await StateTopic(kafka, "watch").cluster()


@pytest.mark.slow
def test_a_running_worker_is_looked_at_but_not_disturbed_and_its_state_is_forgotten_only_after_it(make_topics, make_workers, counting_command):
    topics = make_topics(2)
    workers = make_workers(counting_command(topics))
    workers.start(1)
    publish(topics, 40, 0)
    ends = topics.read("events")[1]
    topics.await_positions(ends, 60)

    looked = state(topics, "inspect")
    assert looked.returncode == 0, looked.stderr
    assert f"position   {ends[0]} of [0, {ends[0]}), lag 0" in looked.stdout
    assert "UNREADABLE  k 0: " in looked.stdout  # the counting agent's records are not those of watch
    objects = [json.loads(line) for line in state(topics, "inspect", "--format", "ndjson", "--partition", "0").stdout.splitlines()]
    assert {"k 0", "k 3", "\\x00header", "\\x00position"} <= {one["key"] for one in objects}
    assert {one["partition"] for one in objects} == {0}

    before = topics.state()
    for arguments in (["reset", "--agent", "watch"], ["drop", "--agent", "watch", "--partition", "0", "--key", "k 0"]):
        refused = state(topics, *arguments, "--yes")
        assert refused.returncode == 1
        assert "a worker owns" in refused.stderr
        assert "6 s" in refused.stderr
    assert topics.state() == before
    assert not workers.exits  # nobody was fenced
    assert "RESTART" not in workers.log()

    workers.retire(1)
    dropped = await_free(topics, "drop", "--agent", "watch", "--partition", "0", "--key", "k 0", "--yes")
    assert (dropped.returncode, dropped.stdout.splitlines()[-1]) == (0, "dropped"), dropped.stderr
    assert topics.state()[0] == {at: value for at, value in before[0].items() if at != (0, b"k 0")}

    reset = state(topics, "reset", "--agent", "watch", "--to", "earliest", typed=f"{topics.prefix}\n")
    assert reset.returncode == 0, reset.stderr
    assert topics.state() == ({}, {0: 0, 1: 0})
    workers.start(1)
    assert topics.await_positions(ends, 60) == before[0]  # measured again, the dropped one too


@pytest.mark.slow
def test_what_the_real_worker_keeps_is_readable_to_the_last_record(make_topics, make_workers, tmp_path, free_port):
    topics = make_topics(2)
    path, now = tmp_path / "softfail.yaml", datetime.now(UTC)
    path.write_text(json.dumps({
        "kafka": {"brokers": topics.address, "prefix": topics.prefix, "partitions": 2, "checkpoint": 0.5}, "http": {"port": free_port()},
        "time": {"pane": "1s", "lateness": "1s"}, "channels": {"console": {}},
        "rules": [{"name": "refusals", "on": "evaluator.refusal.fail_rate", "above": 0.1, "window": "30s", "severity": "critical"}]}))
    workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
    workers.start(1)
    events = [{"event_id": str(number), "time": (now + timedelta(milliseconds=number)).isoformat(), "service": "s", "feature": "answer", "model": "m",
               "output": "I'm sorry, I can't help with that."} for number in range(400)]
    publish_values(topics, [json.dumps(one).encode() for one in events], 0)
    deadline = time.monotonic() + 40
    while "EPISODE" not in (looked := state(topics, "inspect", "--match", "s/ans*")).stdout:
        assert time.monotonic() < deadline, looked
        time.sleep(1)
    assert ", 1 open episodes, 0 unreadable" in looked.stdout
    assert "s/answer (production): 1 segments" in looked.stdout
    assert "firing since" in looked.stdout
    told = state(topics, "inspect", "--agent", "notify")
    assert ", 0 unreadable" in told.stdout
    workers.retire(1)
    asked = state(topics, "reset", "--agent", "watch")
    if "6 s" in asked.stderr:
        time.sleep(7)
        asked = state(topics, "reset", "--agent", "watch")
    assert asked.returncode == 1
    assert "not confirmed" in asked.stderr
    assert f"  {topics.prefix}/" in asked.stdout
    assert "1 features: s/answer (production)" in asked.stdout


def test_after_a_reset_without_a_place_a_partition_is_fresh_and_with_one_it_begins_there(make_topics):
    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    publish(topics, 10, 1)

    async def begun() -> tuple[Any, ...]:
        journal = Journal(kafka, "watch", TP(f"{kafka.prefix}.events", 1), await cluster_of(kafka))
        recovered = await journal.open()
        await journal.close()
        return recovered.records, recovered.position, recovered.fresh

    async def filled() -> None:
        await (await written(kafka, 1, 9, *((b"key %d" % number, b"x" * 1000) for number in range(3000)))).close()

    asyncio.run(filled())
    assert asyncio.run(begun())[1:] == (9, False)
    for place, expected in ((["--to", "7"], 7), (["--to", "latest"], 10), (["--to", "earliest"], 0)):
        done = state(topics, "reset", "--agent", "watch", "--partition", "1", *place, "--yes")
        assert done.returncode == 0, done.stderr
        assert f"begins at {expected}" in done.stdout
        assert asyncio.run(begun()) == ([], expected, False)
    assert state(topics, "reset", "--agent", "watch", "--partition", "1", "--yes").returncode == 0
    assert asyncio.run(begun()) == ([], 0, True)
    assert state(topics, "reset", "--agent", "watch", "--partition", "2", "--yes").returncode == 1
    assert state(topics, "reset", "--agent", "watch", "--partition", "1", "--to", "11", "--yes").returncode == 1


def test_state_that_no_worker_takes_can_be_reset(make_topics):
    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)

    async def scene() -> None:
        rewriter = Rewriter(kafka, "watch", TP(f"{kafka.prefix}.events", 0), "")
        await rewriter.take()
        await rewriter.rewrite([(b"\x00header", b"{broken"), (b"\x00position", b"999"), (b'["clock"]', b"\xc1")])
        await rewriter.close()

    asyncio.run(scene())
    looked = state(topics, "inspect", "--partition", "0").stdout
    assert "BEYOND THE END" in looked
    assert 'UNREADABLE  ["clock"]' in looked
    assert state(topics, "reset", "--agent", "watch", "--yes").returncode == 0
    assert "0 records, 0 bytes" in state(topics, "inspect", "--partition", "0").stdout

    async def opened() -> bool:
        journal = Journal(kafka, "watch", TP(f"{kafka.prefix}.events", 0), await cluster_of(kafka))
        fresh = (await journal.open()).fresh
        await journal.close()
        return fresh

    assert asyncio.run(opened())


def test_a_zombie_is_fenced_by_a_reset_and_a_reset_by_a_worker_that_starts(make_topics):
    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    source = TP(f"{topics.prefix}.events", 0)

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # aiokafka leaves futures of a fenced producer that nobody looks at
        zombie = await written(kafka, 0, 0, (b"a", b"1"))
        rewriter = Rewriter(kafka, "watch", source, await cluster_of(kafka))
        found = await rewriter.take()
        assert found[b"a"] == b"1"
        worker = await written(kafka, 0, 0, (b"b", b"2"))  # starts between what was read and what is written
        with pytest.raises(Refused, match="took"):
            await rewriter.rewrite([(key, None) for key in found])
        await rewriter.close()
        await worker.close()
        rewriter = Rewriter(kafka, "watch", source, await cluster_of(kafka))
        await rewriter.rewrite([(key, None) for key in await rewriter.take()])
        with pytest.raises(ProducerFenced):
            await zombie.write(0, [(b"a", b"3")], Outputs())
        await rewriter.close()
        await zombie.close()

    asyncio.run(scene())
    assert topics.state()[0] == {}


def test_a_prefix_that_is_not_there_is_refused_and_makes_no_topic(make_topics):
    topics = make_topics(2)
    topics.prefix += "-not"
    looked = state(topics, "inspect")
    assert looked.returncode == 1
    assert f"topic {topics.prefix}.watch.state does not exist" in looked.stderr
    assert state(topics, "inspect").stderr == looked.stderr


@pytest.mark.slow
def test_a_worker_that_was_killed_holds_its_partitions_until_the_session_is_over(make_topics, make_workers, counting_command):
    topics = make_topics(2)
    workers = make_workers(counting_command(topics))
    workers.start(1)
    publish(topics, 20, 1)
    topics.await_positions(topics.read("events")[1], 60)
    workers.retire(1, signal.SIGKILL)
    refused = state(topics, "reset", "--agent", "watch", "--partition", "1", "--yes")
    assert refused.returncode == 1
    done = await_free(topics, "reset", "--agent", "watch", "--partition", "1", "--yes")
    assert done.returncode == 0, done.stderr
    assert 1 not in {partition for partition, _ in topics.state()[0]}
