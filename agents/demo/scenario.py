"""The phases of the demo, and the check of what was paged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.demo.fake_pagerduty import PagerDutyIncident

SHORTEST_S, LONGEST_S = 40.0, 3600.0
GRACE_S = 20.0  # after the last phase, for an episode to end


class Phase(NamedTuple):
    """A part of the demo. ``faulty``: the features (service/feature) that fail in it."""

    name: str
    duration_s: float
    faulty: tuple[str, ...] = ()


BROKEN = "support-bot/answer"
_OWN_PART = re.compile(r"/(?:low|missed|high(?:/\d+)?)$")


def phases(duration_s: float) -> tuple[Phase, ...]:
    """Return the phases of a demo of 40 to 3600 seconds.

    >>> [(phase.name, phase.duration_s) for phase in phases(60)]
    [('healthy', 15.0), ('support-bot/answer refuses and slows down', 18.0), ('repaired', 27.0)]
    """
    return (
        Phase("healthy", duration_s * 0.25),
        Phase(f"{BROKEN} refuses and slows down", duration_s * 0.3, (BROKEN,)),
        Phase("repaired", duration_s * 0.45),
    )


def planned(plan: Sequence[Phase]) -> list[str]:
    """Return the features that fail, once for each phase in which they do."""
    return [feature for phase in plan for feature in phase.faulty]


def episodes(incidents: Sequence[PagerDutyIncident]) -> dict[str, list[PagerDutyIncident]]:
    """Group the incidents of a receiver by episode: the key without its urgency and ring."""
    incidents_by_episode: dict[str, list[PagerDutyIncident]] = {}
    for incident in incidents:
        incidents_by_episode.setdefault(_OWN_PART.sub("", incident.dedup_key), []).append(incident)
    return incidents_by_episode


def feature_of(incident: PagerDutyIncident) -> str:
    """Return service/feature of an incident, from its payload."""
    return f"{incident.payload.get('group')}/{incident.payload.get('component')}"


def misses(incidents: Sequence[PagerDutyIncident], plan: Sequence[Phase]) -> list[str]:
    """Return what did not happen as planned: each planned fault has one episode, opened and resolved, and
    there is no other.

    >>> misses([], phases(60))
    ['support-bot/answer: 0 episodes at the receiver, 1 planned']
    """
    expected, reported = (
        planned(plan),
        [(feature_of(parts[0]), parts) for parts in episodes(incidents).values()],
    )
    faults = []
    for feature in sorted({*expected, *(name for name, _ in reported)}):
        of_feature = [parts for name, parts in reported if name == feature]
        if len(of_feature) != expected.count(feature):
            faults.append(
                f"{feature}: {len(of_feature)} episodes at the receiver, {expected.count(feature)} planned"
            )
        for parts in of_feature:
            keys = [incident.dedup_key for incident in parts]
            faults += [
                f"{key}: opened {keys.count(key)} times" for key in sorted(set(keys)) if keys.count(key) > 1
            ]
            faults += [
                f"{incident.dedup_key}: never resolved" for incident in parts if incident.resolved_at is None
            ]
    return faults
