"""Dead letters as they lie in ``PREFIX.deadletter``: read them, and know which were written to the events
again.

A *mark* is a record in the same topic that names letters which were re-injected. It lies in the partition of
its letters and behind them, so Kafka's retention never deletes it before them. What makes it a mark is a
header: a dead letter has the key of the refused record, which comes from outside, but no headers of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError
from pydantic import ValidationError

from agents.kafka.connection import blocking_clients
from monitor.protocol.messages import to_json
from schemas.config.monitor_config import Kafka
from schemas.records import DeadLetter

MARK_KEY, MARK_HEADER = b"reinjected", "softfail-mark"
PATIENCE_S = 30.0  # without one record from a broker that ought to have some


class Identity(NamedTuple):
    """Which record was refused. The append time tells a topic that was made anew from the old one."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None


class Found(NamedTuple):
    """A dead letter, the partition of the dead letter topic that it lies in, and when it was written, ms
    since 1970.
    """

    letter: DeadLetter
    partition: int
    refused_ms: int

    @property
    def identity(self) -> Identity:
        """Which record was refused."""
        return Identity(self.letter.topic, self.letter.partition, self.letter.offset, self.letter.timestamp)


class Wanted(NamedTuple):
    """Which letters are meant: ``reason`` a part of the error, ``field`` exactly, ``since_ms`` when they were
    refused; None: any.
    """

    reason: str | None = None
    field: str | None = None
    since_ms: int | None = None

    def __call__(self, found: Found) -> bool:
        """Whether this letter is meant."""
        letter = found.letter
        return (
            (self.reason is None or self.reason.casefold() in letter.error.casefold())
            and (self.field is None or self.field == letter.field)
            and (self.since_ms is None or found.refused_ms >= self.since_ms)
        )


def connection(kafka: Kafka) -> dict[str, Any]:
    """What kafka-python needs to reach the broker."""
    return {**blocking_clients(kafka), "bootstrap_timeout_ms": 15_000, "allow_auto_create_topics": False}


def mark_of(identities: Sequence[Identity]) -> bytes:
    """The value of a mark.

    >>> mark_of([Identity("softfail.events", 3, 17, 1772442000000)])
    b'{"reinjected":[["softfail.events",3,17,1772442000000]]}'
    """
    return to_json({"reinjected": identities})


class _Mark(msgspec.Struct):
    reinjected: list[tuple[str, int, int, int | None]]


def is_mark(record: Any) -> bool:
    """Whether a record of the dead letter topic is a mark and no letter."""
    return record.key == MARK_KEY and any(name == MARK_HEADER for name, _ in record.headers)


def marked(value: bytes) -> list[Identity]:
    """Which letters a mark names.

    Raises:
        ValueError: it cannot be read; then nobody knows what was re-injected.
    """
    try:
        return [Identity(*one) for one in msgspec.json.decode(value, type=_Mark).reinjected]
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"a mark of re-injected letters cannot be read: {error}; run the release that wrote it"
        ) from None


class Reader:
    """Reads committed records of topics, each up to where it ended when it was asked. Use it as a context
    manager.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._consumer = KafkaConsumer(
            **connection(kafka),
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
        )
        self._topics: set[str] = self._consumer.topics()
        self._ranges: dict[Any, tuple[int, int]] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """Numbers of a topic's partitions; none if there is no such topic (asking does not make it)."""
        return sorted(self._consumer.partitions_for_topic(topic)) if topic in self._topics else []

    def records(self, topic: str, since_ms: int | None = None) -> Iterator[Any]:
        """All committed records, from the first that was written at ``since_ms`` on (None: all), in order
        within a partition.

        Raises:
            KafkaTimeoutError: the broker gives nothing for 30 s although there is more.
        """
        consumer = self._consumer
        tps = [TopicPartition(topic, number) for number in self.partitions(topic)]
        if not tps:
            return
        consumer.assign(tps)
        ends = consumer.end_offsets(tps)
        starts = consumer.beginning_offsets(tps)
        if since_ms is not None:
            for tp, found in consumer.offsets_for_times(dict.fromkeys(tps, since_ms)).items():
                starts[tp] = ends[tp] if found is None else found.offset
        for tp, start in starts.items():
            consumer.seek(tp, start)
        deadline = time.monotonic() + PATIENCE_S
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            batches = consumer.poll(timeout_ms=500, max_records=5000)
            if batches:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(
                    f"{topic}: no record came for {PATIENCE_S:.0f} s, though there are more"
                )
            for tp, records in batches.items():
                yield from (record for record in records if record.offset < ends[tp])

    def one(self, topic: str, partition: int, offset: int) -> Any | None:
        """The record at an offset; None if the topic does not have it any more. Quickest when asked in the
        order of the log.

        Raises:
            KafkaTimeoutError: the broker does not give it within 30 s.
        """
        if partition not in self.partitions(topic):
            return None
        tp, consumer = TopicPartition(topic, partition), self._consumer
        if tp not in self._ranges:
            self._ranges[tp] = consumer.beginning_offsets([tp])[tp], consumer.end_offsets([tp])[tp]
        start, end = self._ranges[tp]
        if not start <= offset < end:
            return None
        if consumer.assignment() != {tp}:
            consumer.assign([tp])
        consumer.seek(tp, offset)
        deadline = time.monotonic() + PATIENCE_S
        while (position := consumer.position(tp)) <= offset:
            for record in consumer.poll(timeout_ms=500, max_records=1).get(tp, ()):
                return record if record.offset == offset else None  # deleted meanwhile, or never committed
            if position == consumer.position(tp) and time.monotonic() > deadline:
                raise KafkaTimeoutError(
                    f"{topic}/{partition}: the record at {offset} did not come within {PATIENCE_S:.0f} s"
                )
        return None


def marks(reader: Reader, topic: str, since_ms: int | None = None) -> set[Identity]:
    """Which letters were re-injected, as far as marks written at ``since_ms`` or later say it."""
    return {
        one for record in reader.records(topic, since_ms) if is_mark(record) for one in marked(record.value)
    }


def letters(reader: Reader, topic: str, since_ms: int | None = None) -> Iterator[Found | None]:
    """The dead letters, without marks; None for each record that is no dead letter of this release."""
    for record in reader.records(topic, since_ms):
        if is_mark(record):
            continue
        try:
            yield Found(
                DeadLetter.model_validate_json(record.value or b""), record.partition, record.timestamp
            )
        except ValidationError:
            yield None
