"""Assigned, restored and revoked partitions."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref
from typing import Any

import pytest
from faust.types import TP

from agents.kafka.state_topic import HEADER, POSITION, keep_latest
from agents.process import exits
from agents.runtime import owned_partitions
from agents.runtime.counters import Counters
from agents.runtime.faust_transport import Bundle
from agents.runtime.owned_partitions import OwnedPartitions
from agents.runtime.process_counters import ProcessCounters
from agents.runtime.state_header import expected_header
from agents.watch import WatchAgent
from monitor.protocol.messages import FileRecord
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config
from tests.agents.runtime.memory_backend import MemoryKafka
from tests.polling import idle, until

A, B = TP("t.events", 0), TP("t.events", 1)


CLUSTER = "c1"


def made_kafka(cluster: str = CLUSTER) -> MemoryKafka:
    """Two partitions whose state stands at position 7 of 9 events. No write returns before ``may_write``."""
    kafka = MemoryKafka()
    for name, partitions in (("events", 2), ("windows", 16), ("deadletter", 4)):
        kafka.create(f"t.{name}", partitions)
    kafka.create("t.watch.state", 2, compacted=True)
    header = json.dumps(expected_header("watch", cluster, "t.events", 2)).encode()
    for partition in range(2):
        kafka.publish("t.events", partition, *[(None, b"event")] * 9)
        kafka.publish("t.watch.state", partition, (HEADER, header), (POSITION, b"7"))
    kafka.may_write.clear()
    return kafka


@pytest.fixture
def make_store(counting) -> Any:
    def make(kafka: MemoryKafka) -> OwnedPartitions:
        settings = Kafka(prefix="t", checkpoint=60)
        store = OwnedPartitions(settings, [counting.CountingAgent()], Counters(), kafka)
        store.cluster = CLUSTER
        return store

    return make


def restoring(kafka: MemoryKafka, count: int) -> Any:
    """Wait until so many partitions wait for their barrier."""
    return until(lambda: len(kafka.open_transactions) == count)


def test_assigning_returns_after_the_restore_with_known_positions(make_store):
    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        assigning = asyncio.create_task(store.assign({A, B}))
        await restoring(kafka, 2)
        assert not assigning.done()
        assert [(status.partition, status.restoring, status.core) for status in store.status()] == [
            (0, True, None),
            (1, True, None),
        ]
        assert (store.positions(), store.assigned) == ({}, False)
        kafka.may_write.set()
        await assigning
        assert (store.positions(), store.durable(), store.assigned) == ({A: 7, B: 7}, {A: 7, B: 7}, True)
        assert not any(status.restoring for status in store.status())
        await store.revoke_all()

    asyncio.run(scene())


def test_a_revoked_partition_is_hidden_immediately_and_durable_when_revoking_returns(make_store, bundle):
    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        kafka.may_write.set()
        await store.assign({A, B})
        store.owned[A].apply(bundle(7, 9))
        revoking = asyncio.create_task(store.revoke({A}))
        await asyncio.sleep(0)
        assert [status.partition for status in store.status()] == [1]
        await revoking
        latest: dict[bytes, bytes] = {}
        keep_latest(latest, kafka.read("t.watch.state", 0))
        assert (latest[POSITION], kafka.connected) == (b"9", {"t.watch-t.events-1"})
        await store.revoke_all()

    asyncio.run(scene())


def test_a_partition_revoked_during_its_restore_is_released(make_store):
    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        assigning = asyncio.create_task(store.assign({A}))
        await restoring(kafka, 1)
        await store.revoke({A})
        await assigning
        assert (store.owned, store.restoring, kafka.connected) == ({}, {}, set())

    asyncio.run(scene())


def test_a_restore_logs_its_progress_and_its_total(make_store, monkeypatch, caplog):
    monkeypatch.setattr(owned_partitions, "SAY_S", 0.01)
    caplog.set_level("INFO", "softfail.store")

    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        assigning = asyncio.create_task(store.assign({A, B}))
        await restoring(kafka, 2)
        for partition, _ in store.restoring.values():
            changelog: Any = partition.changelog
            changelog.restored, changelog.share = 120_000, 0.5
        await until(lambda: "50 %" in caplog.text)
        kafka.may_write.set()
        await assigning
        await store.revoke_all()

    asyncio.run(scene())
    assert "restoring t.events/0: 120,000 records, 50 % of its log" in caplog.text
    assert "restored 2 partitions: 240,006 records of state in" in caplog.text


def test_the_duration_of_the_restore_of_a_partition_is_recorded(make_store):
    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        before_s = time.monotonic()
        assigning = asyncio.create_task(store.assign({A}))
        await restoring(kafka, 1)
        began_s = time.monotonic()
        assert store.restoring[A][0].recovery_s == 0.0
        await idle()
        waited_s = time.monotonic() - began_s
        kafka.may_write.set()
        await assigning
        assert waited_s <= store.owned[A].recovery_s <= time.monotonic() - before_s
        await store.revoke_all()

    asyncio.run(scene())


def test_the_garbage_collector_is_off_during_a_restore_and_on_after_it(make_store):
    async def scene() -> list[bool]:
        kafka = made_kafka()
        store = make_store(kafka)
        assigning = asyncio.create_task(store.assign({A}))
        await restoring(kafka, 1)
        states = [gc.isenabled()]
        kafka.may_write.set()
        await assigning
        await store.revoke_all()
        return [*states, gc.isenabled()]

    assert asyncio.run(scene()) == [False, True]


@pytest.mark.parametrize(
    ("cluster", "is_down", "end"),
    [("another", False, ("leave", exits.CONFIGURATION)), (CLUSTER, True, ("restart", exits.STATE))],
    ids=["state of another cluster", "the broker is down"],
)
def test_a_partition_that_cannot_be_restored_exits_the_process(
    make_store, ends, ended, cluster, is_down, end
):
    async def scene() -> None:
        kafka = made_kafka(cluster)
        kafka.is_down = is_down
        kafka.may_write.set()
        with pytest.raises(ended):
            await make_store(kafka).assign({A})

    asyncio.run(scene())
    assert ends[0][:2] == end


def test_an_empty_assignment_is_an_assignment(make_store):
    async def scene() -> None:
        kafka = made_kafka()
        store = make_store(kafka)
        await store.assign(set())
        assert store.assigned

    asyncio.run(scene())


UNREADABLE = (
    None,
    b"",
    b"x",
    b"\xff",
    b"[1]",
    b"{}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'"\\ud800',
    b"1e999999999",
)


def test_a_revoked_partition_that_was_scraped_and_had_unreadable_records_leaves_memory_without_a_collection():
    """What a restore froze is never collected: a core in a cycle of an error and its frame would stay for ever."""

    async def scene() -> list[Any]:
        kafka = made_kafka()
        kafka.may_write.set()
        store = OwnedPartitions(
            Kafka(prefix="t", checkpoint=60), [WatchAgent(Config.model_validate({}))], Counters(), kafka
        )
        store.cluster = CLUSTER
        await store.assign({A})
        partition = store.owned[A]
        bundle = Bundle(FileRecord(value, 7 + number) for number, value in enumerate(UNREADABLE))
        bundle.start, bundle.stop = 7, 7 + len(UNREADABLE)
        await partition.take(bundle)
        scraped = ProcessCounters()
        for status in store.status():
            list(scraped.take(status, partition.core.measures()))
            del status
        released = weakref.ref(partition), weakref.ref(partition.core)
        del partition, bundle
        await store.revoke({A})
        await idle()  # the tasks that have ended are taken away
        list(scraped.counters())
        return [reference() for reference in released]

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(scene()) == [None, None]
    finally:
        gc.enable()
