"""What will happen in the demo, and whether it was told rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agents.demo.fake_pagerduty import PagerDutyIncident

SHORTEST_S, LONGEST_S = 40.0, 3600.0
GRACE_S = 20.0  # after the last phase, for an episode to end


class Phase(NamedTuple):
    """A part of the demo. ``faulty``: the features, as service/feature, that misbehave in it."""

    name: str
    duration_s: float
    faulty: tuple[str, ...] = ()


BROKEN = "support-bot/answer"


def phases(duration_s: float) -> tuple[Phase, ...]:
    """The phases of a demo of 40 to 3600 seconds.

    >>> [(phase.name, phase.duration_s) for phase in phases(60)]
    [('healthy', 15.0), ('support-bot/answer refuses and slows down', 18.0), ('mended', 27.0)]
    """
    return (
        Phase("healthy", duration_s * 0.25),
        Phase(f"{BROKEN} refuses and slows down", duration_s * 0.3, (BROKEN,)),
        Phase("mended", duration_s * 0.45),
    )


def planned(plan: Sequence[Phase]) -> list[str]:
    """The features that misbehave, once for each time that they do."""
    return [feature for phase in plan for feature in phase.faulty]


def episodes(incidents: Sequence[PagerDutyIncident]) -> dict[str, list[PagerDutyIncident]]:
    """A receiver's incidents by episode: the key without its urgency."""
    found: dict[str, list[PagerDutyIncident]] = {}
    for incident in incidents:
        found.setdefault(incident.dedup_key.rpartition("/")[0], []).append(incident)
    return found


def feature_of(incident: PagerDutyIncident) -> str:
    """service/feature of an incident, as its payload says."""
    return f"{incident.payload.get('group')}/{incident.payload.get('component')}"


def misses(incidents: Sequence[PagerDutyIncident], plan: Sequence[Phase]) -> list[str]:
    """What is not as it must be: one episode, opened and resolved, for each planned fault, and no other.
    Empty when all is well.

    >>> misses([], phases(60))
    ['support-bot/answer: 0 episodes at the receiver, 1 planned']
    """
    expected, told = planned(plan), [(feature_of(parts[0]), parts) for parts in episodes(incidents).values()]
    found = []
    for feature in sorted({*expected, *(name for name, _ in told)}):
        of_feature = [parts for name, parts in told if name == feature]
        if len(of_feature) != expected.count(feature):
            found.append(
                f"{feature}: {len(of_feature)} episodes at the receiver, {expected.count(feature)} planned"
            )
        for parts in of_feature:
            keys = [one.dedup_key for one in parts]
            found += [
                f"{key}: opened {keys.count(key)} times" for key in sorted(set(keys)) if keys.count(key) > 1
            ]
            found += [f"{one.dedup_key}: never resolved" for one in parts if one.resolved_at is None]
    return found
