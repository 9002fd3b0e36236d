"""Merge the episodes of a group into the episode that its page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from monitor.delivery.snapshot import Snapshot, snapshot
from monitor.protocol.severity import most_severe, severity_rank
from monitor.windows.failure_kind import SILENCE
from monitor.wording.episode_text import leading_incident
from monitor.wording.incident_text import clock, sentence
from schemas.records import Episode, Member
from softfail.sanitize import sanitize

LEAST = 3  # episodes of a group
MEMBERS = 50  # that a page lists
INCIDENT_BYTES = 32 << 10  # of incidents of all members
TEXT_CHARS = 300


def merge_group(
    members: Sequence[Snapshot], group_key: str, previous: Episode, silenced: Collection[str] = ()
) -> Snapshot:
    """Merge the episodes of a group into one, under the id of the leader.

    Args:
        members: their newest states; the leader first.
        group_key: what they have in common, from ``group_keys``.
        previous: the merged episode before; severity and urgency never sink.
        silenced: ids of the members that a silence holds back; they are not listed, unless all are.
    """
    leader = members[0].episode
    audible = [member.episode for member in members if not member.episode.muted]
    is_muted = not audible
    episodes = [episode for episode in audible if episode.episode_id not in silenced]
    episodes = episodes or audible or [member.episode for member in members]
    latest = max(episodes, key=lambda episode: episode.decided_at)
    firing = [episode for episode in episodes if episode.state != "resolved"]
    ranked = sorted(episodes, key=_rank)
    causes = Counter(cause for episode in firing or episodes for cause in episode.causes)
    is_high = "high" in (previous.urgency, *(episode.urgency for episode in episodes))
    merged = leader.model_copy(
        update={
            "state": "updated" if firing else "resolved",
            "reason": f"{latest.service}/{latest.feature}: {latest.reason}",
            "severity": most_severe((previous.severity, *(episode.severity for episode in episodes))),
            "urgency": "high" if is_high else "low",
            "muted": leader.muted if is_muted else "",
            "started_at": min(episode.started_at for episode in episodes),
            "time": max(episode.time for episode in episodes),
            "decided_at": latest.decided_at,
            "firing": sum(episode.firing for episode in firing),
            "incidents": [incident for episode in ranked for incident in episode.incidents],
            "examples": [example for episode in ranked for example in episode.examples[:1]][:3],
            "causes": _common_causes(firing or episodes, causes, group_key),
            **_common_origin(episodes, group_key),
            "features": len(episodes),
            "members": [_member(episode) for episode in ranked[:MEMBERS]],
        }
    )
    cut = snapshot(merged, max(member.offset for member in members), INCIDENT_BYTES)
    return cut.model_copy(update={"left_out": cut.left_out + sum(member.left_out for member in members)})


def _rank(episode: Episode) -> tuple[Any, ...]:
    """Firing before resolved, then by severity, then the oldest first."""
    is_over = episode.state == "resolved"
    return is_over, -severity_rank(episode.severity), episode.started_at, episode.episode_id


def _common_origin(episodes: Sequence[Episode], group_key: str) -> dict[str, str]:
    """Return provider and model where all episodes have the same, else empty; always that of the group."""
    name, _, value = (group_key.rpartition("#")[0] or group_key).partition("/")[2].partition(" ")
    origin = {"provider": "", "model": ""}
    if name not in origin:
        return origin
    for field in origin:
        values = {getattr(episode, field) for episode in episodes}
        if len(values) == 1:
            origin[field] = next(iter(values))
    return {**origin, name: value}


def _common_causes(episodes: Sequence[Episode], causes: Counter[str], group_key: str) -> list[str]:
    """Return the likely causes, the most common first. A service of which several features are silent is
    itself the likeliest.
    """
    known = [cause for cause, _ in causes.most_common(3)]
    if group_key.rpartition("#")[2] != SILENCE or len(episodes) < LEAST:
        return known
    service = episodes[0].service
    return [f"{service} sends nothing for {len(episodes)} of its features: it is down, or cut off", *known][
        :3
    ]


def _member(episode: Episode) -> Member:
    leading = leading_incident(episode)
    text = sentence(leading) if leading is not None else f"since {clock(episode.started_at)}"
    return Member(
        episode_id=episode.episode_id,
        service=episode.service,
        feature=episode.feature,
        environment=episode.environment,
        severity=episode.severity,
        state="resolved" if episode.state == "resolved" else "firing",
        started_at=episode.started_at,
        text=sanitize(text, TEXT_CHARS),
    )
