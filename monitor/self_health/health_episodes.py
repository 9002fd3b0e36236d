"""From findings about softfail itself to the records of their episodes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from monitor.incidents.episode import Episode, begun
from monitor.incidents.records import EpisodeRecord, ShownIncident
from monitor.protocol.messages import Outputs
from monitor.protocol.service import SERVICE
from monitor.protocol.severity import severity_rank
from monitor.rules.evidence import HealthEvidence
from monitor.self_health.finding_state import Holding
from monitor.self_health.partition_health import worse
from monitor.windows.segment_keys import FeatureKey, segment_labels
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

NEWS_US = 60_000_000  # between two records that only say that other partitions are concerned
REFRESH_US = 600_000_000  # between two that only bring figures up to date


class Telling:
    """The open episodes: at most one of each subject (``monitor``, or a channel that fails)."""

    def __init__(self, config: Config) -> None:
        self.episodes: dict[str, Episode] = {}
        self._prefix, self._cap, self._window_s = (
            config.kafka.prefix,
            config.health.severity,
            config.health.window,
        )
        self._may_page = bool(config.page_environments)
        self._environment = next(iter(config.page_environments), "production")
        self._told_us: dict[str, int] = {}

    def tell(
        self, subject: str, held: Mapping[str, Holding], partitions: int, now_us: int, out: Outputs
    ) -> list[str] | None:
        """Write a record if there is news, and give the names of the findings that it tells of as they are
        now; None if there is no news.

        Args:
            subject: what the findings are about.
            held: what is found now, by name.
            partitions: how many there are.
            now_us: wall clock, microseconds since 1970.
            out: takes the record.
        """
        feature, episode = FeatureKey(SERVICE, subject, self._environment), self.episodes.get(subject)
        before = {incident.rule: incident for incident in episode.shown_firing()} if episode else {}
        held = held if self._cap else {}
        now = {name: self._incident(feature, name, one, partitions) for name, one in held.items()}
        changes = [
            (incident, why)
            for name, incident in now.items()
            if (why := self._news(subject, incident, before.get(name), held[name], now_us))
        ]
        changes = [
            (_continued(before[incident.rule], incident) if incident.rule in before else incident, why)
            for incident, why in changes
        ]
        changes += [
            (msgspec.structs.replace(incident, state="resolved"), "well again")
            for name, incident in before.items()
            if name not in held
        ]
        if not changes:
            return None
        state = "updated"
        if episode is None:
            since_us = min(one.since_us() for one in held.values())
            episode, state = begun(feature, f"{changes[0][0].incident_id}/{now_us}", since_us), "opened"
            self.episodes[subject] = episode
        for incident, _ in changes:
            rose = episode.take(incident, may_page=self._may_page)
            state = "escalated" if rose and state != "opened" else state
        if episode.over:
            state = "resolved"
            del self.episodes[subject]
        told = [name for name in held if any(incident.rule == name for incident, _ in changes)]
        for name in told:
            held[name].told = held[name].where()
        self._told_us[subject] = now_us
        reason = "; ".join(f"{incident.rule}: {why}" for incident, why in changes)
        record = episode.record(state, reason, now_us, now_us, self._prefix)
        out.write("alerts", f"{SERVICE}/{subject}".encode(), record, 0)
        return told

    def shown(self, now_us: int) -> list[EpisodeRecord]:
        """Return the open episodes as records."""
        return [
            episode.record("opened", "", now_us, now_us, self._prefix) for episode in self.episodes.values()
        ]

    def plain(self, subject: str) -> list[Any] | None:
        """An open episode as plain values; None if there is none."""
        episode = self.episodes.get(subject)
        return [episode.feature.environment, episode.state_values()] if episode else None

    def restore(self, subject: str, plain: list[Any]) -> None:
        """Back from ``plain``."""
        environment, values = plain
        self.episodes[subject] = Episode.from_state_values(FeatureKey(SERVICE, subject, environment), values)

    def _news(
        self,
        subject: str,
        incident: ShownIncident,
        before: ShownIncident | None,
        holding: Holding,
        now_us: int,
    ) -> str:
        """Why this is to be told; empty if it is not."""
        if before is None:
            return "found"
        if worse(incident.severity, before.severity) != before.severity:
            return "is worse"
        quiet_us = now_us - self._told_us.get(subject, 0)
        if holding.where() != holding.told and quiet_us >= NEWS_US:
            return "partitions changed"
        return "figures of now" if incident.text != before.text and quiet_us >= REFRESH_US else ""

    def _incident(self, feature: FeatureKey, name: str, holding: Holding, partitions: int) -> ShownIncident:
        worst, since_us = holding.worst(), holding.since_us()
        identity = blake2b(
            repr((self._prefix, tuple(feature), name, since_us)).encode(), digest_size=8
        ).hexdigest()
        return ShownIncident(
            incident_id=identity,
            rule=name,
            severity=min(holding.severity(), self._cap or "info", key=severity_rank),
            state="firing",
            since=rfc3339(since_us),
            evidence=HealthEvidence(
                metric=name, value=worst.value, low=None, high=None, n=0.0, window_s=self._window_s
            ),
            text=worst.text + holding.where(partitions),
            **segment_labels(feature, None),
        )


def _continued(before: ShownIncident, now: ShownIncident) -> ShownIncident:
    """Return the same incident as it is now; its severity does not sink."""
    return msgspec.structs.replace(
        now,
        incident_id=before.incident_id,
        since=before.since,
        severity=worse(now.severity, before.severity),
    )
