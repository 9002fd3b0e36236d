"""What the alerts topic has been told of one partition and not yet been told the end of."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from aiokafka import TopicPartition

from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import ALERTS
from schemas.config.monitor_config import Kafka
from softfail.partitioning import partition_of

OpenEpisodes = dict[str, dict[str, Any]]
"""Episode id -> its last record."""

_OWN = "softfail"  # episodes about softfail itself belong to the notifier, not to a partition of the events


async def open_episodes(kafka: Kafka) -> OpenEpisodes:
    """Episodes that are open by what is committed on the alerts topic now; those of softfail itself are left
    out.

    Raises:
        Stalled: a transaction stays open, so the end cannot be read.
    """
    alerts, found = TopicPartition(f"{kafka.prefix}.{ALERTS}", 0), OpenEpisodes()
    async with TopicReader(kafka) as reader:
        async for records in reader.batches(await reader.ranges([alerts])):
            for record in records:
                _take(found, record.value)
    return found


def of_partitions(told: OpenEpisodes, partitions: int, only: Collection[int]) -> OpenEpisodes:
    """Those whose feature lies in one of these partitions of the source."""
    return {
        name: one
        for name, one in told.items()
        if partition_of(one["service"], one["feature"], partitions) in only
    }


def in_words(one: dict[str, Any]) -> str:
    """An episode as a line for a person."""
    return (
        f"{one['dedup_key']}  {one['service']}/{one['feature']} ({one['environment']}), {one['severity']}"
        f" since {one['started_at']}"
    )


def _take(found: OpenEpisodes, value: bytes | None) -> None:
    if b'"episode"' not in (value or b""):  # most records are transitions and heartbeats
        return
    try:
        one = json.loads(value or b"")
    except ValueError:
        return
    if (
        isinstance(one, dict)
        and one.get("record") == "episode"
        and one.get("service") != _OWN
        and "episode_id" in one
    ):
        found.pop(one["episode_id"], None)
        if one.get("state") != "resolved":
            found[one["episode_id"]] = one
