"""Transactions and reads on Kafka (aiokafka)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from agents.kafka.connection import clients
from agents.kafka.rights import named_denials, raise_first
from agents.kafka.topic_reader import TopicReader
from agents.runtime.backend import Row, Target
from agents.runtime.clock import wall_clock_us
from schemas.config.connections import Kafka

BATCH_BYTES = 512 << 10


class KafkaBackend:
    """Connects to the brokers of the configuration."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def writer(self, transactional_id: str) -> KafkaWriter:
        """Make a writer; it connects when it is started."""
        return KafkaWriter(self._kafka, transactional_id)

    def reader(self) -> TopicReader:
        """Make a reader without a time limit, because the watchdog looks at the progress."""
        return TopicReader(self._kafka, patience_s=math.inf)


class KafkaWriter:
    """A transactional producer.

    Args:
        transactional_id: a later writer with the same id fences this one.
    """

    def __init__(self, kafka: Kafka, transactional_id: str) -> None:
        self._kafka = kafka
        self._producer = AIOKafkaProducer(
            **clients(kafka),
            transactional_id=transactional_id,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=2 << 20,
            linger_ms=0,
            request_timeout_ms=20_000,
            transaction_timeout_ms=20_000,
        )

    async def start(self) -> None:
        """Connect, fence every earlier writer of this id, and abort the transaction that it left open."""
        with named_denials(self._kafka):
            await self._producer.start()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return len(await self._producer.partitions_for(topic))

    async def transact(self, rows: Mapping[Target, Sequence[Row]]) -> dict[Target, int]:
        """Write all rows in one transaction, or none of them; return the offset of the last row of each
        target.

        Every future is awaited before the commit, because aiokafka also commits a transaction of which a
        batch has failed (sender.py:868 leaves the transaction as it is).

        Raises:
            Denied: the user may not write to a topic, or not with this id.
            KafkaError: the writer is fenced, a row was refused, or the outcome is unknown.
        """
        producer = self._producer
        pending: list[asyncio.Future[Any]] = []
        last: dict[Target, tuple[int, int]] = {}  # index of the last batch, and its number of records
        with named_denials(self._kafka):
            await producer.begin_transaction()
            for target, target_rows in rows.items():
                batches = _batches(producer, target_rows)
                last[target] = len(pending) + len(batches) - 1, batches[-1].record_count()
                pending += [
                    await producer.send_batch(batch, target[0], partition=target[1]) for batch in batches
                ]
            results: Sequence[Any] = await asyncio.gather(*pending, return_exceptions=True)
            raise_first(self._kafka, results)
            await producer.commit_transaction()
        return {target: results[index].offset + count - 1 for target, (index, count) in last.items()}

    async def stop(self) -> None:
        """Disconnect. The next writer aborts what is not committed."""
        await self._producer.stop()


def _batches(producer: AIOKafkaProducer, rows: Sequence[Row]) -> list[BatchBuilder]:
    """Put rows into as few batches as possible, in order.

    Their time is that of the clock without jumps: a broker refuses records of over an hour ahead.
    """
    batches, now_ms = [producer.create_batch()], wall_clock_us() // 1000
    for key, value, headers in rows:
        if batches[-1].append(timestamp=now_ms, key=key, value=value, headers=list(headers)) is None:
            batches.append(producer.create_batch())
            if batches[-1].append(timestamp=now_ms, key=key, value=value, headers=list(headers)) is None:
                raise ValueError(f"record {key!r} of {len(value or b'')} bytes fits into no batch")
    return batches
