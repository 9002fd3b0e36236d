"""The interface of a partition to Kafka: a log of its state, transactions, a reader of topics, a transport.

The product has one backend, Kafka (``kafka_backend.py``, ``faust_transport.py``). Tests have a second one in
memory. ``tests/agents/runtime/backend_contract.py`` states the laws of both, and runs on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

from aiokafka import TopicPartition
from faust.types import TP

from agents.kafka.state_topic import StateRecord
from agents.runtime.careful_replay import Attempt
from monitor.protocol.messages import Outputs

Target = tuple[str, int]
"""Topic and partition."""

Row = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""Key, value and headers of a record to write; the value None deletes the key from a compacted topic."""


class TransactionWriter(Protocol):
    """Writes transactions under one transactional id."""

    async def start(self) -> None:
        """Fence every earlier writer of this id, and abort the transaction that it left open."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""

    async def transact(self, rows: Mapping[Target, Sequence[Row]]) -> dict[Target, int]:
        """Write all rows in one transaction, or none of them; return the offset of the last row of each
        target. Return only when the transaction is committed.

        Raises:
            KafkaError: the writer is fenced, a row was refused, or the outcome is unknown. Do not use the
                writer any more.
        """

    async def stop(self) -> None:
        """Disconnect. The next writer aborts what is not committed."""


class LogReader(Protocol):
    """Reads committed records between two offsets. Use it with ``async with``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def begins(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that the log of each partition still has."""

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset after the last committed record of each partition, transaction marker
        included.
        """

    def position(self, partition: TopicPartition) -> int:
        """Return the offset up to which a partition was read."""

    def batches(self, ranges: Mapping[TopicPartition, range], most: int = ...) -> AsyncIterator[list[Any]]:
        """Read ranges one after the other. A batch holds at most ``most`` records of one partition, in
        order; a record has ``key``, ``value``, ``offset`` and ``partition``.
        """


class Backend(Protocol):
    """Makes the connections of the logs of state."""

    def writer(self, transactional_id: str) -> TransactionWriter:
        """Make a writer; it connects when it is started."""

    def reader(self) -> LogReader:
        """Make a reader without a time limit; it connects when it is entered."""


class Recovery(NamedTuple):
    """The restored state.

    ``lost``: offsets between the recorded position and the start of the log; ``unclean``: an earlier
    owner did not release it in order; ``attempt``: the last one that was noted.
    """

    records: list[StateRecord]
    position: int
    partitions: int
    fresh: bool
    lost: int
    unclean: bool = False
    attempt: Attempt | None = None


class WriteResult(NamedTuple):
    """The result of a transaction.

    ``size``: bytes of keys and values; ``oversized``: outputs that were left out; ``large``: state records
    above 256 KB, which were written nevertheless.
    """

    size: int
    oversized: int
    large: int


class StateLog(Protocol):
    """The durable state of one partition: what ``Partition`` needs of ``Changelog``.

    ``restored`` and ``share``: records and share of the log (0 to 1) that are read so far; ``records`` and
    ``bytes``: size of the state; ``remedy``: what to do about state that cannot be used, for messages.
    """

    state_topic: str
    restored: int
    share: float
    bytes: int

    @property
    def records(self) -> int:
        """Number of records in the state."""

    @property
    def remedy(self) -> str:
        """The remedy for state that cannot be used, as part of a message."""

    async def open(self) -> Recovery:
        """Fence every earlier owner, then read the committed state."""

    async def write(
        self,
        position: int,
        changed: Sequence[StateRecord],
        outputs: Outputs,
        attempt: Attempt | None = None,
    ) -> WriteResult:
        """Write state, outputs and position in one transaction, and the attempt that follows."""

    async def close(self) -> None:
        """Disconnect. The next owner aborts what is not committed."""


class Ledger(Protocol):
    """The positions that a transport fetches from and commits. It may ask from another thread."""

    def positions(self) -> dict[TP, int]:
        """Return the source offset to apply next of each owned partition; the transport seeks there."""

    def durable(self) -> dict[TP, int]:
        """Return the positions that are in Kafka; the transport commits no other."""
