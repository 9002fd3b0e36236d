"""A slow bundle: other tasks run in between, and it is written only when complete."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from agents.runtime import step_slices
from monitor.protocol.messages import FileRecord, Outputs
from monitor.self_health.partition_health import partition_counts
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.polling import until


def slow(partition: Any, log: list[str]) -> None:
    """The core counts one event per step, and each step exceeds a time slice."""
    core = partition.core
    once = core.apply

    def steps(records, now_us, out):
        for record in records:
            out.extend(once([record], now_us))
            log.append(f"step {record.offset}")
            time.sleep(0.002)
            yield

    core.steps = steps


def test_a_long_bundle_yields_to_other_tasks_and_is_written_only_when_complete(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        slow(partition, log)
        taking = asyncio.create_task(partition.take(bundle(0, 20)))
        await asyncio.sleep(0)
        partition.add(Outputs())  # a heartbeat
        writing = asyncio.create_task(partition.checkpoint())
        while not taking.done():
            log.append("turn")
            partition.end, partition.end_seen = 0, time.monotonic()
            assert not partition.caught_up or taking.done()
            await asyncio.sleep(0)
        assert log.count("turn") > 5
        await writing
        await partition.checkpoint()
        ((position, changed, _),) = partition.changelog.transactions
        assert position == 20
        assert len(changed) == 20
        assert partition.steps == 20

    asyncio.run(scene())


def test_a_cancelled_bundle_is_completed_first(make_partition, bundle, monkeypatch):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        slow(partition, log)
        taking = asyncio.create_task(partition.take(bundle(0, 20)))
        await until(lambda: log, every_s=0)
        assert len(log) < 20
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert taking.cancelled()
        await partition.close()
        ((position, changed, _),) = partition.changelog.transactions
        assert (position, len(changed)) == (20, 20)

    asyncio.run(scene())


def test_a_bundle_that_raises_half_way_is_never_written(make_partition, bundle, monkeypatch):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        slow(partition, log)
        steps = partition.core.steps

        def broken(records, now_us, out):
            for step, _ in enumerate(steps(records, now_us, out)):
                if step == 10:
                    raise RuntimeError("a fault in the core")
                yield

        partition.core.steps = broken
        taking = asyncio.create_task(partition.take(bundle(0, 20)))
        await until(lambda: log, every_s=0)
        partition.add(Outputs())  # a heartbeat
        writing = asyncio.create_task(partition.checkpoint())
        (fault,) = await asyncio.gather(taking, return_exceptions=True)
        assert isinstance(fault, RuntimeError)
        for _ in range(20):
            await asyncio.sleep(0)
        assert partition.changelog.transactions == []
        writing.cancel()

    asyncio.run(scene())


def test_a_jump_of_hours_is_applied_in_many_steps_with_the_outputs_of_a_single_step():
    def event(minute: int, model: str) -> FileRecord:
        time_of = f"2026-03-02T{9 + minute // 60:02}:{minute % 60:02}:00Z"
        fields = {
            "event_id": "x",
            "time": time_of,
            "service": "s",
            "feature": "f",
            "model": model,
            "error_type": "timeout" if minute % 3 else "",
        }
        return FileRecord(json.dumps(fields).encode(), minute)

    records = [event(minute, f"m{minute % 5}") for minute in [*range(90), 500, 501]]
    whole, stepped = Watch(Config()), Watch(Config())
    out, steps = Outputs(), 0
    for _ in stepped.steps(records, None, out):
        steps += 1
    assert whole.apply(records, None).order == out.order
    assert steps > 150
    assert sorted(whole.changed()) == sorted(stepped.changed())


def test_an_edge_is_a_step_for_each_feature_and_can_be_read_between_them():
    """Thousands of segments at an edge would block the loop for seconds; transactions would time out."""
    event = (
        '{"event_id": "%d", "time": "2026-03-02T09:0%d:00Z", "service": "s", "feature": "f%d", "model": "m"}'
    )
    records = [
        FileRecord((event % (number, 2 * (number // 20), number % 20)).encode(), number)
        for number in range(40)
    ]
    whole, stepped = Watch(Config()), Watch(Config())
    out, features = Outputs(), []
    for _ in stepped.steps(records, None, out):
        assert list(stepped.measures())
        features.append(len(stepped.status()["features"]))
    assert len(features) >= 20
    assert whole.apply(records, None).order == out.order
    assert sorted(whole.changed()) == sorted(stepped.changed())


def test_a_reader_between_two_edges_sees_exactly_the_applied_records():
    """Dead letters without accepted records would page that nothing is readable."""
    core = Watch(Config())
    event = (
        '{"event_id": "x", "time": "2026-03-02T09:%02d:00Z", "service": "s", "feature": "f", "model": "m"}'
    )
    records = [
        FileRecord(b"garbage" if offset % 2 else (event % offset).encode(), offset) for offset in range(40)
    ]
    readings = []
    for _ in core.steps(records, 0, Outputs()):
        counts = partition_counts(core.partition_state, core._records, {})
        readings.append((counts["dead-letters"], counts["records"]))
    assert len(readings) > 30
    assert all(letters <= records <= 2 * letters + 2 for letters, records in readings)


def steps_of(partition: Any, log: list[str], count: int) -> Any:
    """Change the core in steps, each of which exceeds a time slice."""
    for number in range(count):
        partition.core.latest = number
        log.append(f"advance {number}")
        time.sleep(0.002)
        yield


def test_an_advance_lets_other_tasks_run_and_nothing_is_applied_or_written_in_between(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        slow(partition, log)
        advancing = asyncio.create_task(partition.run(steps_of(partition, log, 10), Outputs()))
        await asyncio.sleep(0)
        taking = asyncio.create_task(partition.take(bundle(0, 10)))
        partition.add(Outputs())  # a heartbeat
        writing = asyncio.create_task(partition.checkpoint())
        while not advancing.done():
            log.append("turn")
            assert not partition.changelog.begun
            await asyncio.sleep(0)
        assert log.count("turn") > 5
        await asyncio.gather(taking, writing)
        done = [entry for entry in log if entry != "turn"]
        assert done == [*(f"advance {n}" for n in range(10)), *(f"step {n}" for n in range(10))]
        await partition.checkpoint()
        assert partition.changelog.transactions[-1][0] == 10

    asyncio.run(scene())


def test_a_cancelled_advance_is_completed_and_becomes_durable(make_partition, monkeypatch):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        advancing = asyncio.create_task(partition.run(steps_of(partition, log, 10), Outputs()))
        await until(lambda: log, every_s=0)
        advancing.cancel()
        await asyncio.gather(advancing, return_exceptions=True)
        assert advancing.cancelled()
        assert len(log) == 10
        await partition.close()
        assert len(partition.changelog.transactions) == 1

    asyncio.run(scene())


def test_a_checkpoint_that_waited_for_a_bundle_does_not_begin_inside_the_next_one(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        partition, log = await make_partition(), []
        slow(partition, log)

        async def take_two() -> None:
            await partition.take(bundle(0, 10))
            await partition.take(bundle(10, 20))

        taking = asyncio.create_task(take_two())
        await until(lambda: log, every_s=0)
        partition.add(Outputs())
        writing = asyncio.create_task(partition.checkpoint())
        await asyncio.gather(taking, writing)
        for position, changed, _ in partition.changelog.transactions:
            assert sum(int(value) for key, value in changed if key != b"latest") in (position, 20)
            assert position in (10, 20)

    asyncio.run(scene())


def test_steps_of_an_advance_are_progress_only_while_records_wait(make_partition):
    async def scene() -> None:
        partition = await make_partition()
        await partition.run(steps_of(partition, [], 5), Outputs())
        assert partition.steps == 0
        partition.end = 3
        await partition.run(steps_of(partition, [], 5), Outputs())
        assert partition.steps == 5

    asyncio.run(scene())


def test_of_several_partitions_few_take_a_slice_between_two_turns_of_the_loop(
    make_partition, bundle, monkeypatch
):
    """If all did, a transaction of a worker with 16 busy partitions would wait for 16 slices at each answer."""
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)

    async def scene() -> None:
        turn, log = step_slices.Turn(), []
        partitions = [await make_partition() for _ in range(4)]
        for partition in partitions:
            partition.slices.turn = turn
            slow(partition, log)
        taking = [asyncio.create_task(partition.take(bundle(0, 10))) for partition in partitions]
        while not all(task.done() for task in taking):
            log.append("turn")
            await asyncio.sleep(0)
        assert log.count("step 9") == 4
        between = " ".join(log).split("turn")
        assert max(entries.count("step") for entries in between) <= 2

    asyncio.run(scene())


def test_fewer_records_are_applied_at_once_while_they_take_long(make_partition, bundle, monkeypatch):
    monkeypatch.setattr(step_slices, "LEAST_AT_ONCE", 4)
    monkeypatch.setattr(step_slices, "MOST_RECORDS", 64)

    async def scene() -> None:
        partition = await make_partition()
        partition.slices.at_once, seen = 16, []
        for slow_s in (0.0, 1.0, 1.0, 1.0, 0.5):
            monkeypatch.setattr(step_slices, "SLOW_S", slow_s)  # every slice is slow, or none is
            start = partition.position
            await partition.take(bundle(start, start + 100))
            seen.append((partition.position - start, partition.slices.at_once))
        assert seen == [(16, 8), (8, 16), (16, 32), (32, 64), (64, 64)]

    asyncio.run(scene())


def test_slices_wait_for_an_old_transaction_but_not_for_ever(make_partition, bundle, monkeypatch):
    monkeypatch.setattr(step_slices, "SLICE_S", 0.001)
    monkeypatch.setattr(step_slices, "OLD_S", 0.0)

    async def scene(wait_s: float, *, commits: bool) -> int:
        """Return the step at which the transaction was committed."""
        monkeypatch.setattr(step_slices, "WAIT_S", wait_s)
        partition, log = await make_partition(), []
        slow(partition, log)
        partition.changelog.gate.clear()
        partition.add(Outputs())
        writing = asyncio.create_task(partition.checkpoint())
        await until(lambda: partition.changelog.begun == 1, every_s=0)
        taking = asyncio.create_task(partition.take(bundle(0, 10)))
        await until(lambda: log, every_s=0)
        for _ in range(50):
            await asyncio.sleep(0)
        taken = len(log)
        if commits:
            partition.changelog.gate.set()
            await writing
        await taking
        assert len(log) == 10
        partition.changelog.gate.set()
        await writing
        return taken

    assert asyncio.run(scene(60.0, commits=True)) == 1
    assert asyncio.run(scene(0.001, commits=False)) >= 1
