"""Kafka in memory, below the runtime: topics, transactions, fencing, compaction, and failures on demand.

``backend_contract.py`` states the laws that it shares with Kafka. It has no groups and no network.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidMessageError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)
from faust.types import TP

from agents.runtime.backend import Ledger, Row, Target
from agents.runtime.faust_transport import Bundle

FETCH_RECORDS = 500


class Record(NamedTuple):
    """A record as a reader gets it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Transaction:
    """The state of a transaction; records without one are committed at once."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.is_open, self.is_committed = is_open, not is_open


PLAIN = Transaction(is_open=False)


class Log:
    """One partition: records and transaction markers (None) in order of their offsets, which compaction
    leaves as they are.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[int, Record | None, Transaction]] = []
        self.begin = self.end = 0

    def append(self, record: Record | None, transaction: Transaction) -> int:
        """Append a record or marker and return its offset."""
        self.entries.append((self.end, record and record._replace(offset=self.end), transaction))
        self.end += 1
        return self.end - 1

    @property
    def stable_end(self) -> int:
        """The offset that a reader of committed records reads up to: the first of an open transaction."""
        return next(
            (offset for offset, _, transaction in self.entries if transaction.is_open),
            self.end,
        )

    def committed(self, start: int, stop: int) -> list[Record]:
        """The records of ended transactions in [start, stop), without those of aborted ones."""
        return [
            record
            for offset, record, transaction in self.entries
            if start <= offset < min(stop, self.stable_end)
            and record is not None
            and transaction.is_committed
        ]

    def delete_before(self, offset: int) -> None:
        """Delete records as retention does."""
        self.begin = max(self.begin, offset)
        self.entries = [entry for entry in self.entries if entry[0] >= offset]

    def compact(self) -> None:
        """Delete records whose key has a later committed one, records of aborted transactions, and
        tombstones without an earlier record of their key. An open transaction is left alone.
        """
        stable = self.stable_end
        latest = {record.key: record.offset for record in self.committed(0, stable)}
        keys = collections.Counter(record.key for record in self.committed(0, stable))
        self.entries = [
            (offset, record, transaction)
            for offset, record, transaction in self.entries
            if offset >= stable
            or (
                record is not None
                and transaction.is_committed
                and latest[record.key] == offset
                and (record.value is not None or keys[record.key] > 1)
            )
        ]


class MemoryKafka:
    """All topics of a cluster; a ``Backend``.

    Set ``is_down`` to refuse every request, ``may_write`` to let writes wait, ``largest`` (topic to bytes) to
    refuse values, and ``early_ends`` to report ends that a broker reports that has just started.
    """

    def __init__(self) -> None:
        self.topics: dict[str, list[Log]] = {}
        self.compacted: set[str] = set()
        self.epochs: collections.Counter[str] = collections.Counter()
        self.open_transactions: dict[str, tuple[Transaction, list[Target]]] = {}
        self.connected: set[str] = set()  # transactional ids of writers
        self.is_down = False
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.largest: dict[str, int] = {}
        self.early_ends: list[int] = []
        self.time_ms = 1_000_000
        self._waiters: list[asyncio.Future[None]] = []

    def create(self, topic: str, partitions: int, *, compacted: bool = False) -> None:
        """Create a topic, or create it again without its records."""
        if compacted:
            self.compacted.add(topic)
        self.topics[topic] = [Log() for _ in range(partitions)]

    def log(self, topic: str, partition: int) -> Log:
        """The log of a partition.

        Raises:
            KafkaConnectionError: the broker is down.
            UnknownTopicOrPartitionError: there is no such partition.
        """
        if self.is_down:
            raise KafkaConnectionError("the broker is down")
        logs = self.topics.get(topic, [])
        if partition >= len(logs):
            raise UnknownTopicOrPartitionError(f"{topic}/{partition}")
        return logs[partition]

    def publish(
        self, topic: str, partition: int, *rows: tuple[bytes | None, bytes | None], headers: Any = ()
    ) -> list[int]:
        """Append records outside of transactions and return their offsets."""
        return [self._append((topic, partition), (key, value, headers), PLAIN) for key, value in rows]

    def read(self, topic: str, partition: int) -> list[Record]:
        """All committed records."""
        log = self.log(topic, partition)
        return log.committed(log.begin, log.end)

    def writer(self, transactional_id: str) -> MemoryWriter:
        """Make a writer; it connects when it is started."""
        return MemoryWriter(self, transactional_id)

    def reader(self) -> MemoryReader:
        """Make a reader."""
        return MemoryReader(self)

    async def wait_for_change(self) -> None:
        """Wait until a transaction ends or a record is appended."""
        self._waiters.append(asyncio.get_running_loop().create_future())
        await self._waiters[-1]

    def end(self, transactional_id: str, *, commit: bool) -> None:
        """End the open transaction of an id, if there is one."""
        if (entry := self.open_transactions.pop(transactional_id, None)) is None:
            return
        transaction, targets = entry
        transaction.is_open, transaction.is_committed = False, commit
        for topic, partition in dict.fromkeys(targets):
            self.topics[topic][partition].append(None, transaction)
        self._notify()

    def add(self, transactional_id: str, target: Target, row: Row) -> int:
        """Append a row to the open transaction of an id and return its offset.

        Raises:
            MessageSizeTooLargeError: the topic refuses values of this size.
            InvalidMessageError: the topic is compacted, and there is no key.
        """
        if row[0] is None and target[0] in self.compacted:
            raise InvalidMessageError(f"{target[0]} is compacted, so a record needs a key")
        if len(row[1] or b"") > self.largest.get(target[0], 1 << 20):
            raise MessageSizeTooLargeError(f"{target[0]}: {len(row[1] or b'')} bytes")
        transaction, targets = self.open_transactions.setdefault(transactional_id, (Transaction(), []))
        targets.append(target)
        return self._append(target, row, transaction)

    def _append(self, target: Target, row: Row, transaction: Transaction) -> int:
        self.time_ms += 1
        key, value, headers = row
        log = self.log(*target)
        offset = log.append(Record(*target, 0, self.time_ms, key, value, tuple(headers)), transaction)
        self._notify()
        return offset

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            with contextlib.suppress(RuntimeError):  # its event loop has ended
                if not waiter.done():
                    waiter.set_result(None)


class MemoryWriter:
    """A transactional producer. As with aiokafka, it is of no use after a failure."""

    def __init__(self, kafka: MemoryKafka, transactional_id: str) -> None:
        self._kafka, self.transactional_id, self._epoch, self._has_failed = kafka, transactional_id, 0, False

    async def start(self) -> None:
        """Fence earlier writers of this id and abort the transaction that they left open."""
        await asyncio.sleep(0)
        if self._kafka.is_down:
            raise KafkaConnectionError("the broker is down")
        self._kafka.epochs[self.transactional_id] += 1
        self._epoch = self._kafka.epochs[self.transactional_id]
        self._kafka.connected.add(self.transactional_id)
        self._kafka.end(self.transactional_id, commit=False)

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        self._kafka.log(topic, 0)
        return len(self._kafka.topics[topic])

    async def transact(self, rows: Mapping[Target, Sequence[Row]]) -> dict[Target, int]:
        """Write all rows or none. Other tasks run between the rows and before the commit."""
        if self._has_failed:
            raise KafkaError("a transaction of this writer has failed")
        try:
            offsets = await self.leave_open(rows)
            await self._kafka.may_write.wait()
            self._require_epoch()
        except BaseException:
            self._has_failed = True
            raise
        self._kafka.end(self.transactional_id, commit=True)
        return offsets

    async def leave_open(self, rows: Mapping[Target, Sequence[Row]]) -> dict[Target, int]:
        """Write rows and do not end the transaction."""
        offsets: dict[Target, int] = {}
        for target, target_rows in rows.items():
            for row in target_rows:
                await asyncio.sleep(0)
                self._require_epoch()
                offsets[target] = self._kafka.add(self.transactional_id, target, row)
        return offsets

    async def stop(self) -> None:
        """Disconnect; an open transaction stays open."""
        self._kafka.connected.discard(self.transactional_id)

    def _require_epoch(self) -> None:
        if self._kafka.is_down:
            raise KafkaConnectionError("the broker is down")
        if self._epoch != self._kafka.epochs[self.transactional_id]:
            raise ProducerFenced


class MemoryReader:
    """Reads committed records, and waits behind an open transaction."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka
        self._positions: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> MemoryReader:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def begins(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset of each log."""
        return {partition: self._kafka.log(*partition).begin for partition in partitions}

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the stable end of each log, or the next of ``early_ends``."""
        ends = self._kafka.early_ends
        return {
            partition: ends.pop(0) if ends else self._kafka.log(*partition).stable_end
            for partition in partitions
        }

    def position(self, partition: TopicPartition) -> int:
        """Return the offset up to which a partition was read."""
        return self._positions[partition]

    async def batches(
        self, ranges: Mapping[TopicPartition, range], most: int = FETCH_RECORDS
    ) -> AsyncIterator[list[Any]]:
        """Read ranges one after the other."""
        for partition, offsets in ranges.items():
            position = offsets.start
            while position < offsets.stop:
                log = self._kafka.log(*partition)
                if position >= log.stable_end:
                    await self._kafka.wait_for_change()
                    continue
                records = log.committed(position, offsets.stop)[:most]
                # the position also passes markers, aborted records and holes
                position = records[-1].offset + 1 if len(records) == most else log.stable_end
                self._positions[partition] = position
                if records:
                    yield list(records)


def bundles(kafka: MemoryKafka, tp: TP, position: int, most: int = FETCH_RECORDS) -> Iterator[Bundle]:
    """Fetch bundles of at most ``most`` records from a position up to the stable end."""
    log = kafka.log(*tp)
    while position < log.stable_end:
        records = log.committed(position, log.end)[:most]
        bundle = Bundle(records)
        bundle.start = position
        bundle.stop = position = records[-1].offset + 1 if len(records) == most else log.stable_end
        yield bundle


class MemoryTransport:
    """Fetches bundles for owned partitions and gives them to an intake.

    Args:
        ledger: the positions to fetch from.
        deliver: takes a bundle: ``BundleIntake.take``.
        disturb: what becomes of the bundles of one round: some may be missing, repeated or in another order.
        most: records in a bundle.
    """

    def __init__(
        self,
        kafka: MemoryKafka,
        ledger: Ledger,
        deliver: Callable[[TP, Bundle], Awaitable[None]],
        disturb: Callable[[list[Bundle]], list[Bundle]] = lambda bundles: bundles,
        most: int = FETCH_RECORDS,
    ) -> None:
        self._kafka, self._ledger, self._deliver = kafka, ledger, deliver
        self._disturb, self.most = disturb, most

    async def earliest(self, tp: TP) -> int:
        """Return the first offset that the log still has."""
        return self._kafka.log(*tp).begin

    async def rewind(self, why: str) -> None:
        """Do nothing: every round begins at the applied positions."""
        del why

    async def run_round(self) -> bool:
        """Fetch all partitions from their positions to the end once; return whether there was anything."""
        fetched = False
        for tp, position in self._ledger.positions().items():
            whole = list(bundles(self._kafka, tp, position, self.most))
            fetched = fetched or bool(whole)
            for bundle in self._disturb(whole):
                await self._deliver(tp, bundle)
        return fetched
