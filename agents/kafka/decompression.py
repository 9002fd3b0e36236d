"""Bounded decompression of the batches that aiokafka reads (aiokafka 0.14.0).

aiokafka decompresses a batch whole, whatever its size: 13 KB of zstd can be 400 MB. Here every codec stops at
``MOST_BYTES``. A batch beyond it, or that cannot be decompressed, comes as a single record whose value is an
``UnreadableBatch``, at the last offset of the batch, so that whoever reads can pass it.

Importing this module replaces the functions of aiokafka, for all its consumers. Every client gets its settings
from ``agents.kafka.connection``, which imports it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cramjam
import numpy as np
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.record import default_records, legacy_records
from aiokafka.record._crecords import default_records as c_default_records
from aiokafka.record._crecords import legacy_records as c_legacy_records

# brokers take batches of 1 MB by default; text of models becomes a fifth to a tenth of its size
MOST_BYTES = 32 << 20
FIRST_GUESS = 16  # times the compressed size: most batches fit, and no more memory is touched
LEAST_BUFFER = 64 << 10
_XERIAL = 16  # bytes of the header of snappy blocks


class Undecodable(Exception):
    """A batch does not decompress, or not within ``MOST_BYTES``."""


class UnreadableBatch(bytes):
    """The value of the record that stands for a batch; ``first`` and ``last`` are its offsets."""

    first = last = 0
    why = ""

    @classmethod
    def from_offsets(cls, first: int, last: int, why: str) -> UnreadableBatch:
        """Make the value, which no decoder accepts as a record of softfail."""
        batch = cls()
        batch.first, batch.last, batch.why = first, last, why
        return batch


def _into(decompress_into: Callable[[Any, Any], int], payload: Any) -> bytes:
    size = min(MOST_BYTES, max(LEAST_BUFFER, FIRST_GUESS * len(payload)))
    while True:
        buffer = np.empty(size, np.uint8)
        try:
            return buffer[: decompress_into(payload, buffer)].tobytes()
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise Undecodable(f"cannot be decompressed ({error})") from None
            if size == MOST_BYTES:
                raise _too_large() from None
            size = MOST_BYTES


def _zstd(payload: Any) -> bytes:
    return _into(cramjam.zstd.decompress_into, payload)


def _lz4(payload: Any) -> bytes:
    return _into(cramjam.lz4.decompress_into, payload)


def _gzip(payload: Any) -> bytes:
    rest, parts, left = bytes(payload), list[bytes](), MOST_BYTES
    try:
        while rest:  # a stream may have several members
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            parts.append(member.decompress(rest, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise _too_large()
            if not member.eof:
                raise Undecodable("cannot be decompressed (the gzip stream ends early)")
            rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise Undecodable(f"cannot be decompressed ({error})") from None
    return b"".join(parts)


def _snappy(payload: Any) -> bytes:
    data, parts, left = memoryview(payload), list[bytes](), MOST_BYTES
    blocks = [data]
    try:
        if codec._detect_xerial_stream(data):
            blocks, cursor = [], _XERIAL
            while cursor < len(data):
                (length,) = struct.unpack_from("!i", data, cursor)
                blocks.append(data[cursor + 4 : cursor + 4 + max(0, length)])
                cursor += 4 + max(0, length)
        for block in blocks:
            left -= cramjam.snappy.decompress_raw_len(block)
            if left < 0:
                raise _too_large()
            parts.append(bytes(cramjam.snappy.decompress_raw(block)))
    except (cramjam.DecompressionError, struct.error) as error:
        raise Undecodable(f"cannot be decompressed ({error})") from None
    return b"".join(parts)


def _too_large() -> Undecodable:
    return Undecodable(f"is larger than {MOST_BYTES >> 20} MB when it is decompressed")


class _Substitute(NamedTuple):
    """The one record of an unreadable batch, with the attributes that aiokafka copies."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: UnreadableBatch
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None


class _Batch:
    """A batch of aiokafka whose records are one substitute if they cannot be decompressed."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        batch = self._batch
        try:
            records: Iterator[Any] = iter(batch)  # decompresses
        except Undecodable as error:
            first, last = batch.base_offset, batch.next_offset - 1
            why = f"the batch of offsets {first} to {last} {error}"
            return iter(
                [
                    _Substitute(
                        last,
                        getattr(batch, "max_timestamp", None) or -1,
                        batch.timestamp_type or 0,
                        UnreadableBatch.from_offsets(first, last, why),
                    )
                ]
            )
        return records


class _Batches:
    """The batches of a fetch; those without compression as they are."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        """Return the next batch."""
        batch = self._records.next_batch()
        # batches of formats before Kafka 0.11 do not say whether they are compressed
        return _Batch(batch) if getattr(batch, "compression_type", 1) else batch


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The class of aiokafka that reads the records of a fetch."""

    def __init__(self, tp: Any, records: Any, *arguments: Any, **settings: Any) -> None:
        super().__init__(tp, _Batches(records), *arguments, **settings)


def _install() -> None:
    fetcher.PartitionRecords = PartitionRecords  # Fetcher looks the class up in its module
    for module in (codec, default_records, legacy_records, c_default_records, c_legacy_records):
        for name, decode in (
            ("gzip_decode", _gzip),
            ("snappy_decode", _snappy),
            ("lz4_decode", _lz4),
            ("zstd_decode", _zstd),
        ):
            if hasattr(module, name):
                setattr(module, name, decode)


_install()
