"""How incidents and episodes end that are ended from outside: their state is forgotten, so nobody else would
ever resolve them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Change, transition
from monitor.protocol.messages import Message, to_json
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import FeatureKey
from schemas import records
from schemas.times import microseconds, rfc3339


def resolved(record: dict[str, Any], reason: str, now_us: int) -> Message:
    """The resolve of an open episode, from its last record on the alerts topic. ``now_us``: wall clock,
    microseconds since 1970.
    """
    incidents = [incident | {"state": "resolved"} for incident in record["incidents"]]
    at = {"time": rfc3339(now_us), "decided_at": rfc3339(now_us)}
    ended = record | at | {"state": "resolved", "reason": reason, "firing": 0, "incidents": incidents}
    return Message(f"{record['service']}/{record['feature']}".encode(), to_json(ended), 0)


def ended_incidents(partition_state: PartitionState, reason: str, now_us: int) -> Iterator[Message]:
    """The resolves of all incidents that this book knows."""
    for key, incidents in sorted(partition_state.incidents.items()):
        episode = partition_state.episodes.get(key)
        for (at, _), incident in incidents.items():
            held = episode.episode_id if episode is not None and episode.knows(incident.incident_id) else None
            yield transition(key, at, incident, Change("resolved", reason), held, now_us, now_us)


def ended_episodes(
    partition_state: PartitionState,
    told: dict[str, dict[str, Any]],
    reason: str,
    now_us: int,
    prefix: str,
    staying: Collection[str] = (),
) -> Iterator[Message]:
    """The resolves of all episodes that this book knows or that are open on the alerts topic.

    Args:
        told: episode id -> last record, of those that are open there and belong to the book's partition.
        staying: ids of those that go on.
    """
    known = {
        one.episode_id: one.record("updated", reason, now_us, now_us, prefix, [])
        for one in partition_state.episodes.values()
    }
    for name, record in sorted((known | told).items()):
        if name not in staying:
            yield resolved(record, reason, now_us)


def as_told(record: dict[str, Any]) -> tuple[FeatureKey, Episode]:
    """An open episode as its last record on the alerts topic has it: what its own record of state would say."""
    told = records.Episode.model_validate_json(to_json(record))
    shown = {incident["incident_id"]: incident for incident in record["incidents"]}
    firing = {name for name, incident in shown.items() if incident["state"] == "firing"}
    key = FeatureKey(told.service, told.feature, told.environment)
    started_us = microseconds(told.started_at)
    return key, Episode(
        key, told.episode_id, started_us, told.severity, told.urgency, told.muted, shown, firing
    )
