"""Collect episodes and firing incidents from the records of the alerts topic, and count them by rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from monitor.incidents.records import EpisodeRecord, TransitionRecord
from monitor.protocol.messages import OutputRecord
from schemas.records import Episode, EpisodeIncident

Feature = tuple[str, str, str]
"""Service, feature and environment."""


@dataclass
class EpisodeHistory:
    """One episode, from its first record to its latest.

    ``paged`` is the time at which its urgency became high; None if it never did. ``until`` is the time at
    which it resolved; None while it is open. ``incidents`` have the values of when they fired, which the page
    showed, not those of when they resolved.
    """

    first: Episode
    latest: Episode
    paged: datetime | None = None
    until: datetime | None = None
    incidents: dict[str, EpisodeIncident] = field(default_factory=dict)

    @property
    def feature(self) -> Feature:
        """Service, feature and environment."""
        return self.first.service, self.first.feature, self.first.environment

    @property
    def since(self) -> datetime:
        """The first pane edge at which a rule breached."""
        return self.latest.started_at

    @property
    def is_page(self) -> bool:
        """Whether it paged; otherwise it is a ticket."""
        return self.paged is not None

    @property
    def escalated(self) -> bool:
        """Whether a ticket became a page."""
        return self.paged is not None and self.paged > self.first.time

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules that fired during the episode, sorted."""
        return tuple(sorted({incident.rule for incident in self.incidents.values()}))

    def as_fired(self) -> Episode:
        """Return the episode; its incidents have the values of when they fired."""
        return self.latest.model_copy(update={"incidents": list(self.incidents.values())})

    def take(self, episode: Episode) -> None:
        """Add the next record of the episode."""
        self.latest = episode
        if episode.urgency == "high" and not episode.muted and self.paged is None:
            self.paged = episode.time
        self.until = episode.time if episode.state == "resolved" else None
        for incident in episode.incidents:
            if incident.incident_id not in self.incidents:
                self.incidents[incident.incident_id] = incident


class Firing(NamedTuple):
    """The time during which one incident fired; ``until`` is None while it fires."""

    rule: str
    feature: Feature
    since: datetime
    until: datetime | None


class AlertHistory:
    """All episodes and firing incidents of one configuration, in the order of the records."""

    def __init__(self) -> None:
        self.episodes: dict[str, EpisodeHistory] = {}
        self.firings: dict[str, Firing] = {}
        self.brief_breaches: dict[str, int] = {}
        """Rule name -> number of breaches that ended before the incident fired."""

    def take(self, records: Iterable[OutputRecord]) -> None:
        """Add records of the alerts topic."""
        for record in records:
            if isinstance(record, EpisodeRecord):
                # not strict: times are text
                self.take_episode(Episode.model_validate(msgspec.to_builtins(record), strict=False))
            elif isinstance(record, TransitionRecord):
                self._transition(record)

    def take_episode(self, episode: Episode) -> None:
        """Add a record of an episode."""
        self.episodes.setdefault(episode.episode_id, EpisodeHistory(episode, episode)).take(episode)

    @property
    def pages(self) -> int:
        """Number of episodes that paged."""
        return sum(episode.is_page for episode in self.episodes.values())

    @property
    def tickets(self) -> int:
        """Number of episodes that did not page."""
        return len(self.episodes) - self.pages

    def in_order(self) -> list[EpisodeHistory]:
        """Return the episodes sorted by start."""
        return sorted(self.episodes.values(), key=lambda episode: (episode.since, episode.feature))

    def _transition(self, transition: TransitionRecord) -> None:
        time = datetime.fromisoformat(transition.time)
        previous = self.firings.get(transition.incident_id)
        if transition.state == "firing":
            # a repeated record of the same incident keeps the first start
            self.firings.setdefault(
                transition.incident_id,
                Firing(
                    transition.rule,
                    (transition.service, transition.feature, transition.environment),
                    time,
                    None,
                ),
            )
        elif transition.state == "resolved" and previous is not None:
            self.firings[transition.incident_id] = previous._replace(until=time)
        elif transition.state == "resolved":
            self.brief_breaches[transition.rule] = self.brief_breaches.get(transition.rule, 0) + 1


class RuleCount(NamedTuple):
    """Number and duration of the firings of one rule.

    A feature and its segments that fire at the same time count once. ``fired`` is the number of these
    periods, ``firing`` their total duration, ``brief`` the number of breaches that ended before the incident
    fired.
    """

    rule: str
    fired: int
    brief: int
    features: tuple[Feature, ...]
    pages: int
    tickets: int
    firing: timedelta


def by_rule(alerts: AlertHistory, rules: Iterable[str], end: datetime | None) -> list[RuleCount]:
    """Count the firings of each given rule, and of every other rule that fired.

    Args:
        alerts: the episodes and incidents of one configuration.
        rules: names of rules; each gets a count, also if it never fired.
        end: end of the input, at which incidents that still fire are cut; None if the input is empty.
    """
    names = list(
        dict.fromkeys([*rules, *(firing.rule for firing in alerts.firings.values()), *alerts.brief_breaches])
    )
    counts = []
    for name in names:
        firings = [firing for firing in alerts.firings.values() if firing.rule == name]
        episodes = [episode for episode in alerts.episodes.values() if name in episode.rules]
        pages = sum(episode.is_page for episode in episodes)
        features = tuple(sorted({firing.feature for firing in firings}))
        durations = [
            duration
            for feature in features
            for duration in _merged_durations(
                [firing for firing in firings if firing.feature == feature], end
            )
        ]
        counts.append(
            RuleCount(
                name,
                len(durations),
                alerts.brief_breaches.get(name, 0),
                features,
                pages,
                len(episodes) - pages,
                sum(durations, timedelta()),
            )
        )
    return counts


def _merged_durations(firings: list[Firing], end: datetime | None) -> list[timedelta]:
    """Return the duration of each run of overlapping firings."""
    runs: list[tuple[datetime, datetime]] = []
    for firing in sorted(firings, key=lambda firing: firing.since):
        until = firing.until or max(end or firing.since, firing.since)
        if runs and firing.since <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], until)
        else:
            runs.append((firing.since, until))
    return [until - since for since, until in runs]
