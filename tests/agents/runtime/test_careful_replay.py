"""A record that ends the process whenever it is applied is found, set aside, and nothing else is lost."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.kafka.state_topic import POSITION, keep_latest
from agents.process import exits
from agents.runtime import bundle_intake
from agents.runtime.careful_replay import RELEASED, UNSEARCHED, Attempt, CarefulReplay, decode_attempt
from tests.agents.counting_worker import Counts
from tests.agents.runtime.memory_backend import MemoryKafka
from tests.agents.runtime.test_worker_in_memory import OWNED, PARTITIONS, Process, end, made_kafka
from tests.polling import until
from tests.tiers import examples

DEADLY = b'{"key": "deadly", "minute": 0}'


class Killed(BaseException):
    """The process was killed."""


def deadly_apply(apply: Any) -> Any:
    def applied(self: Any, records: Any, now_us: int | None = None) -> Any:
        if any(record.value == DEADLY for record in records):
            raise Killed
        return apply(self, records, now_us)

    return applied


async def lives(
    kafka: MemoryKafka,
    rng: random.Random,
    most: int = 40,
    *,
    is_compacted: bool = False,
    is_taken_over: bool = False,
) -> int:
    """Run processes one after the other until one has read everything; return how many were killed.

    Args:
        is_compacted: the state topic is compacted after each death.
        is_taken_over: after each death another process owns the partitions, and releases them at once.
    """
    for deaths in range(most):
        if is_taken_over:
            other = Process(kafka, rng)
            await other.store.assign(OWNED)
            await other.store.revoke_all()
        process = Process(kafka, rng)
        process.disturbance = 0.0
        await process.store.assign(OWNED)
        try:
            await process.finish()
        except Killed:
            process.kill()
            await asyncio.sleep(0)
            for log in kafka.topics["t.watch.state"] if is_compacted else ():
                log.compact()
        else:
            return deaths
    raise AssertionError(f"still killed after {most} lives")


def scene(
    numbers: dict[int, int], places: dict[int, list[int]], seed: int = 0, **conditions: bool
) -> tuple[int, MemoryKafka]:
    """Publish ``numbers`` records a partition, deadly ones at ``places``, and let processes live."""

    async def run() -> tuple[int, MemoryKafka]:
        kafka = made_kafka()
        for partition, number in numbers.items():
            for offset in range(number):
                value = DEADLY if offset in places.get(partition, ()) else b'{"key": "k", "minute": 0}'
                kafka.publish("t.events", partition, (b"k", value))
        return await lives(kafka, random.Random(seed), **conditions), kafka

    with (
        mock.patch.object(exits, "restart", end),
        mock.patch.object(exits, "leave", end),
        mock.patch.object(bundle_intake, "OTHERS_FIRST_S", 0.0),
        mock.patch.object(Counts, "apply", deadly_apply(Counts.apply)),
    ):
        return asyncio.run(run())


def letters(kafka: MemoryKafka) -> set[int]:
    topic = kafka.topics["t.deadletter"]
    return {
        json.loads(record.value or b"")["offset"]
        for number in range(len(topic))
        for record in kafka.read("t.deadletter", number)
    }


def counted(kafka: MemoryKafka, partition: int) -> int:
    state: dict[bytes, bytes] = {}
    keep_latest(state, kafka.read("t.watch.state", partition))
    assert int(state[POSITION]) == kafka.log("t.events", partition).end
    return int(state.get(b"k 0", b"0"))


def test_a_deadly_record_is_set_aside_with_its_offset_after_a_few_deaths():
    deaths, kafka = scene({0: 3000, 1: 50}, {0: [2000]})
    assert letters(kafka) == {2000}
    assert (counted(kafka, 0), counted(kafka, 1)) == (2999, 50)
    assert deaths <= 7


def test_a_deadly_record_in_quiet_traffic_ends_the_process_three_times():
    deaths, kafka = scene({0: 1}, {0: [0]})
    assert letters(kafka) == {0}
    assert deaths == 3  # once before anybody knows, twice alone


@pytest.mark.parametrize(("number", "place"), [(1, 0), (300, 7), (3000, 2000)])
def test_compaction_between_the_deaths_does_not_begin_the_search_again(number, place):
    deaths, kafka = scene({0: number, 1: 50}, {0: [place]}, is_compacted=True)
    assert letters(kafka) == {place}
    assert (counted(kafka, 0), counted(kafka, 1)) == (number - 1, 50)
    assert deaths <= 8


@pytest.mark.parametrize(("number", "place"), [(1, 0), (300, 7), (3000, 2000)])
def test_an_owner_that_releases_before_it_applied_anything_does_not_begin_the_search_again(number, place):
    deaths, kafka = scene({0: number, 1: 50}, {0: [place]}, is_taken_over=True)
    assert letters(kafka) == {place}
    assert (counted(kafka, 0), counted(kafka, 1)) == (number - 1, 50)
    assert deaths <= 8


@settings(max_examples=examples(1 / 4), deadline=None)
@given(st.integers(1, 400), st.sets(st.integers(0, 399), max_size=3), st.integers(0, 100))
def test_exactly_the_deadly_records_are_set_aside(number, places, seed):
    wanted = {place for place in places if place < number}
    _, kafka = scene({0: number, 1: 20}, {0: sorted(wanted)}, seed)
    assert letters(kafka) == wanted
    assert (counted(kafka, 0), counted(kafka, 1)) == (number - len(wanted), 20)


def test_deaths_of_others_set_no_record_aside():
    """Processes are killed again and again, at random, while nothing is deadly."""

    async def run() -> MemoryKafka:
        rng, kafka = random.Random(4), made_kafka()
        for _ in range(60):
            kafka.publish("t.events", rng.randrange(PARTITIONS), (b"k", b'{"key": "k", "minute": 0}'))
            process = Process(kafka, rng)
            process.disturbance = 0.0
            await process.store.assign(OWNED)
            if rng.random() < 0.5:
                await process.transport.run_round()
            process.kill()
        await lives(kafka, rng)
        return kafka

    with mock.patch.object(exits, "restart", end), mock.patch.object(exits, "leave", end):
        kafka = asyncio.run(run())
    assert letters(kafka) == set()
    assert counted(kafka, 0) + counted(kafka, 1) == 60


def test_a_partition_that_was_released_in_order_notes_no_attempt(make_partition, bundle):
    async def run() -> None:
        partition = await make_partition()
        await partition.take(bundle(0, 3))
        assert partition.changelog.transactions == []

    asyncio.run(run())


def test_the_owner_after_one_that_released_in_order_searches_nothing():
    """Also if the position did not move in the meantime."""

    async def run() -> list[Attempt]:
        kafka = made_kafka()
        for _ in range(3):
            process = Process(kafka, random.Random(1))
            process.disturbance = 0.0
            await process.store.assign(OWNED)
            await process.finish()
        kafka.publish("t.events", 0, (b"k", b'{"key": "k", "minute": 0}'))
        process = Process(kafka, random.Random(1))
        await process.store.assign(OWNED)
        await process.finish()
        notes = [decode_attempt(record.value) for record in kafka.read("t.watch.state", 0)]
        return [note for note in notes if note is not None]

    assert set(asyncio.run(run())) == {RELEASED}


def test_a_partition_that_is_released_between_the_note_and_its_attempt_blames_no_record(
    make_partition, bundle
):
    async def run() -> None:
        partition = await make_partition(unclean=True)
        noted: list[Any] = []
        write = partition.changelog.write

        async def writing(position: int, changed: Any, outputs: Any, attempt: Any = None) -> Any:
            noted.append((position, attempt))
            return await write(position, changed, outputs, attempt)

        partition.changelog.write = writing
        partition.changelog.gate.clear()
        taking = asyncio.create_task(partition.take(bundle(0, 3)))
        await until(lambda: noted)
        closing = asyncio.create_task(partition.close())
        await asyncio.sleep(0)
        partition.changelog.gate.set()
        await asyncio.gather(taking, closing)
        assert noted == [(0, Attempt(0, 3)), (0, UNSEARCHED)]
        assert partition.position == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (None, Attempt(10, 266)),
        (Attempt(10, 266), Attempt(10, 26)),
        (Attempt(10, 26), Attempt(10, 11)),
        (Attempt(10, 11), Attempt(10, 11, 1)),
        (Attempt(10, 11, 1), Attempt(10, 11, 2)),
        (Attempt(9, 265), Attempt(10, 266)),
        (RELEASED, Attempt(10, 266)),
    ],
    ids=["none", "many", "few", "one", "one twice", "of another position", "released"],
)
def test_an_attempt_is_a_sixteenth_of_the_one_that_ended_the_process(noted, expected):
    async def run() -> Attempt:
        return CarefulReplay(10, noted, asyncio.Lock()).attempt(10, 10_000)

    assert asyncio.run(run()) == expected
