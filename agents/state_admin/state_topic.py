"""The state topic of one agent from outside a worker: read without disturbing anybody, and rewritten when
nobody owns it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    ProducerFenced,
)
from faust.types import TP

from agents.kafka import consumer_group
from agents.kafka.connection import clients
from agents.runtime.changelog import BARRIER, HEADER, OPEN_S, ORDERED, POSITION, Journal, StateRecord
from monitor.protocol.messages import Message
from schemas import topics
from schemas.config.monitor_config import Kafka

AGENTS = tuple(topic.name.removesuffix(".state") for topic in topics.TOPICS if topic.name.endswith(".state"))
STALL_S = 30.0  # an open transaction ends after 20 s; what stands still for longer is not waited for
_AWAY = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class Refused(Exception):
    """What was asked for is not done, and why; of the partition that it names nothing was changed."""


class Snapshot(NamedTuple):
    """What one partition of state says, and where its source begins and ends. ``records``: key -> latest
    value, in the order of the log.
    """

    partition: int
    records: dict[bytes, bytes]
    begin: int
    end: int

    @property
    def position(self) -> int | None:
        """The source offset that a worker applies next; None: it begins anew."""
        value = self.records.get(POSITION, b"")
        return int(value) if value.isdigit() else None


class StateTopic:
    """The state of one agent under one prefix."""

    def __init__(self, kafka: Kafka, agent: str) -> None:
        self.kafka, self.agent = kafka, agent
        self.name = f"{kafka.prefix}.{agent}.state"
        self.source = f"{kafka.prefix}.{topics.source_of(f'{agent}.state')}"

    async def partitions(self, only: int | None = None) -> list[int]:
        """The numbers of its partitions, or the one asked for.

        Raises:
            Refused: there is no such topic or partition, or its source is missing.
        """
        # of all topics: to ask for one by name would create it on some brokers
        async with self._admin() as admin:
            counts = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        for name in (self.name, self.source):
            if name not in counts:
                raise Refused(
                    f"topic {name} does not exist at {self.kafka.brokers}; is kafka.prefix"
                    f" {self.kafka.prefix!r} right?"
                )
        if only is not None and only >= min(counts[self.name], counts[self.source]):
            raise Refused(
                f"{self.name} has no partition {only}; the last is"
                f" {min(counts[self.name], counts[self.source]) - 1}"
            )
        return list(range(min(counts[self.name], counts[self.source]))) if only is None else [only]

    async def count(self) -> int:
        """How many partitions the source has."""
        async with self._admin() as admin:
            return next(
                len(topic["partitions"])
                for topic in await admin.describe_topics()
                if topic["topic"] == self.source
            )

    async def read(self, numbers: Sequence[int]) -> list[Snapshot]:
        """What is committed, as it is now. Joins no group and opens no transaction, so a running worker does
        not notice.

        Raises:
            Refused: a transaction stays open, so the end cannot be read.
        """
        state, source = (
            [TopicPartition(self.name, number) for number in numbers],
            [TopicPartition(self.source, number) for number in numbers],
        )
        latest: dict[int, dict[bytes, bytes]] = {number: {} for number in numbers}
        consumer = AIOKafkaConsumer(
            **clients(self.kafka),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=8 << 20,
        )
        await consumer.start()
        try:
            consumer.assign(state)
            begins, ends = (
                await consumer.beginning_offsets([*state, *source]),
                await consumer.end_offsets([*state, *source]),
            )
            await consumer.seek_to_beginning(*state)
            moved = time.monotonic()
            for tp in state:  # one after the other: what is behind waits in the broker, not in memory
                while await consumer.position(tp) < ends[tp]:
                    for records in (await consumer.getmany(timeout_ms=200, max_records=5000)).values():
                        moved = time.monotonic()
                        for record in records:
                            _take(latest[record.partition], record.key, record.value)
                    if time.monotonic() - moved > STALL_S:
                        raise Refused(
                            f"{self.name}/{tp.partition} cannot be read to its end, {ends[tp]}: a transaction"
                            " stays open; try again"
                        )
        finally:
            await consumer.stop()
        return [Snapshot(at.partition, latest[at.partition], begins[at], ends[at]) for at in source]

    async def require_unowned(self, numbers: Iterable[int]) -> None:
        """Return when no member of the group owns any of these.

        Raises:
            Refused: a member does, or the group is just deciding about it.
        """
        linger = (
            "Stop the workers first; one that has stopped counts as alive for kafka.session_timeout,"
            f" {self.kafka.session_timeout:g} s"
        )
        found = await self._group()
        if found["members"] and found["state"] != "Stable":
            raise Refused(
                f"group {self.kafka.prefix} is rebalancing ({found['state']}), so it is not known who owns"
                f" {self.name}. {linger}"
            )
        members = {}
        for member in found["members"]:
            for tp in consumer_group.owned(_Answer([member])):
                members[tp] = f"{member['client_id']} at {member['client_host'].lstrip('/')}"
        if owned := sorted(number for number in numbers if TP(self.source, number) in members):
            who = ", ".join(sorted({members[TP(self.source, number)] for number in owned}))
            raise Refused(f"a worker owns {self.source}/{_listed(owned)} ({who}). {linger}")

    async def cluster(self) -> str:
        """The id of the cluster, as the header of state has it."""
        async with self._admin() as admin:
            return str((await admin.describe_cluster())["cluster_id"])

    async def _group(self) -> dict[str, Any]:
        async with self._admin() as admin:
            for _ in range(20):
                try:
                    (response,) = await admin.describe_consumer_groups([self.kafka.prefix])
                    found: dict[str, Any] = response.to_object()["groups"][0]
                except _AWAY:
                    found = {"error_code": _AWAY[0].errno}
                if found["error_code"] not in [error.errno for error in _AWAY]:
                    return found
                await asyncio.sleep(0.5)  # a broker that has just started
        raise Refused(
            f"the coordinator of group {self.kafka.prefix} does not answer, so it is not known who owns"
            f" {self.name}; try again"
        )

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**clients(self.kafka), request_timeout_ms=10_000)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


class Rewriter(Journal):
    """A journal that is opened to change what a worker would refuse: it takes the same transactional id, so
    an owner that wakes up is fenced.
    """

    async def take(self) -> dict[bytes, bytes]:
        """Fence every earlier owner, then read what is committed, the store's own records included; nothing
        is checked.
        """
        async with asyncio.timeout(OPEN_S):
            await self._producer.start()
            self._open = True
            barrier = await self._transact({self._state: [(BARRIER, b"{}", ())]})
        async with self._reader() as reader:
            return await self._read_to(reader, barrier)

    def check(self, header: bytes | None, partitions: int) -> None:
        """Look at whose state it is, as a worker does; ``partitions``: of the source.

        Raises:
            Misconfigured: of another owner, cluster, source or layout.
        """
        self._check_header(header, partitions, has_records=True)

    async def rewrite(self, records: Iterable[StateRecord], told: Sequence[Message] = ()) -> None:
        """All of these or none, in one transaction; with them what the alerts topic is told.

        Raises:
            Refused: a worker took the partition meanwhile.
        """
        try:
            rows: dict[
                tuple[str, int], list[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
            ] = {self._state: [(key, value, ()) for key, value in records] or [(BARRIER, b"{}", ())]}
            if told:
                rows[f"{self._kafka.prefix}.{ORDERED}", 0] = [(one.key, one.value, ()) for one in told]
            await self._transact(rows)
        except ProducerFenced as error:
            raise Refused(
                f"a worker took {self.state_topic}/{self._source.partition} meanwhile: this partition is as"
                " it was. Stop it first"
            ) from error

    async def beginning(self, position: int) -> list[StateRecord]:
        """The store's own records of a partition on which a worker is to begin at this source offset."""
        self._began = position
        return [(HEADER, self.header(await self._count(self._source.topic))), (POSITION, b"%d" % position)]


def rewriter_of(state: StateTopic, number: int, cluster: str) -> Rewriter:
    """What changes a partition of state."""
    return Rewriter(state.kafka, state.agent, TP(state.source, number), cluster)


class _Answer:
    """Some members of a group, in the form that ``group.owned`` reads."""

    def __init__(self, members: list[dict[str, Any]]) -> None:
        self._members = members

    def to_object(self) -> dict[str, Any]:
        return {"groups": [{"members": self._members}]}


def _take(latest: dict[bytes, bytes], key: bytes | None, value: bytes | None) -> None:
    """One record of the log; the latest value of a key counts, and the barrier says nothing."""
    name = key or b""
    latest.pop(name, None)
    if value is not None and name != BARRIER:
        latest[name] = value


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
