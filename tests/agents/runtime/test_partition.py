"""When a partition is checkpointed, and that position, state and outputs stay consistent."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents.process import exits
from agents.runtime import checkpoint_queue, counters
from agents.runtime import partition as shell
from monitor.protocol.messages import FileRecord, Message, Outputs
from tests.polling import idle, until

TPS = TP("t.events", 1)


def count_of(partition: Any) -> int:
    return sum(partition.core.counts.values())


def test_a_new_partition_writes_its_start_position_immediately(make_partition):
    async def scene() -> None:
        partition = await make_partition(fresh=True, position=77)
        assert [position for position, _, _ in partition.changelog.transactions] == [77]

    asyncio.run(scene())


def test_a_restored_partition_continues_at_its_position_and_writes_nothing(make_partition):
    async def scene() -> None:
        partition = await make_partition(records=[(b"k0 3", b"5"), (b"latest", b"3")], position=42, lost=8)
        assert (partition.position, partition.durable, count_of(partition), partition.core.latest) == (
            42,
            42,
            5,
            3,
        )
        assert partition.counters.lost_events == 8
        assert partition.changelog.transactions == []

    asyncio.run(scene())


def test_one_transaction_contains_position_state_and_outputs_of_the_same_events(make_partition, bundle):
    async def scene() -> None:
        partition = await make_partition()
        partition.apply(bundle(0, 3, minute=7))
        await partition.checkpoint()
        ((position, changed, outputs),) = partition.changelog.transactions
        assert position == partition.durable == 3
        assert {key for key, _ in changed} == {b"k0 7", b"k1 7", b"k2 7", b"latest"}
        assert len(outputs["windows"]) == 1

    asyncio.run(scene())


def test_a_checkpoint_without_changes_writes_nothing(make_partition, bundle):
    async def scene() -> None:
        partition = await make_partition()
        partition.apply(bundle(0, 3))
        await partition.checkpoint()
        await partition.checkpoint()
        assert len(partition.changelog.transactions) == 1

    asyncio.run(scene())


def test_events_applied_during_a_checkpoint_are_in_the_next_one(make_partition, bundle):
    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.gate.clear()
        partition.apply(bundle(0, 3, minute=1))
        first = asyncio.create_task(partition.checkpoint())
        await until(lambda: partition.changelog.begun == 1)
        partition.apply(bundle(3, 5, minute=2))
        second = asyncio.create_task(partition.checkpoint())
        await idle()
        partition.changelog.gate.set()
        await first
        assert partition.durable >= 3
        await second
        assert [position for position, _, _ in partition.changelog.transactions] == [3, 5]
        assert [len(outputs["windows"]) for _, _, outputs in partition.changelog.transactions] == [1, 1]

    asyncio.run(scene())


def test_a_waiter_for_a_checkpoint_can_be_cancelled_without_stopping_the_transaction(make_partition, bundle):
    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.gate.clear()
        partition.apply(bundle(0, 3))
        waiting = asyncio.create_task(partition.checkpoint())
        await until(lambda: partition.changelog.begun == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        partition.changelog.gate.set()
        await until(lambda: partition.durable == 3)
        assert partition.changelog.begun == 1

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("minutes", "checkpoint_s", "written"),
    [((0, 0), 60.0, 0), ((0, 1), 60.0, 1), ((0, 0), 0.02, 1)],
    ids=["neither outputs nor time: not yet", "an output: at once", "the time is up"],
)
def test_a_checkpoint_is_written_immediately_for_outputs_and_otherwise_after_its_interval(
    make_partition, bundle, monkeypatch, minutes, checkpoint_s, written
):
    monkeypatch.setattr(checkpoint_queue, "LINGER_S", 60.0)

    async def scene() -> None:
        partition = await make_partition(checkpoint_s)
        partition.begin()
        for offset, minute in enumerate(minutes):
            partition.apply(bundle(offset, offset + 1, minute=minute))
        await until(lambda: len(partition.changelog.transactions) >= written)
        await idle()
        assert len(partition.changelog.transactions) == written
        await partition.close()
        assert partition.durable == len(minutes)

    asyncio.run(scene())


def test_many_records_without_outputs_cause_a_checkpoint(make_partition, bundle, monkeypatch):
    monkeypatch.setattr(checkpoint_queue, "MOST_RECORDS", 10)

    async def scene() -> None:
        partition = await make_partition()
        partition.begin()
        partition.apply(bundle(0, 9))
        await idle()
        assert partition.changelog.transactions == []
        partition.apply(bundle(9, 10))
        await until(lambda: partition.changelog.transactions)
        assert [position for position, _, _ in partition.changelog.transactions] == [10]
        await partition.close()

    asyncio.run(scene())


def test_a_bundle_with_many_changes_is_applied_in_parts_that_fit_into_a_checkpoint(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(checkpoint_queue, "MOST_RECORDS", 10)

    async def scene() -> None:
        partition = await make_partition()
        whole = bundle(0, 25, holes=frozenset({9, 10}))
        stops = []
        while partition.position < whole.stop:
            partition.apply(whole)
            stops.append(partition.position)
        assert stops == [12, 22, 25]
        assert count_of(partition) == 23
        await partition.close()

    asyncio.run(scene())


def test_large_checkpoints_shorten_the_interval_and_small_ones_lengthen_it(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(checkpoint_queue, "AIM_CHECKPOINT", 3)
    monkeypatch.setattr(checkpoint_queue, "LEAST_RECORDS", 2)
    monkeypatch.setattr(checkpoint_queue, "MOST_RECORDS", 16)

    async def scene() -> list[int]:
        partition = await make_partition()
        limits = [partition.queue.most_records]
        for minutes in (7, 7, 7, 7, 0, 0, 0, 0):
            for _ in range(partition.queue.most_records):
                partition.apply(
                    bundle(partition.position, partition.position + 1, minute=minutes and partition.position)
                )
            partition.core.changed = (lambda: [(b"k", b"large")]) if minutes else (lambda: [(b"k", b"s")])
            await partition.checkpoint()
            limits.append(partition.queue.most_records)
        return limits

    assert asyncio.run(scene()) == [16, 8, 4, 2, 2, 4, 8, 16, 16]


def test_a_checkpoint_above_its_limit_is_written_counted_and_logged(
    make_partition, bundle, monkeypatch, caplog
):
    monkeypatch.setattr(counters, "MOST_CHECKPOINT", 0)

    async def scene() -> None:
        partition = await make_partition()
        partition.apply(bundle(0, 3))
        await partition.checkpoint()
        assert (partition.durable, partition.counters.large_checkpoints) == (3, 1)
        assert "t.events/1" in caplog.text

    asyncio.run(scene())


def test_a_partition_with_a_hanging_checkpoint_accepts_at_most_two_checkpoints_of_changes(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(checkpoint_queue, "MOST_RECORDS", 10)

    async def scene() -> None:
        partition = await make_partition()
        partition.begin()
        partition.changelog.gate.clear()
        partition.apply(bundle(0, 10))
        await until(lambda: partition.changelog.begun == 1)
        for start in (10, 20):
            await asyncio.wait_for(partition.wait_for_space(), 1)
            partition.apply(bundle(start, start + 10))
        waiting = asyncio.create_task(partition.wait_for_space())
        await idle()
        assert not waiting.done()
        partition.changelog.gate.set()
        await asyncio.wait_for(waiting, 1)
        await partition.close()

    asyncio.run(scene())


def test_a_partition_with_many_unwritten_changes_accepts_no_more_until_they_are_written(
    make_partition, monkeypatch
):
    monkeypatch.setattr(checkpoint_queue, "MOST_PENDING", 1000)

    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.gate.clear()
        outputs = Outputs()
        outputs.add("windows", Message(b"k", b"x" * 2000))
        await asyncio.wait_for(partition.wait_for_space(), 1)
        partition.add(outputs)
        waiting = asyncio.create_task(partition.wait_for_space())
        await until(lambda: partition.changelog.begun == 1)
        partition.add(outputs)  # while the first transaction is under way
        await idle()
        assert not waiting.done()
        partition.changelog.gate.set()
        await asyncio.wait_for(waiting, 1)
        assert sum(len(messages["windows"]) for _, _, messages in partition.changelog.transactions) == 2

    asyncio.run(scene())


@pytest.mark.parametrize("failure", [RuntimeError("fenced"), asyncio.CancelledError(), TimeoutError()])
def test_any_failing_checkpoint_exits_with_70(make_partition, bundle, ends, ended, failure):
    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.failure = failure
        partition.apply(bundle(0, 3))
        with pytest.raises(ended):
            await partition.checkpoint()
        assert partition.durable == 0

    asyncio.run(scene())
    assert ends[0][:2] == ("restart", exits.STATE)
    assert "t.events/1" in ends[0][2]


def test_an_oversized_record_is_a_configuration_error(make_partition, bundle, ends, ended):
    async def scene() -> None:
        partition = await make_partition()
        partition.changelog.failure = exits.Misconfigured("record b'k' of state has 300000 bytes")
        partition.apply(bundle(0, 3))
        with pytest.raises(ended):
            await partition.checkpoint()

    asyncio.run(scene())
    assert ends[0][:2] == ("leave", exits.CONFIGURATION)


def test_closing_writes_everything_and_stops_the_background_task(make_partition, bundle):
    async def scene() -> None:
        partition = await make_partition()
        tended: list[str] = []

        class Agent:
            name, source = "watch", "events"

            async def tend(self, _: Any) -> None:
                tended.append("begun")
                try:
                    await asyncio.Event().wait()
                finally:
                    tended.append("ended")

        partition.agent = Agent()
        partition.begin()
        await until(lambda: tended)
        partition.apply(bundle(0, 3))
        await partition.close()
        assert (partition.durable, partition.changelog.closed, tended) == (3, True, ["begun", "ended"])

    asyncio.run(scene())


def test_a_failing_background_task_exits_the_process(make_partition, ends, ended):
    async def scene() -> None:
        partition = await make_partition()

        class Agent:
            name, source = "watch", "events"

            async def tend(self, _: Any) -> None:
                raise KeyError("outbox")

        partition.agent = Agent()
        partition.begin()
        with pytest.raises(ended):
            await partition._tasks[1]

    asyncio.run(scene())
    assert ends[0][:2] == ("restart", exits.STATE)


def test_caught_up_requires_a_known_and_recent_end_offset(make_partition):
    async def scene() -> None:
        partition = await make_partition(position=5)
        assert not partition.caught_up
        partition.end, partition.end_seen = 6, time.monotonic()
        assert not partition.caught_up
        partition.end = 5
        assert partition.caught_up
        partition.end_seen -= shell.FRESH_S + 1
        assert not partition.caught_up

    asyncio.run(scene())


@given(st.lists(st.integers(1, 6), min_size=1, max_size=10), st.data())
def test_overlapping_bundles_count_every_event_once(counting, lengths, data):
    async def scene() -> None:
        from agents.runtime.counters import Counters
        from agents.runtime.partition import Partition

        partition = Partition(counting.CountingAgent(), TPS, data, 60, Counters())
        partition.core = counting.Counts()
        for length in lengths:
            start = data.draw(st.integers(0, partition.position))
            stop = partition.position + length
            made = shell.Bundle(
                FileRecord(b'{"key": "k%d", "minute": 0}' % offset, offset) for offset in range(start, stop)
            )
            made.start, made.stop = start, stop
            partition.apply(made)
        assert partition.core.counts == {f"k{offset} 0": 1 for offset in range(sum(lengths))}
        assert partition.counters.records == partition.position == sum(lengths)

    asyncio.run(scene())


def test_outputs_that_are_not_urgent_are_written_together_a_moment_later(make_partition, monkeypatch):
    monkeypatch.setattr(checkpoint_queue, "LINGER_S", 0.05)

    async def scene() -> None:
        partition = await make_partition()
        partition.begin()
        for _ in range(5):
            outputs = Outputs()
            outputs.add("events", Message(b"k", b"forwarded", 1))
            partition.add(outputs)
            await asyncio.sleep(0)
        await idle()
        assert partition.changelog.transactions == []
        await until(lambda: partition.changelog.transactions)
        assert [len(outputs["events"]) for _, _, outputs in partition.changelog.transactions] == [5]
        await partition.close()

    asyncio.run(scene())
