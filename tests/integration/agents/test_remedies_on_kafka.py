"""Remedies against defects that only a real broker shows. ``tests/removals.py`` names the test of each."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.types import TP

from agents.kafka.consumer_group import unowned
from agents.runtime.changelog import Changelog
from monitor.protocol.messages import Outputs
from schemas.config.connections import Kafka
from tests.agents import failing_worker
from tests.polling import wait_until

METADATA_AGE_S = 2.0  # consumer_metadata_max_age_ms of agents/runtime/app.py
WORKERS = Path(__file__).parents[2] / "agents"


def changelogs(topics: Any, scene: Callable[[Callable[[], Changelog]], Awaitable[None]]) -> None:
    """Runs the scene with journals of the same partition; closes what it opened."""

    async def play() -> None:
        made: list[Changelog] = []

        def make() -> Changelog:
            made.append(
                Changelog(
                    Kafka(brokers=topics.address, prefix=topics.prefix),
                    "watch",
                    TP(f"{topics.prefix}.events", 0),
                    "c1",
                )
            )
            return made[-1]

        try:
            await asyncio.wait_for(scene(make), 120)
        finally:
            await asyncio.gather(*(changelog.close() for changelog in made), return_exceptions=True)

    asyncio.run(play())


def send(topics: Any, minute: int, count: int) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for number in range(count):
        producer.send(
            f"{topics.prefix}.events",
            value=json.dumps({"key": f"k{number % 7}", "minute": minute}).encode(),
            partition=number % topics.partitions,
        )
    producer.flush()
    producer.close()


def test_recovery_is_complete_although_polls_are_empty_and_the_broker_reports_an_early_end(
    make_topics, monkeypatch
):
    topics = make_topics(1)
    send(topics, 0, 20)
    getmany, end_offsets, polls = AIOKafkaConsumer.getmany, AIOKafkaConsumer.end_offsets, 0

    async def sometimes_nothing(self: Any, *tps: Any, **settings: Any) -> Any:
        nonlocal polls
        polls += 1
        return {} if polls % 2 else await getmany(self, *tps, **settings)

    async def too_early(self: Any, tps: Any) -> Any:
        return {
            tp: 0 if tp.topic.endswith(".state") else end
            for tp, end in (await end_offsets(self, tps)).items()
        }

    async def scene(make: Callable[[], Changelog]) -> None:
        before = make()
        await before.open()
        for position in range(1, 11):
            await before.write(position, [(b"k%d" % position, b"1")], Outputs())
        monkeypatch.setattr(AIOKafkaConsumer, "getmany", sometimes_nothing)
        monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", too_early)
        recovered = await make().open()
        assert (recovered.position, sorted(dict(recovered.records))) == (
            10,
            sorted(b"k%d" % position for position in range(1, 11)),
        )

    changelogs(topics, scene)


@pytest.fixture
def failing(make_topics, make_workers, counting_command) -> Any:
    """Topics with 50 events, and a worker with a fault."""

    def start(fault: str) -> tuple[Any, Any]:
        topics = make_topics(2)
        command = counting_command(topics)
        workers = make_workers(
            lambda number: [sys.executable, str(WORKERS / "failing_worker.py"), command(number)[-1], fault]
        )
        send(topics, 0, 50)
        workers.start(1)
        return topics, workers

    return start


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("hang", "the event loop does not answer"),
        ("deaf", "lag and no progress"),
        ("unassigned", "the topic has partitions that nobody owns"),
    ],
)
def test_a_failed_worker_restarts_with_75_under_its_pid_and_then_continues(failing, fault, why):
    topics, workers = failing(fault)
    wait_until(lambda: "RESTART" in workers.log(), 60, "the watchdog saw nothing")
    pid = workers.processes[1].pid
    assert f"RESTART 1 of 10 (code 75): {why}" in workers.log()
    state = topics.await_positions(topics.read("events")[1], patience_s=60)
    assert sum(int(value) for (_, key), value in state.items() if key != b"latest") == 50
    assert workers.processes[1].pid == pid
    assert not workers.exits


@pytest.fixture
def transaction() -> Any:
    """Begin a transaction with a record in a partition; return the producer that can end it."""
    from kafka import KafkaProducer

    made = []

    def begin(topics: Any, suffix: str, key: bytes, value: bytes) -> Any:
        producer = KafkaProducer(
            bootstrap_servers=topics.address, transactional_id=f"{topics.prefix}-{suffix}"
        )
        made.append(producer)
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(f"{topics.prefix}.{suffix}", key=key, value=value, partition=0)
        producer.flush()
        return producer

    yield begin
    for producer in made:
        producer.close()


def test_an_uncommitted_dead_letter_is_invisible(make_topics, transaction):
    from agents.kafka.topic_reader import BlockingTopicReader

    topics = make_topics(1)
    transaction(topics, "deadletter", b"a", b"kept").commit_transaction()
    transaction(topics, "deadletter", b"b", b"aborted").abort_transaction()
    with BlockingTopicReader(Kafka(brokers=topics.address, prefix=topics.prefix)) as reader:
        assert [record.value for record in reader.records(f"{topics.prefix}.deadletter")] == [b"kept"]


def test_an_open_transaction_of_a_publisher_is_not_lag_and_its_events_count_after_the_commit(
    failing, transaction
):
    topics, workers = failing("none")
    topics.await_positions(topics.read("events")[1], patience_s=40)
    opened = transaction(topics, "events", b"k", b'{"key": "late", "minute": 0}')
    time.sleep(2 * failing_worker.PATIENCE_S)  # of its watchdog
    assert "lag without progress" not in workers.log()
    assert "RESTART" not in workers.log()
    opened.commit_transaction()
    state = topics.await_positions(topics.read("events")[1], patience_s=30)
    assert state[0, b"late 0"] == b"1"


def test_a_topic_reported_late_by_the_broker_is_assigned_within_seconds(
    make_topics, make_workers, counting_command
):
    """Faust ignores a missing topic and assigns nothing; the group rebalances only after the next metadata
    update.
    """
    from aiokafka.admin import AIOKafkaAdminClient

    from agents.kafka.topics import create

    topics = make_topics(2)
    source = f"{topics.prefix}.events"
    workers = make_workers(counting_command(topics), {"WITHOUT_TOPIC_IDS": "1"})
    workers.start(1)
    wait_until(lambda: workers.log().count("owns ") == 2, 40, "the worker did not begin")

    async def scene() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=topics.address)
        await admin.start()
        await admin.delete_topics([source])
        await asyncio.sleep(2.5 * METADATA_AGE_S)  # until the workers have seen that it is missing
        await admin.close()
        await create(Kafka(brokers=topics.address, prefix=topics.prefix, partitions=topics.partitions))

    asyncio.run(scene())
    send(topics, 0, 50)
    state = topics.await_positions(topics.read("events")[1], patience_s=30)
    assert sum(int(value) for (_, key), value in state.items() if key != b"latest") == 50
    assert "RESTART" not in workers.log()


def test_a_restart_of_a_worker_revokes_no_partition_of_another_worker(
    make_topics, make_workers, counting_command
):
    """A static member comes back under its name; without one, both would lose and restore everything."""
    topics = make_topics(4)
    session_s = 15  # much longer than a worker takes to start on a busy machine
    workers = make_workers(counting_command(topics, session_timeout=session_s))
    workers.start(1)
    workers.start(2)
    send(topics, 0, 50)

    def is_shared() -> bool:
        return all(workers.taken(number) >= 2 for number in (1, 2))

    wait_until(is_shared, 60, "the two did not share the partitions")
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix)
    source = f"{topics.prefix}.events"
    wait_until(
        lambda: not asyncio.run(unowned(kafka, [source])), 30, "the group came to no rest", every_s=0.3
    )
    before = workers.taken(2)
    assert workers.retire(1) == 0
    left_s = time.monotonic()
    owned = workers.taken(1)
    workers.start(1)
    wait_until(lambda: workers.taken(1) >= owned + 2, 40, "the worker did not come back to its partitions")
    time.sleep(max(0.0, left_s + session_s + 2 - time.monotonic()))  # nothing comes when the session is over
    assert workers.taken(2) == before
    send(topics, 1, 50)
    state = topics.await_positions(topics.read("events")[1], patience_s=30)
    assert sum(int(value) for (_, key), value in state.items() if key != b"latest") == 100


def test_a_record_that_hangs_the_interpreter_becomes_a_dead_letter_and_all_others_are_counted(
    make_topics, make_workers, counting_command
):
    topics = make_topics(2)
    send(topics, 0, 4)
    topics.send("events", b'{"key": "hang", "minute": 0}', 1)
    send(topics, 0, 4)
    _, ends = topics.read("events")
    command = counting_command(topics)
    hanging = str(WORKERS / "hanging_worker.py")
    workers = make_workers(lambda number: [sys.executable, hanging, command(number)[-1]])
    workers.start(0)
    state = topics.await_positions(ends, 120)
    assert sum(int(count) for (_, key), count in state.items() if key != b"latest") == 8
    (letter,) = (json.loads(record.value) for record in topics.read("deadletter")[0])
    assert letter["offset"] == 2
    assert letter["error"].startswith("poison")
    assert workers.retire(0) == 0
    assert not workers.exits  # the supervisor has lived through all of it


def test_a_topic_that_was_created_again_and_is_longer_than_the_position_is_refused(
    make_topics, make_workers, counting_command
):
    from kafka import KafkaAdminClient

    from agents.kafka.topics import create

    topics = make_topics(2)
    workers = make_workers(counting_command(topics))
    workers.start(0)
    send(topics, 0, 6)
    topics.await_positions(topics.read("events")[1], 60)
    assert workers.retire(0) == 0
    admin = KafkaAdminClient(bootstrap_servers=topics.address)
    admin.delete_topics([f"{topics.prefix}.events"])
    wait_until(lambda: f"{topics.prefix}.events" not in admin.list_topics(), 30, every_s=0.2)
    admin.close()
    asyncio.run(create(Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)))
    send(topics, 0, 40)
    workers.start(1)
    wait_until(lambda: 78 in workers.exits, 60, "the worker reads the other topic", every_s=0.2)
    assert "was the topic deleted and created again?" in workers.log()
    assert "state reset --agent watch" in workers.log()


def test_of_two_workers_with_different_panes_that_start_together_one_ends_with_78_and_names_the_difference(
    make_topics, make_workers, counting_command
):
    topics = make_topics(4)
    command = counting_command(topics)

    def with_own_pane(number: int) -> list[str]:
        *program, path = command(number)
        settings = json.loads(Path(path).read_text()) | {"time": {"pane": 10 * number}}
        Path(path).write_text(json.dumps(settings))
        return [*program, path]

    workers = make_workers(with_own_pane)
    send(topics, 0, 40)
    workers.start(1)
    workers.start(2)
    wait_until(lambda: 78 in workers.exits, 60, "the workers do not see that they differ", every_s=0.2)
    state = topics.await_positions(topics.read("events")[1], 60)
    assert sum(int(value) for (_, key), value in state.items() if key != b"latest") == 40
    panes = {
        json.loads(record.value)["pane_s"]
        for record in topics.read("watch.state")[0]
        if record.key == b"\x00header"
    }
    assert len(panes) == 1
    assert set(workers.exits) == {78}
    refused = [line for line in workers.log().splitlines() if "EXIT 78" in line]
    assert all("pane_s is" in line and "time.pane in seconds" in line for line in refused)
    assert len({line.split(" here it is ")[1] for line in refused}) == 1  # always the same worker
