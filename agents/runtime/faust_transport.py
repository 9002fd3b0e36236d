"""Faust's aiokafka transport, reduced to what is reliable (faust 0.15.3, aiokafka 0.14.0, mode 0.7.1).

Taken from Faust: one consumer in its own thread, group membership, the rebalance callbacks, a stream.
Not taken: its path for each message (about 60 us), its acks, its commits, its idea of a position.

The one rule: a ``Bundle`` says which RANGE of positions [start, stop) it stands for, and the worker applies
it only if its start joins the position already applied; anything else is thrown away and fetched again. So
whatever is dropped, doubled or reordered on the way costs a fetch and never an event.

The application has a ``ledger`` (``agents.runtime.backend.Ledger``), asked from the thread of the consumer.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import UnsupportedCodecError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from agents.kafka.decompression import UnreadableBatch
from agents.process import exits


class Continuity(enum.Enum):
    """Relation of a range of positions to the applied position."""

    OLD = "applied before"
    JOINS = "joins"
    GAP = "something is missing before it"


def continuity(start: int, stop: int, position: int) -> Continuity:
    """Return the relation of [start, stop) to the next position to apply.

    >>> continuity(0, 5, 5).name, continuity(3, 8, 5).name, continuity(6, 8, 5).name
    ('OLD', 'JOINS', 'GAP')
    """
    if stop <= position:
        return Continuity.OLD
    return Continuity.JOINS if start <= position else Continuity.GAP


# of values in a bundle, one record more or less: 5,000 records of 256 KB would be more than a gigabyte
MOST_BYTES = 4 << 20
FETCHED_BYTES = 64 << 20  # that aiokafka holds back in all: one fetch a partition, as it came over the wire
LEAST_FETCH, MOST_FETCH = 256 << 10, 4 << 20


def fetch_bytes(partitions: int) -> int:
    """Return how many bytes to fetch of a partition at once, for a worker that may own all partitions.

    A larger batch is fetched nevertheless, alone.

    >>> fetch_bytes(16), fetch_bytes(64), fetch_bytes(1000)
    (4194304, 1048576, 262144)
    """
    return min(MOST_FETCH, max(LEAST_FETCH, FETCHED_BYTES // partitions))


class Bundle(list[Any]):
    """Records of one partition from one fetch, at most 5,000 and about 4 MB, and the range of positions they
    stand for. The record of an unreadable batch is the last of its bundle.

    The range is aiokafka's position before and after it hands out the records. A hole inside is therefore
    explained (transaction marker, aborted records, compaction); a hole between two bundles is a loss. Record
    offsets alone cannot tell the two apart, and never reach the end of a topic that ends with a marker.
    """

    start = stop = 0

    def until(self, stop: int) -> Bundle:
        """Return the part of the bundle below an offset."""
        part = Bundle(record for record in self if record.offset < stop)
        part.start, part.stop = self.start, min(self.stop, stop)
        return part

    # a range of markers only must arrive too (aiokafka fetcher.py:1233 `if not records`)
    def __bool__(self) -> bool:
        return self.stop > self.start


class FetchResult(fetcher.FetchResult):  # type: ignore[misc]
    """The class of aiokafka, whose records come as bundles."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> Bundle:
        """Return the next bundle; no await, so nothing else in the thread runs between the two reads of the
        position.

        The method of aiokafka limits the number of records only. Compressed records are unpacked as they are
        read, so the rest stays compressed.
        """
        state = self._assignment.state_value(self._topic_partition)
        start = state._position
        bundle = Bundle()
        if start is None:  # offset reset under way; check_assignment would trip over the assert in `position`
            return bundle
        if self.check_assignment(self._topic_partition) and self.has_more():
            left = MOST_BYTES
            for record in self._partition_records:
                bundle.append(record)
                left -= record.serialized_value_size  # -1 for none
                if left <= 0 or len(bundle) == max_records or type(record.value) is UnreadableBatch:
                    self._update_position()
                    break
            else:
                self._update_position()
                self._partition_records = None
        bundle.start, bundle.stop = start, state._position
        return bundle


fetcher.FetchResult = FetchResult  # Fetcher looks the class up in its module


class Schema(faust.Schema):  # type: ignore[misc]
    """Passes bundles on unchanged, because the codecs of Faust decode single messages."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return the decoder that Faust calls for each pseudo-message."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(message.key, message.value, message.headers, message)

        return decode


class NoReadOffsets(dict[TP, Any]):
    """Reports no read offset, so that Faust drops no bundle that starts below it (consumer.py:1209)."""

    def __getitem__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: Any) -> None:
        pass

    def update(self, *_: Any, **__: Any) -> None:
        """Ignore the offsets."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that runs the consumer of aiokafka."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # driver:571 gives it to exactly_once apps only
        # driver:615 has 1500; after a seek nothing is fetched until that poll is back
        consumer._fetch_max_wait_ms = 250
        return consumer

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the applied positions. Faust calls it at the start (recovery.py:321) and after
        interruptions (consumer.py:769).
        """
        sought: Mapping[TP, int] = await self.call_thread(self._seek_to_applied)
        return sought

    async def _seek_to_applied(self) -> Mapping[TP, int]:
        # In the consumer's thread and without an await, so never in the middle of a getall. Faust's own
        # Consumer.seek does it from the main thread (driver:1029): getall's last step then overwrites the new
        # position.
        consumer = self._ensure_consumer()
        assignment = self.assignment()
        positions = {tp: position for tp, position in self.app.ledger.positions().items() if tp in assignment}
        for tp, position in positions.items():
            consumer.seek(TopicPartition(*tp), position)
        return positions


class Consumer(driver.Consumer):  # type: ignore[misc]
    """The consumer of Faust, with bundles as messages and the applied positions as its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109
    ) -> dict[TP, list[ConsumerRecord[Any, Any]]]:
        # A copy: Faust passes its live set (consumer.py:802). A rebalance empties it while aiokafka waits,
        # and EMPTY means "all partitions" there (fetcher.py:1221): the position moves, and Faust drops the
        # records (consumer.py:760).
        try:
            bundles = await super()._getmany(active_partitions and frozenset(active_partitions), timeout)
        except UnsupportedCodecError as error:  # the fetcher of Faust would end without a message
            exits.leave(
                exits.CONFIGURATION,
                f"the events are compressed in a way that this worker cannot read: {error}; run: pip install"
                " cramjam",
            )
        return {TP(*tp): [pseudo_message(tp, bundle)] for tp, bundle in bundles.items()}

    def highwater(self, tp: TP) -> int:
        """Return the high-water mark for the monitor of Faust (consumer.py:763), which fails for a revoked
        partition.
        """
        try:
            return super().highwater(tp) or 0
        except Exception:  # noqa: BLE001 - an unused number must not stop the stream
            return 0

    # Backpressure is the full queue of the stream. Faust would take a full partition out of the active set,
    # and with all of them out it sleeps a whole second (consumer.py:808).
    def on_buffer_full(self, tp: TP) -> None:
        """Continue to fetch; the queue is bounded."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, because no partition was removed."""

    # Commits only inform (kafka-consumer-groups.sh); no worker starts from them.
    def ack(self, message: Any) -> bool:
        """Acknowledge nothing, because positions are durable by transactions only."""
        message.acked = True
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return list(self.app.ledger.durable())

    def _new_offset(self, tp: TP) -> int | None:
        offset: int | None = self.app.ledger.durable().get(tp)
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        pass

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Check nothing: Faust subtracts epoch time from monotonic time here (driver:928, 939)."""


def pseudo_message(tp: TopicPartition, bundle: Bundle) -> ConsumerRecord[Any, Any]:
    """Make a message for Faust whose value is the bundle, without headers, which Faust would read."""
    return ConsumerRecord(tp.topic, tp.partition, bundle.start, None, 0, None, bundle, None, -1, -1, ())


class Transport(driver.Transport):  # type: ignore[misc]
    """The transport that the application gives to Faust."""

    Consumer = Consumer
