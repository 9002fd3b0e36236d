"""What a configuration told of: episodes with what broke as it broke, and what each rule did. A fold over the
records of the alerts topic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from monitor.protocol.messages import Message
from schemas.records import Episode, EpisodeIncident, Transition

Feature = tuple[str, str, str]
"""Service, feature and environment."""


@dataclass
class Told:
    """One episode. ``paged``: when its urgency became high, None if it never did; ``until``: when it
    resolved, None while it is open.

    ``incidents`` are as they were when they fired: what a page said, and not the well figures of their end.
    """

    first: Episode
    latest: Episode
    paged: datetime | None = None
    until: datetime | None = None
    incidents: dict[str, EpisodeIncident] = field(default_factory=dict)

    @property
    def feature(self) -> Feature:
        """Where."""
        return self.first.service, self.first.feature, self.first.environment

    @property
    def since(self) -> datetime:
        """The first breaching edge."""
        return self.latest.started_at

    @property
    def is_page(self) -> bool:
        """Whether it woke somebody; else it is a ticket."""
        return self.paged is not None

    @property
    def escalated(self) -> bool:
        """Whether it was a ticket first and a page later."""
        return self.paged is not None and self.paged > self.first.time

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules that fired in it."""
        return tuple(sorted({incident.rule for incident in self.incidents.values()}))

    def as_fired(self) -> Episode:
        """The episode with its incidents as they fired."""
        return self.latest.model_copy(update={"incidents": list(self.incidents.values())})

    def take(self, episode: Episode) -> None:
        """Take in its next record."""
        self.latest = episode
        if episode.urgency == "high" and not episode.muted and self.paged is None:
            self.paged = episode.time
        self.until = episode.time if episode.state == "resolved" else None
        for incident in episode.incidents:
            if incident.incident_id not in self.incidents:
                self.incidents[incident.incident_id] = incident


class Firing(NamedTuple):
    """One incident from firing to resolved; ``until`` None while it fires."""

    rule: str
    feature: Feature
    since: datetime
    until: datetime | None


class _Head(msgspec.Struct):
    record: str


class Findings:
    """All that was told, in order."""

    def __init__(self) -> None:
        self.episodes: dict[str, Told] = {}
        self.firings: dict[str, Firing] = {}
        self.brief: dict[str, int] = {}
        """Rule -> how often it breached and did not last."""
        self._head = msgspec.json.Decoder(_Head)

    def take(self, messages: Iterable[Message]) -> None:
        """Take in records of the alerts topic."""
        for message in messages:
            kind = self._head.decode(message.value).record
            if kind == "episode":
                episode = Episode.model_validate_json(message.value)
                told = self.episodes.setdefault(episode.episode_id, Told(episode, episode))
                told.take(episode)
            elif kind == "transition":
                self._transition(Transition.model_validate_json(message.value))

    @property
    def pages(self) -> int:
        """Episodes that woke somebody."""
        return sum(told.is_page for told in self.episodes.values())

    @property
    def tickets(self) -> int:
        """Episodes that woke nobody."""
        return len(self.episodes) - self.pages

    def in_order(self) -> list[Told]:
        """The episodes by when they began."""
        return sorted(self.episodes.values(), key=lambda told: (told.since, told.feature))

    def _transition(self, one: Transition) -> None:
        known = self.firings.get(one.incident_id)
        if one.state == "firing":
            # told anew, it goes on
            self.firings.setdefault(
                one.incident_id, Firing(one.rule, (one.service, one.feature, one.environment), one.time, None)
            )
        elif one.state == "resolved" and known is not None:
            self.firings[one.incident_id] = known._replace(until=one.time)
        elif one.state == "resolved":
            self.brief[one.rule] = self.brief.get(one.rule, 0) + 1


class RuleCount(NamedTuple):
    """What one rule did. A feature and its segments that fire together are one firing: ``fired`` is how many,
    ``firing`` how long they lasted in all.
    """

    rule: str
    fired: int
    brief: int
    features: tuple[Feature, ...]
    pages: int
    tickets: int
    firing: timedelta


def by_rule(findings: Findings, rules: Iterable[str], end: datetime | None) -> list[RuleCount]:
    """What each of these rules did, and any other that fired. ``end``: of the input, for what still fires."""
    names = list(
        dict.fromkeys([*rules, *(firing.rule for firing in findings.firings.values()), *findings.brief])
    )
    counts = []
    for name in names:
        fired = [firing for firing in findings.firings.values() if firing.rule == name]
        among = [told for told in findings.episodes.values() if name in told.rules]
        pages = sum(told.is_page for told in among)
        at = tuple(sorted({one.feature for one in fired}))
        lasted = [
            length
            for where in at
            for length in _together([one for one in fired if one.feature == where], end)
        ]
        counts.append(
            RuleCount(
                name,
                len(lasted),
                findings.brief.get(name, 0),
                at,
                pages,
                len(among) - pages,
                sum(lasted, timedelta()),
            )
        )
    return counts


def _together(firings: list[Firing], end: datetime | None) -> list[timedelta]:
    """How long each run of overlapping firings lasted."""
    runs: list[tuple[datetime, datetime]] = []
    for firing in sorted(firings, key=lambda one: one.since):
        until = firing.until or max(end or firing.since, firing.since)
        if runs and firing.since <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], until)
        else:
            runs.append((firing.since, until))
    return [until - since for since, until in runs]
