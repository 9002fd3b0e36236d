"""Read the committed records of topics between two offsets, without joining a consumer group.

Every program that reads a topic up to a known offset reads it here. Each partition is asked for by itself and
has its own deadline, so a partition that stands still is never hidden by others that move.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.kafka.connection import clients
from agents.kafka.topics import partition_counts
from agents.process import exits
from schemas.config.connections import Kafka

STALL_S = (
    30.0  # an open transaction ends after 20 s; a partition that stands still for longer is not waited for
)
MOST_RECORDS = 5000  # of one fetch
POLL_MS = 200

T = TypeVar("T")


class Stalled(exits.Refused):
    """A partition does not give the records that its log has."""


class TopicReader:
    """An open connection that reads ranges of partitions. Use it with ``async with``.

    Args:
        fetch_bytes: how much of a partition the broker sends at once; at least one batch of records.
        patience_s: how long a partition may stand still while it is read.
    """

    def __init__(self, kafka: Kafka, *, fetch_bytes: int = 8 << 20, patience_s: float | None = None) -> None:
        self._kafka = kafka
        self._patience_s = STALL_S if patience_s is None else patience_s
        self._consumer = AIOKafkaConsumer(
            **clients(kafka),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=fetch_bytes,
            check_crcs=not kafka.embedded,
        )
        self._ranges: dict[TopicPartition, range] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._bounds: dict[TopicPartition, range] = {}

    async def __aenter__(self) -> TopicReader:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """Return all partitions of a topic; none if there is no such topic. Asking does not create it."""
        count = (await partition_counts(self._kafka)).get(topic, 0)
        return [TopicPartition(topic, number) for number in range(count)]

    async def begins(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that the log of each partition still has."""
        offsets: dict[TopicPartition, int] = await self._consumer.beginning_offsets(list(partitions))
        return offsets

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset after the last committed record of each partition."""
        offsets: dict[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        return offsets

    async def offsets_at(
        self, partitions: Collection[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int | None]:
        """Return the first offset of each partition that was appended at a time or later; None: there is
        none.

        Args:
            time_ms: milliseconds since 1970; a negative time counts as 0.
        """
        offsets = await self._consumer.offsets_for_times(dict.fromkeys(partitions, max(0, time_ms)))
        return {
            partition: None if (entry := offsets.get(partition)) is None else entry.offset
            for partition in partitions
        }

    async def ranges(
        self,
        partitions: Collection[TopicPartition],
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> dict[TopicPartition, range]:
        """Return the offsets that each partition holds now and that were appended in [since, until).

        Args:
            since_ms: milliseconds since 1970; None: from the beginning of the log.
            until_ms: milliseconds since 1970; None: up to its end.
        """
        starts, ends = await self.begins(partitions), await self.ends(partitions)
        if since_ms is not None:
            for partition, offset in (await self.offsets_at(partitions, since_ms)).items():
                starts[partition] = ends[partition] if offset is None else offset
        if until_ms is not None:
            for partition, offset in (await self.offsets_at(partitions, until_ms)).items():
                ends[partition] = ends[partition] if offset is None else min(offset, ends[partition])
        return {partition: range(starts[partition], ends[partition]) for partition in partitions}

    def assign(self, ranges: Mapping[TopicPartition, range]) -> None:
        """Choose what ``fetch`` reads, instead of what was chosen before."""
        self._ranges = dict(ranges)
        self._positions = {partition: offsets.start for partition, offsets in ranges.items()}
        self._consumer.assign(list(ranges))
        for partition, offset in self._positions.items():
            self._consumer.seek(partition, offset)

    async def record_at(self, partition: TopicPartition, offset: int) -> Any | None:
        """Return the record at an offset; None if it was deleted or never committed.

        It is quickest when records are asked for in the order of the log.

        Raises:
            Stalled: the partition does not give what it has.
        """
        if partition not in self._bounds:
            self._bounds |= await self.ranges([partition])
        if offset not in self._bounds[partition]:
            return None
        if self._positions.get(partition) == offset:
            self._ranges[partition] = range(offset, offset + 1)
        else:
            self.assign({partition: range(offset, offset + 1)})
        records = await self.fetch(partition, 1)
        return records[0] if records else None

    def position(self, partition: TopicPartition) -> int:
        """Return the offset up to which an assigned partition was read; it may lie beyond the range."""
        return self._positions[partition]

    async def fetch(self, partition: TopicPartition, most: int = MOST_RECORDS) -> list[Any]:
        """Return the next records of an assigned partition, in order; an empty list at the end of its range.

        Raises:
            Stalled: the position does not move for ``patience_s`` although the range goes on.
        """
        stop, deadline = self._ranges[partition].stop, time.monotonic() + self._patience_s
        while (position := self._positions[partition]) < stop:
            batches = await self._consumer.getmany(partition, timeout_ms=POLL_MS, max_records=most)
            # the position also passes what is not handed out: transaction markers and aborted records
            self._positions[partition] = await self._consumer.position(partition)
            if records := [record for record in batches.get(partition, ()) if record.offset < stop]:
                return records
            if self._positions[partition] > position:
                deadline = time.monotonic() + self._patience_s
            elif time.monotonic() > deadline:
                raise Stalled(
                    f"{partition.topic}/{partition.partition} cannot be read from {position} to its end,"
                    f" {stop}: a transaction stays open; try again"
                )
        return []

    async def batches(
        self, ranges: Mapping[TopicPartition, range], most: int = MOST_RECORDS
    ) -> AsyncIterator[list[Any]]:
        """Read ranges one after the other; each batch holds records of one partition, in order.

        What is not yet wanted waits in the broker, not in memory.

        Raises:
            Stalled: a partition does not give what it has.
        """
        self.assign(ranges)
        for partition in ranges:
            while records := await self.fetch(partition, most):
                yield records


class BlockingTopicReader:
    """A ``TopicReader`` for code that is not asynchronous. Use it with ``with``, outside of event loops."""

    def __init__(self, kafka: Kafka, *, fetch_bytes: int = 4 << 20) -> None:
        self._kafka, self._fetch_bytes = kafka, fetch_bytes
        self._runner = asyncio.Runner()
        self._reader: TopicReader

    def __enter__(self) -> BlockingTopicReader:
        try:
            self._runner.run(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._reader.__aexit__())
        finally:
            self._runner.close()

    def partitions(self, topic: str) -> list[TopicPartition]:
        """As of ``TopicReader``."""
        return self._run(self._reader.partitions(topic))

    def begins(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """As of ``TopicReader``."""
        return self._run(self._reader.begins(partitions))

    def ranges(
        self,
        partitions: Collection[TopicPartition],
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> dict[TopicPartition, range]:
        """As of ``TopicReader``."""
        return self._run(self._reader.ranges(partitions, since_ms, until_ms))

    def assign(self, ranges: Mapping[TopicPartition, range]) -> None:
        """As of ``TopicReader``."""
        self._run(self._assign(ranges))

    def position(self, partition: TopicPartition) -> int:
        """As of ``TopicReader``."""
        return self._reader.position(partition)

    def fetch(self, partition: TopicPartition, most: int = MOST_RECORDS) -> list[Any]:
        """As of ``TopicReader``."""
        return self._run(self._reader.fetch(partition, most))

    def record_at(self, partition: TopicPartition, offset: int) -> Any | None:
        """As of ``TopicReader``."""
        return self._run(self._reader.record_at(partition, offset))

    def records(self, topic: str, since_ms: int | None = None) -> Iterator[Any]:
        """Read a topic up to where it ends now, partition by partition, from the first record that was
        appended at ``since_ms`` on (None: all).

        Raises:
            Stalled: a partition does not give what it has.
        """
        ranges = self.ranges(self.partitions(topic), since_ms)
        self.assign(ranges)
        for partition in ranges:
            while records := self.fetch(partition):
                yield from records

    async def _open(self) -> None:
        self._reader = await TopicReader(self._kafka, fetch_bytes=self._fetch_bytes).__aenter__()

    async def _assign(self, ranges: Mapping[TopicPartition, range]) -> None:
        self._reader.assign(ranges)

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(step)
