"""Compare the episodes that two configurations report for the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from monitor.reports.episode_history import AlertHistory, EpisodeHistory, Feature
from monitor.wording.incident_text import clock
from schemas.times import rfc3339

Kind = Literal["only_here", "only_there", "changed", "same"]
_FOREVER = datetime.max


@dataclass(frozen=True)
class Difference:
    """Episodes of one feature that overlap in time.

    ``here`` are those of the configuration in use, ``there`` those of the other configuration.
    """

    feature: Feature
    here: tuple[EpisodeHistory, ...]
    there: tuple[EpisodeHistory, ...]

    @property
    def kind(self) -> Kind:
        """Return ``same`` if times, severity, urgency and rules are equal, else how the episodes differ."""
        if not self.there:
            return "only_here"
        if not self.here:
            return "only_there"
        return "changed" if self.changes() else "same"

    @property
    def since(self) -> datetime:
        """Start of the first episode."""
        return min(episode.since for episode in (*self.here, *self.there))

    def changes(self, format_time: Callable[[datetime], str] = clock) -> list[tuple[str, str, str]]:
        """List the properties that differ: name, value here, value there.

        Empty unless both configurations have episodes.
        """
        if not self.here or not self.there:
            return []
        here, there = _properties(self.here, format_time), _properties(self.there, format_time)
        return [(name, here[name], there[name]) for name in here if here[name] != there[name]]

    def record(self) -> dict[str, Any]:
        """Return the record for ``--format ndjson``."""
        service, feature, environment = self.feature
        return {
            "record": "difference",
            "kind": self.kind,
            "service": service,
            "feature": feature,
            "environment": environment,
            "here": [_episode_fields(episode) for episode in self.here],
            "there": [_episode_fields(episode) for episode in self.there],
            "changes": [
                {"what": name, "here": here, "there": there} for name, here, there in self.changes(rfc3339)
            ],
        }


def differences(here: AlertHistory, there: AlertHistory) -> list[Difference]:
    """Group the episodes of two configurations; each episode is in one group.

    Episodes of one feature and environment that overlap, directly or through others, form a group. The groups
    are sorted by time.
    """
    result: list[Difference] = []
    for feature in sorted(
        {episode.feature for history in (here, there) for episode in history.episodes.values()}
    ):
        both = [
            (episode, side)
            for side, history in enumerate((here, there))
            for episode in history.episodes.values()
            if episode.feature == feature
        ]
        group_end: datetime | None = None
        group: list[tuple[EpisodeHistory, int]] = []
        for episode, side in sorted(both, key=lambda pair: (pair[0].since, pair[1])):
            if group and group_end is not None and episode.since > group_end:
                result.append(_difference(feature, group))
                group, group_end = [], None
            group.append((episode, side))
            until = (episode.until or _FOREVER).replace(tzinfo=episode.since.tzinfo)
            group_end = until if group_end is None else max(group_end, until)
        result.append(_difference(feature, group))
    return sorted(result, key=lambda difference: (difference.since, difference.feature))


def _difference(feature: Feature, group: Sequence[tuple[EpisodeHistory, int]]) -> Difference:
    return Difference(
        feature,
        tuple(episode for episode, side in group if side == 0),
        tuple(episode for episode, side in group if side == 1),
    )


def _properties(
    episodes: tuple[EpisodeHistory, ...], format_time: Callable[[datetime], str]
) -> dict[str, str]:
    """Return the properties of a group that a person on call would notice."""

    return {
        "episodes": str(len(episodes)),
        "since": ", ".join(format_time(episode.since) for episode in episodes),
        "opened": ", ".join(format_time(episode.first.time) for episode in episodes),
        "paged": ", ".join(format_time(episode.paged) if episode.paged else "never" for episode in episodes),
        "until": ", ".join(
            format_time(episode.until) if episode.until else "still open" for episode in episodes
        ),
        "severity": ", ".join(episode.latest.severity for episode in episodes),
        "urgency": ", ".join(episode.latest.urgency for episode in episodes),
        "rules": ", ".join(sorted({rule for episode in episodes for rule in episode.rules})),
    }


def _episode_fields(episode: EpisodeHistory) -> dict[str, Any]:
    return {
        "episode_id": episode.first.episode_id,
        "since": rfc3339(episode.since),
        "opened": rfc3339(episode.first.time),
        "paged": rfc3339(episode.paged) if episode.paged else None,
        "until": rfc3339(episode.until) if episode.until else None,
        "severity": episode.latest.severity,
        "urgency": episode.latest.urgency,
        "rules": list(episode.rules),
    }
