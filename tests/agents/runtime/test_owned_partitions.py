"""Assigned, restored and revoked partitions."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from faust.types import TP

from agents.process import exits
from agents.runtime import owned_partitions
from agents.runtime.changelog import Recovery, WriteResult
from agents.runtime.counters import Counters
from agents.runtime.owned_partitions import OwnedPartitions
from schemas.config.connections import Kafka

A, B = TP("t.events", 0), TP("t.events", 1)


class Changelog:
    """Opens when ``may_open`` is set; ``failure`` set: it fails instead."""

    may_open: asyncio.Event
    failure: BaseException | None = None
    made: list[Any] = []

    def __init__(self, kafka: Kafka, agent: str, tp: TP, cluster: str, *_: Any) -> None:
        self.tp, self.written, self.closed, self.restored, self.share, self.records, self.bytes = (
            tp,
            [],
            False,
            0,
            0.0,
            0,
            0,
        )  # type: ignore[var-annotated]
        self.state_topic, self.remedy = f"{kafka.prefix}.{agent}.state", cluster
        Changelog.made.append(self)

    async def open(self) -> Recovery:
        await Changelog.may_open.wait()
        if Changelog.failure is not None:
            raise Changelog.failure
        return Recovery([], 7, 2, False, 0)

    async def write(self, position: int, changed: Any, outputs: Any) -> WriteResult:
        self.written.append(position)
        return WriteResult(0, 0, 0)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def make_store(monkeypatch, counting) -> Any:
    def make() -> OwnedPartitions:
        Changelog.may_open, Changelog.failure, Changelog.made = asyncio.Event(), None, []
        monkeypatch.setattr(owned_partitions, "Changelog", Changelog)
        return OwnedPartitions(Kafka(prefix="t", checkpoint=60), [counting.CountingAgent()], Counters())

    return make


def test_assigning_returns_after_the_restore_with_known_positions(make_store):
    async def scene() -> None:
        store = make_store()
        assigning = asyncio.create_task(store.assign({A, B}))
        await asyncio.sleep(0.01)
        assert not assigning.done()
        assert [(status.partition, status.restoring, status.core) for status in store.status()] == [
            (0, True, None),
            (1, True, None),
        ]
        assert (store.positions(), store.assigned) == ({}, False)
        Changelog.may_open.set()
        await assigning
        assert (store.positions(), store.durable(), store.assigned) == ({A: 7, B: 7}, {A: 7, B: 7}, True)
        assert not any(status.restoring for status in store.status())
        await store.revoke_all()

    asyncio.run(scene())


def test_a_revoked_partition_is_hidden_immediately_and_durable_when_revoking_returns(make_store, bundle):
    async def scene() -> None:
        store = make_store()
        Changelog.may_open.set()
        await store.assign({A, B})
        store.owned[A].apply(bundle(7, 9))
        revoking = asyncio.create_task(store.revoke({A}))
        await asyncio.sleep(0)
        assert [status.partition for status in store.status()] == [1]
        await revoking
        changelog = next(made for made in Changelog.made if made.tp == A)
        assert (changelog.written, changelog.closed) == ([9], True)
        await store.revoke_all()

    asyncio.run(scene())


def test_a_partition_revoked_during_its_restore_is_released(make_store):
    async def scene() -> None:
        store = make_store()
        assigning = asyncio.create_task(store.assign({A}))
        await asyncio.sleep(0.01)
        await store.revoke({A})
        await assigning
        assert (store.owned, store.restoring, Changelog.made[0].closed) == ({}, {}, True)

    asyncio.run(scene())


def test_a_restore_logs_its_progress_and_its_total(make_store, monkeypatch, caplog):
    monkeypatch.setattr(owned_partitions, "SAY_S", 0.01)
    caplog.set_level("INFO", "softfail.store")

    async def scene() -> None:
        store = make_store()
        assigning = asyncio.create_task(store.assign({A, B}))
        await asyncio.sleep(0.01)
        for changelog in Changelog.made:
            changelog.restored, changelog.share = 120_000, 0.5
        await asyncio.sleep(0.05)
        Changelog.may_open.set()
        await assigning
        await store.revoke_all()

    asyncio.run(scene())
    assert "restoring t.events/0: 120,000 records, 50 % of its log" in caplog.text
    assert "restored 2 partitions: 240,000 records of state in" in caplog.text


def test_a_partition_knows_the_duration_of_its_restore(make_store):
    async def scene() -> None:
        store = make_store()
        assigning = asyncio.create_task(store.assign({A}))
        await asyncio.sleep(0.2)
        assert store.restoring[A][0].recovery_s == 0.0
        Changelog.may_open.set()
        await assigning
        assert store.owned[A].recovery_s >= 0.2
        await store.revoke_all()

    asyncio.run(scene())


def test_the_garbage_collector_is_off_during_a_restore_and_on_after_it(make_store):
    async def scene() -> list[bool]:
        store = make_store()
        assigning = asyncio.create_task(store.assign({A}))
        await asyncio.sleep(0.01)
        states = [gc.isenabled()]
        Changelog.may_open.set()
        await assigning
        await store.revoke_all()
        return [*states, gc.isenabled()]

    assert asyncio.run(scene()) == [False, True]


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (exits.Misconfigured("its cluster is 'b'"), ("leave", exits.CONFIGURATION)),
        (TimeoutError(), ("restart", exits.STATE)),
    ],
)
def test_a_partition_that_cannot_be_restored_exits_the_process(make_store, ends, ended, failure, end):
    async def scene() -> None:
        store = make_store()
        Changelog.failure = failure
        Changelog.may_open.set()
        with pytest.raises(ended):
            await store.assign({A})

    asyncio.run(scene())
    assert ends[0][:2] == end


def test_an_empty_assignment_is_an_assignment(make_store):
    async def scene() -> None:
        store = make_store()
        await store.assign(set())
        assert store.assigned

    asyncio.run(scene())
