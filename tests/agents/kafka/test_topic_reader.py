"""Reading a topic up to an offset, with a consumer in memory. On Kafka: test_replay_on_kafka.py."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from agents.kafka import topic_reader
from agents.kafka.topic_reader import BlockingTopicReader, Stalled, TopicReader
from schemas.config.connections import Kafka

A, B, C = (TopicPartition("t", number) for number in range(3))


class Consumer:
    """A consumer of records in memory with the used part of aiokafka's interface. Each partition returns
    ``step`` records at once.

    ``markers``: offsets of transaction markers, which have a position and no record.
    """

    log: dict[TopicPartition, list[SimpleNamespace]]
    ends: dict[TopicPartition, int]
    step = 100
    stuck: frozenset[TopicPartition] = frozenset()
    deleted_below = 0

    def __init__(self, **settings):
        assert settings["isolation_level"] == "read_committed"
        assert settings["enable_auto_commit"] is False
        assert "group_id" not in settings
        self.positions, self.asked, self.is_open = {}, [], False

    async def start(self):
        self.is_open = True

    async def stop(self):
        self.is_open = False

    async def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, self.deleted_below)

    async def end_offsets(self, partitions):
        return {partition: self.ends[partition] for partition in partitions}

    async def offsets_for_times(self, times):
        return {
            partition: next((record for record in self.log[partition] if record.timestamp >= time_ms), None)
            for partition, time_ms in times.items()
        }

    def assign(self, partitions):
        self.positions = dict.fromkeys(partitions, 0)

    def seek(self, partition, offset):
        self.positions[partition] = offset

    async def position(self, partition):
        return self.positions[partition]

    async def getmany(self, partition, timeout_ms, max_records):
        assert partition in self.positions
        self.asked.append(partition)
        if partition in self.stuck:
            return {}
        first = self.positions[partition]
        last = min(first + min(self.step, max_records), self.ends[partition])
        self.positions[partition] = last
        records = [record for record in self.log[partition] if first <= record.offset < last]
        return {partition: records} if records else {}


def log_of(*partitions, count, without=()):
    log = defaultdict(list)
    for partition in partitions:
        log[partition] = [
            SimpleNamespace(
                topic="t", partition=partition.partition, offset=offset, timestamp=offset * 1000, value=b"v"
            )
            for offset in range(count)
            if offset not in without
        ]
    return log


@pytest.fixture
def broker(monkeypatch):
    """Put records in memory behind every reader; return a function from records to the consumer class."""

    def serve(log, ends=None, **attributes):
        kind = type("Served", (Consumer,), {"log": log, "ends": ends or defaultdict(int), **attributes})
        for partition, records in log.items():
            kind.ends.setdefault(partition, records[-1].offset + 1 if records else 0)

        async def counts(_kafka):
            return {"t": len(log)}

        monkeypatch.setattr(topic_reader, "AIOKafkaConsumer", kind)
        monkeypatch.setattr(topic_reader, "partition_counts", counts)
        return kind

    return serve


def read(ranges=None, **settings):
    async def scene():
        async with TopicReader(Kafka(), **settings) as reader:
            wanted = ranges or await reader.ranges(await reader.partitions("t"))
            return [
                (record.partition, record.offset)
                async for records in reader.batches(wanted)
                for record in records
            ]

    return asyncio.run(scene())


def test_every_record_of_every_partition_is_read_once_and_in_order(broker):
    broker(log_of(A, B, C, count=20_000), step=5000)
    assert read() == [(number, offset) for number in range(3) for offset in range(20_000)]


def test_a_range_stops_at_its_end_although_the_broker_returns_more(broker):
    broker(log_of(A, B, count=1000))
    assert read({A: range(250, 260), B: range(995, 1000)}) == [
        *((0, offset) for offset in range(250, 260)),
        *((1, offset) for offset in range(995, 1000)),
    ]


def test_a_log_that_ends_with_transaction_markers_is_read_to_its_end(broker):
    broker(log_of(A, count=300, without=range(280, 300)), ends={A: 300}, step=10)
    assert read() == [(0, offset) for offset in range(280)]


def test_an_empty_range_sends_no_request(broker):
    broker(log_of(A, count=10), getmany=None)
    assert read({A: range(10, 10)}) == []


def test_a_stalled_partition_is_reported_although_others_progress(broker):
    broker(log_of(A, B, count=10), stuck=frozenset({B}))
    with pytest.raises(Stalled, match=r"t/1 cannot be read from 0 to its end, 10: a transaction stays open"):
        read(patience_s=0.0)


def test_only_the_requested_partition_is_read(broker):
    broker(log_of(A, B, count=10))

    async def scene():
        async with TopicReader(Kafka()) as reader:
            reader.assign({A: range(10), B: range(10)})
            await reader.fetch(B)
            return reader._consumer.asked

    assert asyncio.run(scene()) == [B]


def test_times_are_converted_to_offsets_and_the_end_is_excluded(broker):
    broker(log_of(A, count=100), deleted_below=20)
    with BlockingTopicReader(Kafka()) as reader:
        partitions = reader.partitions("t")
        assert reader.ranges(partitions, 30_000, 60_000) == {A: range(30, 60)}
        assert reader.ranges(partitions, 1_000_000) == {A: range(100, 100)}
        assert reader.ranges(partitions) == {A: range(20, 100)}
        assert reader.partitions("another") == []


def test_records_are_read_by_offset_in_any_order_and_missing_records_are_none(broker):
    broker(log_of(A, B, count=10, without={4}), deleted_below=2)
    with BlockingTopicReader(Kafka()) as reader:
        offsets = [
            record and (record.partition, record.offset)
            for record in (reader.record_at(*place) for place in [(A, 5), (A, 6), (B, 3), (A, 4), (A, 9)])
        ]
        assert offsets == [(0, 5), (0, 6), (1, 3), None, (0, 9)]
        assert [reader.record_at(A, offset) for offset in (1, 10)] == [None, None]


def test_a_reader_closes_its_connection_after_an_error(broker):
    broker(log_of(A, count=1), stuck=frozenset({A}))

    reader: TopicReader

    async def scene():
        nonlocal reader
        async with TopicReader(Kafka(), patience_s=0.0) as reader:
            reader.assign({A: range(1)})
            await reader.fetch(A)

    with pytest.raises(Stalled):
        asyncio.run(scene())
    assert not reader._consumer.is_open
