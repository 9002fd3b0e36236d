"""Bounded decompression: what fits is as before, what does not is one substitute, and memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import struct
import subprocess
import sys
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition, codec
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from agents.kafka import decompression
from agents.kafka.decompression import UnreadableBatch
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
EVERY_CODEC = pytest.mark.parametrize("name", CODECS)
A = TopicPartition("t.events", 0)


def batch(values: list[bytes], compression: int, base: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for offset, value in enumerate(values):
        assert builder.append(offset, 1000 + offset, b"k", value, []) is not None
    encoded = bytearray(builder.build())
    encoded[:8] = struct.pack(">q", base)  # not part of the checksum
    return bytes(encoded)


def read(data: bytes, position: int = 0) -> list[Any]:
    """What aiokafka's consumer hands out of a fetch."""
    return list(fetcher.PartitionRecords(A, MemoryRecords(data), [], position, None, None, True, 0))


def fetched(data: bytes, position: int = 0) -> Any:
    """The next bundle of our transport of a fetch."""

    async def run() -> Any:
        subscription = SubscriptionState()
        subscription.assign_from_user([A])
        assignment = subscription.subscription.assignment
        assignment.state_value(A).seek(position)
        records = fetcher.PartitionRecords(A, MemoryRecords(data), [], position, None, None, True, 0)
        result = fetcher.FetchResult(A, assignment=assignment, partition_records=records, backoff=0)
        return [result.getall(5000), result.getall(5000)]

    return asyncio.run(run())


@EVERY_CODEC
def test_a_batch_within_the_limit_is_read_as_before(name, monkeypatch):
    monkeypatch.setattr(decompression, "MOST_BYTES", 4 << 20)
    values = [b"one", b"", bytes(3 << 20)]  # compresses more than the first guess
    assert [record.value for record in read(batch(values, CODECS[name]))] == values


@EVERY_CODEC
def test_a_batch_beyond_the_limit_is_one_unreadable_record_and_the_next_batch_is_read(name, monkeypatch):
    monkeypatch.setattr(decompression, "MOST_BYTES", 1 << 20)
    large = batch([b"x", bytes(2 << 20), b"y"], CODECS[name], base=10)
    records = read(large + batch([b"after"], CODECS[name], base=13), position=10)
    assert [record.offset for record in records] == [12, 13]
    unreadable, after = (record.value for record in records)
    assert type(unreadable) is UnreadableBatch
    assert (unreadable.first, unreadable.last) == (10, 12)
    assert "larger than 1 MB" in unreadable.why
    assert after == b"after"


def test_the_record_of_an_unreadable_batch_ends_its_bundle_and_the_positions_join(monkeypatch):
    monkeypatch.setattr(decompression, "MOST_BYTES", 1 << 20)
    data = batch([b"a", b"b"], 0) + batch([bytes(2 << 20)] * 3, 4, base=2) + batch([b"c"], 0, base=5)
    first, second = fetched(data)
    assert (first.start, first.stop, len(first)) == (0, 5, 3)
    assert type(first[-1].value) is UnreadableBatch
    assert (second.start, second.stop, [record.value for record in second]) == (5, 6, [b"c"])


def test_an_unreadable_batch_is_one_dead_letter_that_counts_all_its_records(make_partition, bundle):
    async def run() -> Any:
        partition = await make_partition(position=0)
        made = bundle(0, 3)
        value = UnreadableBatch.from_offsets(3, 9, "the batch of offsets 3 to 9 is larger than 32 MB")
        made.append(FileRecord(value, 9, 1000))
        made.stop = 10
        partition.apply(made)
        await partition.checkpoint()
        return partition

    partition = asyncio.run(run())
    assert partition.position == 10
    assert sum(partition.core.counts.values()) == 3
    (letter,) = partition.changelog.transactions[0][2]["deadletter"]
    assert b'"offset": 9' in letter.value
    assert b'"too large: the batch of offsets 3 to 9' in letter.value
    assert b'"records": 7' in letter.value


def test_the_watch_core_counts_a_batch_by_its_records():
    watch = Watch(Config())
    outputs = watch.set_aside(FileRecord(None, 9, 1000), "too large", "too large: ...", 7)
    assert watch.partition_state.dead_letters == {"too large": 7}
    assert len(outputs.messages["deadletter"]) == 1


@EVERY_CODEC
def test_a_batch_that_cannot_be_decompressed_is_unreadable_and_raises_nothing(name):
    decode = getattr(codec, f"{name}_decode")
    with pytest.raises(decompression.Undecodable, match="cannot be decompressed"):
        decode(b"\x01garbage" * 10)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data):
    for name in CODECS:
        for prefix in (b"", b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01", b"\x1f\x8b\x08\x00"):
            with contextlib.suppress(decompression.Undecodable):
                assert isinstance(getattr(codec, f"{name}_decode")(prefix + data), bytes)


def test_members_of_gzip_and_blocks_of_snappy_are_bounded_together(monkeypatch):
    monkeypatch.setattr(decompression, "MOST_BYTES", 1 << 20)
    half = bytes(600 << 10)
    assert codec.gzip_decode(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
    assert codec.snappy_decode(codec.snappy_encode(half)) == half
    block = bytes(cramjam.snappy.compress_raw(half))
    xerial = codec.snappy_encode(b"")[:16] + 2 * (struct.pack("!i", len(block)) + block)
    for decode, data in ((codec.gzip_decode, 2 * gzip.compress(half)), (codec.snappy_decode, xerial)):
        with pytest.raises(decompression.Undecodable, match="larger than"):
            decode(data)


def test_a_batch_of_kilobytes_that_is_a_record_of_400_megabytes_takes_little_memory():
    script = """
import resource
from aiokafka import codec
from agents.kafka import decompression
import cramjam
zeros = cramjam.zstd.Compressor()
for _ in range(400):
    zeros.compress(bytes(1 << 20))
bomb = bytes(zeros.finish())
assert len(bomb) < 100_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    codec.zstd_decode(bomb)
except decompression.Undecodable:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(ended.stdout) << 10 <= 2 * decompression.MOST_BYTES
