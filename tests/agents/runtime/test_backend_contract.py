"""The laws of a backend, on the one in memory. On Kafka: ``tests/integration/agents``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from faust.types import TP

from agents.runtime.backend import Row, Target
from agents.runtime.faust_transport import Bundle
from schemas import topics
from schemas.config.connections import Kafka
from tests.agents.runtime.backend_contract import *  # noqa: F403 - all laws
from tests.agents.runtime.backend_contract import PARTITIONS
from tests.agents.runtime.memory_backend import MemoryKafka, MemoryWriter, bundles


class MemoryBroker:
    """The topics in memory, as the contract handles them."""

    cluster = "memory"

    def __init__(self) -> None:
        self.kafka, self.backend = Kafka(prefix="p", partitions=PARTITIONS), MemoryKafka()
        for topic in topics.TOPICS:
            compacted = "compact" in topic.settings["cleanup.policy"]
            self.backend.create(f"p.{topic.name}", topic.partitions or PARTITIONS, compacted=compacted)

    async def publish(self, suffix: str, partition: int, *values: bytes) -> list[int]:
        return self.backend.publish(f"p.{suffix}", partition, *((None, value) for value in values))

    async def leave_open(self, writer: MemoryWriter, target: Target, rows: Sequence[Row]) -> None:
        await writer.leave_open({target: rows})

    async def delete_before(self, suffix: str, partition: int, offset: int) -> None:
        self.backend.log(f"p.{suffix}", partition).delete_before(offset)

    async def create_anew(self, suffix: str) -> None:
        self.backend.create(f"p.{suffix}", PARTITIONS)

    async def refuse_above(self, suffix: str, most_bytes: int) -> None:
        self.backend.largest[f"p.{suffix}"] = most_bytes

    async def compact(self, suffix: str) -> None:
        for log in self.backend.topics[f"p.{suffix}"]:
            log.compact()

    async def bundles(self, suffix: str, partition: int, position: int, most: int) -> AsyncIterator[Bundle]:
        for bundle in bundles(self.backend, TP(f"p.{suffix}", partition), position, most):
            yield bundle


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()
