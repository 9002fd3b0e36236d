"""The overlapping incidents of one feature in one environment: the only thing that is delivered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.incidents.origin import NOWHERE, Origin
from monitor.protocol.severity import PAGING, severity_rank
from monitor.windows.segment_keys import FeatureKey
from schemas.times import rfc3339

# incidents that an episode shows; two hundred segments times a few rules would fit into no record and help
# nobody
SHOWN = 50


@dataclass(slots=True)
class Episode:
    """An open episode. ``severity`` and ``urgency`` rise and never sink.

    ``firing``: ids of all incidents that fire. ``incidents``: those that are shown, by id, as the record has
    them: of the whole feature before those of segments, firing before resolved.
    """

    feature: FeatureKey
    episode_id: str
    started_us: int
    severity: str = "info"
    urgency: str = "low"
    muted: str = ""
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    firing: set[str] = field(default_factory=set)

    def take(self, incident: dict[str, Any], *, may_page: bool) -> bool:
        """Take in an incident as it now is; True if the urgency rose."""
        name = incident["incident_id"]
        if incident["state"] == "firing":
            self.firing.add(name)
        else:
            self.firing.discard(name)
        if name in self.incidents or len(self.incidents) < SHOWN or self._make_room(incident):
            self.incidents[name] = incident
        if severity_rank(incident["severity"]) > severity_rank(self.severity):
            self.severity = incident["severity"]
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

    def let_go(self, incident_id: str) -> None:
        """An incident that nobody knows any more fires no longer."""
        self.firing.discard(incident_id)
        if (shown := self.incidents.get(incident_id)) is not None:
            self.incidents[incident_id] = shown | {"state": "resolved"}

    def part(self, incident_id: str) -> None:
        """An incident goes on in another episode."""
        self.firing.discard(incident_id)
        self.incidents.pop(incident_id, None)

    def _make_room(self, incident: dict[str, Any]) -> bool:
        """Drop what says less than this incident, if anything does."""
        resolved = next(
            (name for name, known in self.incidents.items() if known["state"] == "resolved"), None
        )
        of_segment = next(
            (name for name, known in reversed(self.incidents.items()) if known["level"] == "segment"), None
        )
        less = (
            resolved
            if incident["state"] == "firing" and resolved is not None
            else of_segment
            if incident["level"] == "feature"
            else None
        )
        if less is not None:
            del self.incidents[less]
        return less is not None

    def record(
        self,
        state: str,
        reason: str,
        edge_us: int,
        decided_us: int,
        prefix: str,
        examples: list[dict[str, Any]],
        causes: Sequence[str] = (),
        origin: Origin = NOWHERE,
    ) -> dict[str, Any]:
        """The episode as the alerts topic has it. ``causes``: what ``monitor.diagnosis.likely_causes`` names.
        ``origin``: what ``monitor.diagnosis.attribution`` does.
        """
        return {
            "record": "episode",
            "episode_id": self.episode_id,
            "dedup_key": f"{prefix}/{self.episode_id}",
            "state": state,
            "reason": reason,
            **self.feature._asdict(),
            "severity": self.severity,
            "urgency": self.urgency,
            "muted": self.muted,
            "started_at": rfc3339(self.started_us),
            "time": rfc3339(edge_us),
            "decided_at": rfc3339(decided_us),
            "firing": len(self.firing),
            "incidents": list(self.incidents.values()),
            "examples": examples,
            **({"causes": list(causes)} if causes else {}),
            **{name: one for name, one in origin._asdict().items() if one},
        }

    def state_values(self) -> list[Any]:
        """Plain values for the state topic."""
        return [
            self.episode_id,
            self.started_us,
            self.severity,
            self.urgency,
            self.muted,
            self.incidents,
            sorted(self.firing),
        ]

    @classmethod
    def from_state_values(cls, feature: FeatureKey, values: list[Any]) -> Episode:
        """Back from ``state_values``."""
        episode_id, started_us, severity, urgency, muted, incidents, firing = values
        return cls(feature, episode_id, started_us, severity, urgency, muted, incidents, set(firing))


def begun(feature: FeatureKey, incident_id: str, since_us: int) -> Episode:
    """A new episode, opened by its first firing incident."""
    name = hashlib.blake2b(repr((tuple(feature), incident_id)).encode(), digest_size=8).hexdigest()
    return Episode(feature, name, since_us)
