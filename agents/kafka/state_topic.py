"""The state topic of an agent: its records, and reading it from outside of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from agents.kafka import consumer_group
from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import admin_client, partition_counts
from agents.process.exits import Refused
from schemas import topics
from schemas.config.connections import Kafka

AGENTS = tuple(topic.name.removesuffix(".state") for topic in topics.TOPICS if topic.name.endswith(".state"))

# keys of records that are not of a core; a core's own keys never begin with \x00
HEADER, POSITION, BARRIER = b"\x00header", b"\x00position", b"\x00barrier"

StateRecord = tuple[bytes, bytes | None]
"""Key and value; None deletes the record of this key."""

_AWAY = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


def keep_latest(latest: dict[bytes, bytes], records: Iterable[Any]) -> None:
    """Apply records of the log to ``latest``: the last value of a key counts, None deletes it, barriers are
    left out. Keys are in the order of the log.
    """
    for record in records:
        key = record.key or b""
        latest.pop(key, None)
        if record.value is not None and key != BARRIER:
            latest[key] = record.value


class StateSnapshot(NamedTuple):
    """One partition of state, and where its source begins and ends.

    ``records``: key to latest value, in the order of the log.
    """

    partition: int
    records: dict[bytes, bytes]
    begin: int
    end: int

    @property
    def position(self) -> int | None:
        """The source offset that a worker applies next; None: there is no state yet."""
        value = self.records.get(POSITION, b"")
        return int(value) if value.isdigit() else None


class StateTopic:
    """The state topic of one agent under one prefix. Reading it disturbs no worker."""

    def __init__(self, kafka: Kafka, agent: str) -> None:
        self.kafka, self.agent = kafka, agent
        self.name = f"{kafka.prefix}.{agent}.state"
        self.group = consumer_group.group_of(kafka, agent)
        self.source = f"{kafka.prefix}.{topics.source_of(f'{agent}.state')}"

    async def partitions(self, only: int | None = None) -> list[int]:
        """Return the numbers of all partitions, or the one asked for.

        Raises:
            Refused: there is no such topic or partition, or its source is missing.
        """
        counts = await partition_counts(self.kafka)
        for name in (self.name, self.source):
            if name not in counts:
                raise Refused(
                    f"topic {name} does not exist at {self.kafka.brokers}; is kafka.prefix"
                    f" {self.kafka.prefix!r} right?"
                )
        count = min(counts[self.name], counts[self.source])
        if only is not None and only >= count:
            raise Refused(f"{self.name} has no partition {only}; the last is {count - 1}")
        return list(range(count)) if only is None else [only]

    async def count(self) -> int:
        """Return how many partitions the source has."""
        return (await partition_counts(self.kafka))[self.source]

    async def read(self, numbers: Sequence[int]) -> list[StateSnapshot]:
        """Read what is committed now. Joins no group and opens no transaction.

        Raises:
            Stalled: a transaction stays open, so the end cannot be read.
        """
        states = [TopicPartition(self.name, number) for number in numbers]
        sources = [TopicPartition(self.source, number) for number in numbers]
        latest: dict[int, dict[bytes, bytes]] = {number: {} for number in numbers}
        async with TopicReader(self.kafka) as reader:
            bounds = await reader.ranges([*states, *sources])
            async for records in reader.batches({state: bounds[state] for state in states}):
                keep_latest(latest[records[0].partition], records)
        return [
            StateSnapshot(
                source.partition, latest[source.partition], bounds[source].start, bounds[source].stop
            )
            for source in sources
        ]

    async def require_unowned(self, numbers: Iterable[int]) -> None:
        """Return when no member of the group owns any of these partitions.

        Raises:
            Refused: a member does, or the group is rebalancing.
        """
        linger = (
            "Stop the workers first; one that has stopped counts as alive for kafka.session_timeout,"
            f" {self.kafka.session_timeout:g} s"
        )
        group = await self._group()
        if group["members"] and group["state"] != "Stable":
            raise Refused(
                f"group {self.group} is rebalancing ({group['state']}), so it is not known who owns"
                f" {self.name}. {linger}"
            )
        owners = {
            tp: f"{member['client_id']} at {member['client_host'].lstrip('/')}"
            for member in group["members"]
            for tp in consumer_group.owned_by(member)
        }
        if owned := sorted(number for number in numbers if TopicPartition(self.source, number) in owners):
            who = ", ".join(sorted({owners[TopicPartition(self.source, number)] for number in owned}))
            raise Refused(f"a worker owns {self.source}/{', '.join(map(str, owned))} ({who}). {linger}")

    async def cluster(self) -> str:
        """Return the id of the cluster, as it stands in the header of state."""
        async with admin_client(self.kafka) as admin:
            return str((await admin.describe_cluster())["cluster_id"])

    async def _group(self) -> dict[str, Any]:
        async with admin_client(self.kafka) as admin:
            for _ in range(20):
                try:
                    (response,) = await admin.describe_consumer_groups([self.group])
                    group: dict[str, Any] = response.to_object()["groups"][0]
                except _AWAY:
                    group = {"error_code": _AWAY[0].errno}
                if group["error_code"] not in [error.errno for error in _AWAY]:
                    return group
                await asyncio.sleep(0.5)  # a broker that has just started
        raise Refused(
            f"the coordinator of group {self.group} does not answer, so it is not known who owns"
            f" {self.name}; try again"
        )
