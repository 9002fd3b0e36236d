"""The events topic as one log: all partitions side by side, ordered by the time that each has reached."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition

from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds
from softfail.partitioning import partition_of


class EventLog:
    """The committed records of a topic that were appended in [``since_ms``, ``until_ms``), up to where it
    ended when the log was opened.

    ``done`` of ``total`` offsets are read. ``misplaced`` counts records that lie in a partition that is not
    theirs: a worker has forwarded each and measures it where it then lies. ``is_cut``: older records that
    were asked for are deleted.

    Raises:
        Misconfigured: there is no such topic.
    """

    unit = "records"

    def __init__(
        self, reader: BlockingTopicReader, topic: str, since_ms: int | None, until_ms: int | None
    ) -> None:
        self._reader, self.misplaced = reader, 0
        if not (partitions := reader.partitions(topic)):
            raise exits.Misconfigured(
                f"topic {topic} does not exist; check kafka.prefix or --topic, or run: python -m agents"
                " topics"
            )
        begins, self._ranges = reader.begins(partitions), reader.ranges(partitions, since_ms, until_ms)
        self.is_cut = since_ms is not None and any(
            0 < begins[partition] == offsets.start for partition, offsets in self._ranges.items()
        )
        self._read = dict.fromkeys(partitions, 0)
        self.total = sum(map(len, self._ranges.values()))

    @property
    def done(self) -> int:
        """Number of offsets to read."""
        return sum(self._read.values())

    def records(self) -> Iterator[Any]:
        """Return each partition in its own order, the partitions merged by the time that each has reached.

        Raises:
            Stalled: a partition does not give what it has.
        """
        self._reader.assign({partition: offsets for partition, offsets in self._ranges.items() if offsets})
        return (record for *_, record in heapq.merge(*map(self._timed, self._ranges)))

    def _timed(self, partition: TopicPartition) -> Iterator[tuple[int, int, int, Any]]:
        reached_us, count = 0, len(self._ranges)
        for record in self._records(partition):
            try:
                event = decode(record.value or b"")
            except InvalidEvent:
                pass  # it becomes a dead letter where it stands
            else:
                if partition_of(event.service, event.feature, count) != partition.partition:
                    self.misplaced += 1
                    continue
                reached_us = max(reached_us, min(microseconds(event.time), record.timestamp * 1000))
            yield reached_us, partition.partition, record.offset, record

    def _records(self, partition: TopicPartition) -> Iterator[Any]:
        offsets = self._ranges[partition]
        while offsets and (records := self._reader.fetch(partition)):
            self._read[partition] = min(self._reader.position(partition), offsets.stop) - offsets.start
            yield from records
        self._read[partition] = len(offsets)
