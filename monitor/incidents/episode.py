"""An episode: the overlapping incidents of one feature in one environment. Only episodes are delivered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor.incidents.origin import NO_ORIGIN, Origin
from monitor.incidents.records import EpisodeRecord, ShownIncident
from monitor.protocol.examples import Example
from monitor.protocol.severity import PAGING, severity_rank
from monitor.windows.segment_keys import FeatureKey
from schemas.times import rfc3339

# incidents that an episode shows: two hundred segments times a few rules do not fit into a record
SHOWN = 50


@dataclass(slots=True)
class Episode:
    """An open episode. ``severity`` and ``urgency`` rise and never sink.

    ``firing``: ids of all incidents that fire. ``incidents``: id -> incident, those that are shown: of the
    whole feature before those of segments, firing before resolved.
    """

    feature: FeatureKey
    episode_id: str
    started_us: int
    severity: str = "info"
    urgency: str = "low"
    muted: str = ""
    incidents: dict[str, ShownIncident] = field(default_factory=dict)
    firing: set[str] = field(default_factory=set)

    def take(self, incident: ShownIncident, *, may_page: bool) -> bool:
        """Add or replace an incident; return True if the urgency rose."""
        incident_id = incident.incident_id
        if incident.is_firing:
            self.firing.add(incident_id)
        else:
            self.firing.discard(incident_id)
        if incident_id in self.incidents or len(self.incidents) < SHOWN or self._make_space(incident):
            self.incidents[incident_id] = incident
        if severity_rank(incident.severity) > severity_rank(self.severity):
            self.severity = incident.severity
        if may_page and self.severity in PAGING and self.urgency == "low":
            self.urgency = "high"
            return True
        return False

    @property
    def over(self) -> bool:
        """Whether none of its incidents fires any more."""
        return not self.firing

    def knows(self, incident_id: str) -> bool:
        """Whether this incident fires in this episode, shown or not."""
        return incident_id in self.firing

    def shown_firing(self) -> list[ShownIncident]:
        """Return the incidents that are shown and fire."""
        return [incident for incident in self.incidents.values() if incident.is_firing]

    def let_go(self, incident_id: str) -> None:
        """Resolve an incident of which no state is left."""
        self.firing.discard(incident_id)
        if (shown := self.incidents.get(incident_id)) is not None:
            self.incidents[incident_id] = msgspec.structs.replace(shown, state="resolved")

    def part(self, incident_id: str) -> None:
        """Remove an incident that goes on in another episode."""
        self.firing.discard(incident_id)
        self.incidents.pop(incident_id, None)

    def _make_space(self, incident: ShownIncident) -> bool:
        """Remove an incident that says less than this one; return whether there was any."""
        less = None
        if incident.is_firing:
            less = next((shown for shown in self.incidents.values() if not shown.is_firing), None)
        if less is None and incident.of_feature:
            less = next((shown for shown in reversed(self.incidents.values()) if not shown.of_feature), None)
        if less is not None:
            del self.incidents[less.incident_id]
        return less is not None

    def record(
        self,
        state: str,
        reason: str,
        edge_us: int,
        decided_us: int,
        prefix: str,
        examples: Sequence[Example] = (),
        causes: Sequence[str] = (),
        origin: Origin = NO_ORIGIN,
    ) -> EpisodeRecord:
        """Build the record of the alerts topic.

        Args:
            state: opened, updated, escalated or resolved.
            reason: why it is written.
            edge_us: the pane edge, microseconds since 1970.
            decided_us: the wall clock.
            prefix: of the deployment (``kafka.prefix``).
            examples: at most three failing responses.
            causes: from ``monitor.diagnosis.likely_causes``.
            origin: from ``monitor.diagnosis.attribution``.
        """
        return EpisodeRecord(
            episode_id=self.episode_id,
            dedup_key=f"{prefix}/{self.episode_id}",
            state=state,
            reason=reason,
            service=self.feature.service,
            feature=self.feature.feature,
            environment=self.feature.environment,
            severity=self.severity,
            urgency=self.urgency,
            muted=self.muted,
            started_at=rfc3339(self.started_us),
            time=rfc3339(edge_us),
            decided_at=rfc3339(decided_us),
            firing=len(self.firing),
            incidents=list(self.incidents.values()),
            examples=list(examples),
            causes=list(causes),
            provider=origin.provider,
            model=origin.model,
        )

    def state_values(self) -> list[Any]:
        """Return plain values for the state topic."""
        return [
            self.episode_id,
            self.started_us,
            self.severity,
            self.urgency,
            self.muted,
            msgspec.to_builtins(self.incidents),
            sorted(self.firing),
        ]

    @classmethod
    def from_state_values(cls, feature: FeatureKey, values: Sequence[Any]) -> Episode:
        """Build an episode from the values of ``state_values``.

        Raises:
            ValueError: an incident cannot be read.
        """
        episode_id, started_us, severity, urgency, muted, incidents, firing = values
        shown = {name: ShownIncident.restored(incident) for name, incident in incidents.items()}
        return cls(feature, episode_id, started_us, severity, urgency, muted, shown, set(firing))


def begun(feature: FeatureKey, incident_id: str, since_us: int) -> Episode:
    """Open an episode with its first firing incident."""
    name = hashlib.blake2b(repr((tuple(feature), incident_id)).encode(), digest_size=8).hexdigest()
    return Episode(feature, name, since_us)
