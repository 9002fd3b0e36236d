"""Partition ownership, as the coordinator of the consumer group reports it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from agents.kafka.connection import clients
from schemas.config.connections import Kafka


def group_of(kafka: Kafka, agent: str) -> str:
    """Return the consumer group of an agent: judges have one of their own, so that they read every event, too."""
    return f"{kafka.prefix}.{agent}" if agent == "judge" else kafka.prefix


async def unowned(kafka: Kafka, sources: Iterable[str], group: str = "") -> set[TopicPartition]:
    """Return the partitions of the source topics that no member of the group owns.

    ``group``: its name; empty: that of the workers. While the group rebalances, these are all of them. Raises whatever the client raises when there is no
    broker.
    """
    wanted = set(sources)
    admin = AIOKafkaAdminClient(**clients(kafka), request_timeout_ms=5000)
    await admin.start()
    try:
        # all of them: to ask for one by name creates it, on a broker that creates topics by itself
        topics = [topic for topic in await admin.describe_topics() if topic["topic"] in wanted]
        (response,) = await admin.describe_consumer_groups([group or kafka.prefix])
    finally:
        await admin.close()
    partitions = {
        TopicPartition(topic["topic"], partition["partition"])
        for topic in topics
        for partition in topic["partitions"]
    }
    members = [member for group in response.to_object()["groups"] for member in group["members"]]
    return partitions.difference(*map(owned_by, members))


def owned_by(member: Mapping[str, Any]) -> set[TopicPartition]:
    """Return the partitions of one member of a DescribeGroups response."""
    if not member["member_assignment"]:
        return set()
    assignment = ConsumerProtocolMemberAssignment.decode(member["member_assignment"]).assignment
    return {TopicPartition(topic, partition) for topic, partitions in assignment for partition in partitions}
