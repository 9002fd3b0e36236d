"""Who owns what, as the group's coordinator says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.types import TP

from agents.kafka.connection import clients
from schemas.config.monitor_config import Kafka


async def unowned(kafka: Kafka, sources: Iterable[str]) -> set[TP]:
    """Partitions of the source topics that no member of the group has.

    While the group rebalances, all of them. Raises whatever the client raises when there is no broker.
    """
    admin = AIOKafkaAdminClient(**clients(kafka), request_timeout_ms=5000)
    await admin.start()
    try:
        topics = await admin.describe_topics(list(sources))
        (response,) = await admin.describe_consumer_groups([kafka.prefix])
    finally:
        await admin.close()
    everything = {
        TP(topic["topic"], partition["partition"]) for topic in topics for partition in topic["partitions"]
    }
    return everything - owned(response)


def owned(response: Any) -> set[TP]:
    """Partitions that the members named in a DescribeGroups response have."""
    found = set()
    for group in response.to_object()["groups"]:
        for member in group["members"]:
            if member["member_assignment"]:
                for topic, partitions in ConsumerProtocolMemberAssignment.decode(
                    member["member_assignment"]
                ).assignment:
                    found |= {TP(topic, partition) for partition in partitions}
    return found
