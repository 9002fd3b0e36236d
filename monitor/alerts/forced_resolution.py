"""Forced resolution of incidents and episodes whose state is dropped: nothing else would resolve them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from monitor.incidents.episode import Episode
from monitor.incidents.incident import transition
from monitor.incidents.records import EpisodeRecord, ShownIncident, TransitionRecord
from monitor.incidents.state_change import StateChange
from monitor.protocol.messages import Message, to_json
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import FeatureKey
from schemas import records
from schemas.times import microseconds, rfc3339


def resolved(record: Mapping[str, Any], reason: str, now_us: int) -> Message:
    """Resolve an open episode.

    Args:
        record: its last record on the alerts topic, as JSON has it. Fields of newer releases stay.
        reason: of the resolve.
        now_us: wall clock, microseconds since 1970.
    """
    incidents = [incident | {"state": "resolved"} for incident in record["incidents"]]
    now = rfc3339(now_us)
    changes = {
        "time": now,
        "decided_at": now,
        "state": "resolved",
        "reason": reason,
        "firing": 0,
        "incidents": incidents,
    }
    return _message(record["service"], record["feature"], {**record, **changes})


def ended_incidents(partition_state: PartitionState, reason: str, now_us: int) -> Iterator[Message]:
    """Resolve all incidents of a partition."""
    for key, incidents in sorted(partition_state.incidents.items()):
        episode = partition_state.episodes.get(key)
        for (segment_key, _), incident in incidents.items():
            is_shown = episode is not None and episode.knows(incident.incident_id)
            record = transition(
                key,
                segment_key,
                incident,
                StateChange("resolved", reason),
                episode.episode_id if episode is not None and is_shown else None,
                now_us,
                now_us,
            )
            yield _message(key.service, key.feature, record)


def ended_episodes(
    partition_state: PartitionState,
    on_topic: Mapping[str, Mapping[str, Any]],
    reason: str,
    now_us: int,
    prefix: str,
    staying: Collection[str] = (),
) -> Iterator[Message]:
    """Resolve all episodes of a partition, and those that are open on the alerts topic.

    Args:
        partition_state: state of the partition.
        on_topic: episode id -> last record, of those that are open on the topic and belong to the partition.
        reason: of the resolve.
        now_us: wall clock, microseconds since 1970.
        prefix: of the deployment (``kafka.prefix``).
        staying: ids of those that go on.
    """
    in_state = {
        episode.episode_id: msgspec.to_builtins(episode.record("updated", reason, now_us, now_us, prefix))
        for episode in partition_state.episodes.values()
    }
    for name, record in sorted({**in_state, **on_topic}.items()):
        if name not in staying:
            yield resolved(record, reason, now_us)


def as_on_topic(record: Mapping[str, Any]) -> tuple[FeatureKey, Episode]:
    """Rebuild the state of an open episode from its last record on the alerts topic."""
    read = records.Episode.model_validate_json(to_json(record))
    shown = {incident["incident_id"]: ShownIncident.restored(incident) for incident in record["incidents"]}
    firing = {name for name, incident in shown.items() if incident.is_firing}
    key = FeatureKey(read.service, read.feature, read.environment)
    started_us = microseconds(read.started_at)
    return key, Episode(
        key, read.episode_id, started_us, read.severity, read.urgency, read.muted, shown, firing
    )


def _message(
    service: str, feature: str, record: TransitionRecord | EpisodeRecord | Mapping[str, Any]
) -> Message:
    return Message(f"{service}/{feature}".encode(), to_json(record), 0)
