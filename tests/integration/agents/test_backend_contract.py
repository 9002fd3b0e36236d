"""The laws of a backend (``tests/agents/runtime/backend_contract.py``) on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from agents.kafka.state_topic import StateTopic
from agents.kafka.topics import create, describe
from agents.runtime.backend import Row, Target
from agents.runtime.faust_transport import Bundle
from agents.runtime.kafka_backend import KafkaBackend, KafkaWriter
from schemas.config.connections import Kafka
from tests.agents.runtime.backend_contract import *  # noqa: F403 - all laws
from tests.agents.runtime.backend_contract import PARTITIONS


class KafkaBroker:
    """The topics on Kafka, as the contract handles them."""

    def __init__(self, address: str, prefix: str) -> None:
        self.kafka = Kafka(brokers=address, prefix=prefix, partitions=PARTITIONS)
        self.backend = KafkaBackend(self.kafka)
        self.cluster = asyncio.run(StateTopic(self.kafka, "watch").cluster())

    async def publish(self, suffix: str, partition: int, *values: bytes) -> list[int]:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka.brokers) as producer:
            sent = [
                await producer.send(f"{self.kafka.prefix}.{suffix}", value, partition=partition)
                for value in values
            ]
            return [metadata.offset for metadata in await asyncio.gather(*sent)]

    async def leave_open(self, writer: KafkaWriter, target: Target, rows: Sequence[Row]) -> None:
        producer = writer._producer
        await producer.begin_transaction()
        batch = producer.create_batch()
        for key, value, headers in rows:
            assert batch.append(timestamp=None, key=key, value=value, headers=list(headers)) is not None
        await (await producer.send_batch(batch, target[0], partition=target[1]))

    async def delete_before(self, suffix: str, partition: int, offset: int) -> None:
        where = TopicPartition(f"{self.kafka.prefix}.{suffix}", partition)
        await self._administer(lambda admin: admin.delete_records({where: RecordsToDelete(offset)}))

    async def create_anew(self, suffix: str) -> None:
        topic = f"{self.kafka.prefix}.{suffix}"

        async def delete(admin: Any) -> None:
            await admin.delete_topics([topic])
            while topic in await admin.list_topics():  # noqa: ASYNC110 - the broker does not tell
                await asyncio.sleep(0.05)

        await self._administer(delete)
        await create(self.kafka)

    async def refuse_above(self, suffix: str, most_bytes: int) -> None:
        settings = {"max.message.bytes": str(most_bytes)}
        resource = ConfigResource(ConfigResourceType.TOPIC, f"{self.kafka.prefix}.{suffix}", settings)

        async def alter(admin: Any) -> None:
            await admin.alter_configs([resource])
            is_taken_over = False
            while not is_taken_over:  # a moment later
                is_taken_over = (
                    settings.items()
                    <= (await describe(admin, self.kafka.prefix))[resource.name].settings.items()
                )

        await self._administer(alter)

    async def compact(self, suffix: str) -> None:
        """Nothing: the broker compacts when it likes, so the laws hold before and after."""

    async def bundles(self, suffix: str, partition: int, position: int, most: int) -> AsyncIterator[Bundle]:
        """By the consumer of the worker: aiokafka with our ``FetchResult``."""
        where = TopicPartition(f"{self.kafka.prefix}.{suffix}", partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.brokers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        async with consumer:
            consumer.assign([where])
            consumer.seek(where, position)
            end = (await consumer.end_offsets([where]))[where]
            while await consumer.position(where) < end:
                for bundle in (await consumer.getmany(where, timeout_ms=200, max_records=most)).values():
                    yield bundle

    async def _administer(self, step: Callable[[Any], Any]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.brokers)
        await admin.start()
        try:
            await step(admin)
        finally:
            await admin.close()


@pytest.fixture
def broker(make_topics: Callable[[int], Any]) -> KafkaBroker:
    topics = make_topics(PARTITIONS)
    return KafkaBroker(topics.address, topics.prefix)
