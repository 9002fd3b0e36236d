"""Owned partitions, their states and a transport over Kafka in memory: nothing is lost or counted twice.

With processes and a real broker: ``tests/durability``.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
from unittest import mock

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.kafka.state_topic import POSITION, keep_latest
from agents.process import exits
from agents.runtime.bundle_intake import BundleIntake
from agents.runtime.counters import Counters
from agents.runtime.faust_transport import Bundle
from agents.runtime.owned_partitions import OwnedPartitions
from schemas import topics
from schemas.config.connections import Kafka
from tests.agents.counting_worker import CountingAgent, Counts
from tests.agents.runtime.memory_backend import MemoryKafka, MemoryTransport
from tests.tiers import examples

PARTITIONS = 2
OWNED = {TP("t.events", number) for number in range(PARTITIONS)}


class Ended(BaseException):
    """A process would have ended."""


def end(code: int, why: str) -> None:
    del code
    raise Ended(why)


class Process:
    """One worker: its partitions, and a transport that drops, repeats and reorders bundles."""

    def __init__(self, kafka: MemoryKafka, rng: random.Random) -> None:
        self._rng = rng
        self.store = OwnedPartitions(
            Kafka(prefix="t", checkpoint=60, partitions=PARTITIONS), [CountingAgent()], Counters(), kafka
        )
        self.transport = MemoryTransport(kafka, self.store, self._take, self._disturb)
        self._late: dict[TP, Bundle] = {}
        self.intake = BundleIntake(self.store, self.transport.earliest, self.transport.rewind)
        self.disturbance = 0.3

    async def _take(self, tp: TP, bundle: Bundle) -> None:
        if (late := self._late.pop(tp, None)) is not None:  # overlaps what is fetched now in other pieces
            await self.intake.take(tp, late)
        if self._rng.random() < self.disturbance:
            self._late[tp] = bundle
        await self.intake.take(tp, bundle)

    def _disturb(self, bundles: list[Bundle]) -> list[Bundle]:
        self.transport.most = self._rng.choice((1, 3, 10))  # of the next round
        kept = [bundle for bundle in bundles if self._rng.random() >= self.disturbance]
        kept += [bundle for bundle in bundles if self._rng.random() < self.disturbance]
        if self._rng.random() < self.disturbance:
            self._rng.shuffle(kept)
        return kept

    async def checkpoint(self) -> None:
        """Make all partitions durable."""
        await asyncio.gather(*(partition.checkpoint() for partition in self.store.owned.values()))

    async def finish(self) -> None:
        """Read everything, and stop as a process that is told to."""
        self.disturbance = 0.0
        while await self.transport.run_round():
            pass
        await self.store.revoke_all()

    def kill(self) -> None:
        """Leave everything as it is; no task goes on."""
        for partition in self.store.owned.values():
            for task in partition._tasks:
                task.cancel()


def made_kafka() -> MemoryKafka:
    kafka = MemoryKafka()
    for topic in topics.TOPICS:
        compacted = "compact" in topic.settings["cleanup.policy"]
        kafka.create(f"t.{topic.name}", topic.partitions or PARTITIONS, compacted=compacted)
    return kafka


def publish(kafka: MemoryKafka, rng: random.Random, minute: int) -> None:
    """Some events, a few of which cannot be read; and a transaction that is aborted."""
    for _ in range(rng.randrange(12)):
        value = (
            b"garbage" if rng.random() < 0.1 else b'{"key": "k%d", "minute": %d}' % (rng.randrange(4), minute)
        )
        kafka.publish("t.events", rng.randrange(PARTITIONS), (b"k", value))
    if rng.random() < 0.3:
        kafka.add(
            "source", ("t.events", rng.randrange(PARTITIONS)), (b"k", b'{"key": "aborted", "minute": 0}', ())
        )
        kafka.end("source", commit=False)


def require_undisturbed(kafka: MemoryKafka) -> None:
    """State, positions and outputs are those of fresh cores over the committed events."""
    outputs: collections.Counter[tuple[str, bytes]] = collections.Counter()
    for number in range(PARTITIONS):
        core = Counts()
        for suffix, messages in core.apply(kafka.read("t.events", number)).messages.items():
            outputs.update((suffix, message.value) for message in messages)
        state: dict[bytes, bytes] = {}
        keep_latest(state, kafka.read("t.watch.state", number))
        assert int(state[POSITION]) == kafka.log("t.events", number).end
        assert {key: value for key, value in state.items() if not key.startswith(b"\x00")} == dict(
            core.changed()
        )
    written = collections.Counter(
        (suffix, record.value)
        for suffix in ("windows", "deadletter")
        for number in range(len(kafka.topics[f"t.{suffix}"]))
        for record in kafka.read(f"t.{suffix}", number)
    )
    assert written == outputs


@settings(max_examples=examples(1 / 2))
@given(st.integers(0, 2**32))
def test_a_run_with_drops_kills_and_late_owners_equals_an_undisturbed_run(seed):
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of processes that have ended
        rng, kafka = random.Random(seed), made_kafka()
        process, zombies = Process(kafka, rng), list[Process]()
        await process.store.assign(OWNED)
        for minute in range(20):
            publish(kafka, rng, minute)
            await process.transport.run_round()
            step = rng.randrange(6)
            if step == 0:
                await process.checkpoint()
            elif step == 1:  # killed, or stopped for longer than a session
                if rng.random() < 0.5:
                    process.kill()
                else:
                    zombies.append(process)
                process = Process(kafka, rng)
                await process.store.assign(OWNED)
            elif step == 2:
                await process.store.revoke(OWNED)
                await process.store.assign(OWNED)
            elif step == 3:
                for log in kafka.topics["t.watch.state"]:
                    log.compact()
            elif step == 4 and zombies:
                zombie = zombies.pop()
                for partition in zombie.store.owned.values():
                    partition._mark += 1
                    with contextlib.suppress(Ended):
                        await partition.checkpoint()
                        raise AssertionError("a zombie has written")
        await process.finish()
        require_undisturbed(kafka)

    with mock.patch.object(exits, "restart", end), mock.patch.object(exits, "leave", end):
        asyncio.run(scene())


def test_a_broker_that_is_down_ends_the_process_and_its_successor_loses_nothing():
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        rng, kafka = random.Random(1), made_kafka()
        for minute in range(5):
            publish(kafka, rng, minute)
        process = Process(kafka, rng)
        await process.store.assign(OWNED)
        await process.transport.run_round()
        kafka.is_down = True
        with pytest.raises(Ended, match=KafkaConnectionError.__name__):
            await next(iter(process.store.owned.values())).checkpoint()
        with pytest.raises(Ended, match=KafkaConnectionError.__name__):
            await Process(kafka, rng).store.assign(OWNED)
        kafka.is_down = False
        successor = Process(kafka, rng)
        await successor.store.assign(OWNED)
        await successor.finish()
        require_undisturbed(kafka)

    with mock.patch.object(exits, "restart", end), mock.patch.object(exits, "leave", end):
        asyncio.run(scene())


def test_a_checkpoint_that_the_broker_does_not_confirm_is_written_completely_or_not_at_all():
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        rng, kafka = random.Random(2), made_kafka()
        for minute in range(5):
            publish(kafka, rng, minute)
        process = Process(kafka, rng)
        await process.store.assign(OWNED)
        await process.transport.run_round()
        kafka.may_write.clear()
        writing = asyncio.create_task(process.checkpoint())
        while len(kafka.open_transactions) < PARTITIONS:  # noqa: ASYNC110 - until both wait for the commit
            await asyncio.sleep(0)
        process.kill()
        kafka.may_write.set()
        successor = Process(kafka, rng)  # fences both before they go on, or after
        await successor.store.assign(OWNED)
        await asyncio.gather(writing, return_exceptions=True)
        await successor.finish()
        require_undisturbed(kafka)

    with mock.patch.object(exits, "restart", end), mock.patch.object(exits, "leave", end):
        asyncio.run(scene())
