"""Episodes that are open by the alerts topic."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from aiokafka import TopicPartition

from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import ALERTS
from schemas.config.connections import Kafka
from schemas.record_kinds import record_kind
from softfail.partitioning import partition_of

OpenEpisodes = dict[str, dict[str, Any]]
"""Episode id to its last record."""

_OWN = "softfail"  # episodes about softfail itself belong to the notifier, not to a partition of the events


async def open_episodes(kafka: Kafka) -> OpenEpisodes:
    """Read the episodes that are open on the alerts topic now, without those about softfail itself.

    Raises:
        Stalled: a transaction stays open, so the end cannot be read.
    """
    alerts, episodes = TopicPartition(f"{kafka.prefix}.{ALERTS}", 0), OpenEpisodes()
    async with TopicReader(kafka) as reader:
        async for records in reader.batches(await reader.ranges([alerts])):
            for record in records:
                _apply(episodes, record.value, record.headers)
    return episodes


def in_partitions(episodes: OpenEpisodes, partitions: int, only: Collection[int]) -> OpenEpisodes:
    """Return the episodes whose feature lies in one of these partitions of the source."""
    return {
        episode_id: episode
        for episode_id, episode in episodes.items()
        if partition_of(episode["service"], episode["feature"], partitions) in only
    }


def episode_line(episode: dict[str, Any]) -> str:
    """Render an episode as one line."""
    return (
        f"{episode['dedup_key']}  {episode['service']}/{episode['feature']} ({episode['environment']}),"
        f" {episode['severity']} since {episode['started_at']}"
    )


def _apply(episodes: OpenEpisodes, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> None:
    if record_kind(value, headers) != "episode":
        return
    record = json.loads(value or b"")
    if record.get("service") != _OWN and "episode_id" in record:
        episodes.pop(record["episode_id"], None)
        if record.get("state") != "resolved":
            episodes[record["episode_id"]] = record
