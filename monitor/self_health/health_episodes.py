"""Episodes of self-health: the state machine of ``monitor.incidents`` over findings about softfail itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from monitor.incidents.episode import Episode, begun
from monitor.incidents.incident import Incident
from monitor.incidents.records import EpisodeRecord, ShownIncident
from monitor.protocol.messages import Outputs
from monitor.protocol.service import SERVICE
from monitor.protocol.severity import severity_rank
from monitor.rules.evidence import no_evidence
from monitor.rules.reading import Reading
from monitor.self_health.finding_state import FindingState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.times import microseconds

PARTITIONS_US = 60_000_000  # least time between two records that only name other partitions
REFRESH_US = 600_000_000  # least time between two records that only bring figures up to date


class _Timing(NamedTuple):
    """Durations of a finding before it fires, and of its absence before it resolves, seconds."""

    for_: float = 0.0
    keep_firing_for: float = 0.0


_AT_ONCE = _Timing()  # partitions decide with hysteresis of their own when they report


class HealthEpisodes:
    """The open episodes: at most one of each subject, which is ``monitor`` or a channel that fails."""

    def __init__(self, config: Config) -> None:
        self.open: dict[str, Episode] = {}
        self._incidents: dict[str, dict[str, Incident]] = {}  # subject -> finding -> firing incident
        self._prefix, self._window_s = config.kafka.prefix, config.health.window
        self._most_severe = config.health.severity
        self._may_page = bool(config.page_environments)
        self._environment = next(iter(config.page_environments), "production")
        self._written_us: dict[str, int] = {}

    def update(
        self, subject: str, findings: Mapping[str, FindingState], partitions: int, now_us: int, out: Outputs
    ) -> list[str] | None:
        """Step the incidents of a subject and write a record of its episode if something changed.

        Args:
            subject: what the findings are about.
            findings: what is reported now, by name.
            partitions: how many there are.
            now_us: wall clock, microseconds since 1970.
            out: takes the record.

        Returns: the findings that the record shows as they are now; None if there is no record.
        """
        if self._most_severe is None:
            findings = {}
        feature = FeatureKey(SERVICE, subject, self._environment)
        incidents = self._incidents.setdefault(subject, {})
        changes: list[tuple[ShownIncident, str]] = []
        for name, finding in findings.items():
            if name not in incidents:
                incidents[name] = self._opened(feature, name, finding, now_us)
            incident, text = incidents[name], finding.text() + finding.partitions_text(partitions)
            if reason := self._step(subject, incident, finding, text, now_us):
                changes.append((incident.shown(feature, None, "firing", text=text), reason))
        names = [shown.rule for shown, _ in changes]
        changes += self._resolve(subject, findings, now_us)
        if not changes:
            return None
        self._write(feature, findings, changes, now_us, out)
        for name in names:
            findings[name].sent_partitions = findings[name].partitions_text()
        return names

    def _opened(self, feature: FeatureKey, name: str, finding: FindingState, now_us: int) -> Incident:
        since_us = finding.since_us()
        identity = repr((self._prefix, tuple(feature), name, since_us)).encode()
        incident_id = blake2b(identity, digest_size=8).hexdigest()
        evidence = finding.reading(name, self._window_s).evidence
        return Incident(incident_id, name, "", self._severity(finding), since_us, evidence, edge_us=now_us)

    def _severity(self, finding: FindingState) -> str:
        """Return the severity of a finding, at most the one that is configured."""
        return min(finding.severity(), self._most_severe or "info", key=severity_rank)

    def _step(self, subject: str, incident: Incident, finding: FindingState, text: str, now_us: int) -> str:
        """Step an incident that is reported; return why its episode is written, empty if it is not."""
        if incident.step(_AT_ONCE, finding.reading(incident.rule, self._window_s), now_us) is not None:
            return "found"
        if incident.raise_severity(self._severity(finding)):
            return "is worse"
        quiet_us = now_us - self._written_us.get(subject, 0)
        if finding.partitions_text() != finding.sent_partitions and quiet_us >= PARTITIONS_US:
            return "partitions changed"
        written = self.open[subject].incidents[incident.incident_id]
        return "figures of now" if text != written.text and quiet_us >= REFRESH_US else ""

    def _resolve(
        self, subject: str, findings: Mapping[str, FindingState], now_us: int
    ) -> list[tuple[ShownIncident, str]]:
        """Resolve the incidents that are no longer reported; return them as last shown, and why they ended."""
        incidents, changes = self._incidents[subject], []
        for name in [name for name in incidents if name not in findings]:
            gone = Reading("good", no_evidence(name, self._window_s))
            change = incidents[name].step(_AT_ONCE, gone, now_us)
            assert change is not None
            shown = self.open[subject].incidents[incidents.pop(name).incident_id]
            changes.append((msgspec.structs.replace(shown, state=change.state), change.reason))
        return changes

    def _write(
        self,
        feature: FeatureKey,
        findings: Mapping[str, FindingState],
        changes: list[tuple[ShownIncident, str]],
        now_us: int,
        out: Outputs,
    ) -> None:
        subject, state = feature.feature, "updated"
        episode = self.open.get(subject)
        if episode is None:
            since_us = min(finding.since_us() for finding in findings.values())
            episode, state = begun(feature, f"{changes[0][0].incident_id}/{now_us}", since_us), "opened"
            self.open[subject] = episode
        for shown, _ in changes:
            rose = episode.take(shown, may_page=self._may_page)
            state = "escalated" if rose and state != "opened" else state
        if episode.over:
            state = "resolved"
            del self.open[subject]
        self._written_us[subject] = now_us
        reason = "; ".join(f"{shown.rule}: {why}" for shown, why in changes)
        record = episode.record(state, reason, now_us, now_us, self._prefix)
        out.write("alerts", f"{SERVICE}/{subject}".encode(), record, 0)

    def records(self, now_us: int) -> list[EpisodeRecord]:
        """Return the open episodes as records."""
        return [episode.record("opened", "", now_us, now_us, self._prefix) for episode in self.open.values()]

    def state_values(self, subject: str) -> list[Any] | None:
        """Return the open episode of a subject as plain values for the state topic; None if there is none."""
        episode = self.open.get(subject)
        return [episode.feature.environment, episode.state_values()] if episode else None

    def restore(self, subject: str, values: list[Any]) -> None:
        """Restore an open episode from ``state_values``, and its incidents from those that it shows."""
        environment, episode_values = values
        feature = FeatureKey(SERVICE, subject, environment)
        episode = self.open[subject] = Episode.from_state_values(feature, episode_values)
        self._incidents[subject] = {shown.rule: _incident(shown) for shown in episode.shown_firing()}


def _incident(shown: ShownIncident) -> Incident:
    """Restore a firing incident from what its episode shows."""
    since_us = microseconds(datetime.fromisoformat(shown.since))
    return Incident(
        shown.incident_id, shown.rule, "", shown.severity, since_us, shown.evidence, state="firing"
    )
