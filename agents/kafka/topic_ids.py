"""Ids of topics (KIP-516): a topic that was deleted and created again has another id.

aiokafka asks for metadata of version 5; ids came with version 10, which kafka-python knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import NamedTuple

from kafka import KafkaAdminClient

from agents.kafka.connection import blocking_clients
from schemas.config.connections import Kafka

_NONE = "00000000-0000-0000-0000-000000000000"  # of brokers that keep none


class TopicIdentity(NamedTuple):
    """Id (empty: the broker keeps none) and number of partitions of a topic."""

    topic_id: str
    partitions: int


class TopicObserver:
    """Asks for the identities of topics over a connection of its own, in a thread."""

    def __init__(self, kafka: Kafka, topics: Collection[str]) -> None:
        self._kafka, self._topics = kafka, sorted(topics)
        self._admin: KafkaAdminClient | None = None

    async def look(self) -> dict[str, TopicIdentity]:
        """Return the identity of each topic that exists.

        Raises:
            KafkaError: no broker answers.
        """
        return await asyncio.to_thread(self._look)

    async def close(self) -> None:
        """Disconnect."""
        await asyncio.to_thread(self._close)

    def _look(self) -> dict[str, TopicIdentity]:
        try:
            if self._admin is None:
                self._admin = KafkaAdminClient(
                    **blocking_clients(self._kafka), bootstrap_timeout_ms=10_000, request_timeout_ms=10_000
                )
            rows = self._admin.describe_topics(self._topics)
        except BaseException:
            self._close()
            raise
        return {
            row["name"]: TopicIdentity(
                "" if str(row["topic_id"]) == _NONE else str(row["topic_id"]), len(row["partitions"])
            )
            for row in rows
            if not row["error_code"] and row["partitions"]
        }

    def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(Exception):
                admin.close()
