"""The overlapping incidents of one feature in one environment: the only thing that is delivered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from monitor.instants import rfc3339
from monitor.segments import FeatureKey

SEVERITIES = ("info", "warning", "error", "critical")
PAGING = ("error", "critical")
RESOLVED_KEPT = 20  # resolved incidents that an open episode still shows


@dataclass(slots=True)
class Episode:
    """An open episode. ``severity`` and ``urgency`` rise and never sink; ``incidents`` are as the record shows them, by id."""

    feature: FeatureKey
    episode_id: str
    started_us: int
    severity: str = "info"
    urgency: str = "low"
    muted: str = ""
    announced: bool = False
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, incident: dict[str, Any], *, may_page: bool) -> bool:
        """Take in an incident as it now is; True if the urgency rose."""
        self.incidents[incident["incident_id"]] = incident
        if SEVERITIES.index(incident["severity"]) > SEVERITIES.index(self.severity):
            self.severity = incident["severity"]
        over = [name for name, known in self.incidents.items() if known["state"] == "resolved"]
        for name in over[: max(0, len(over) - RESOLVED_KEPT)]:
            del self.incidents[name]
        if may_page and self.severity in PAGING and self.urgency == "low":
            self.urgency = "high"
            return True
        return False

    @property
    def over(self) -> bool:
        """Whether none of its incidents fires any more."""
        return all(incident["state"] == "resolved" for incident in self.incidents.values())

    def record(self, state: str, reason: str, edge_us: int, decided_us: int, prefix: str, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The episode as the alerts topic has it."""
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
            "incidents": list(self.incidents.values()),
            "examples": examples,
        }

    def state_values(self) -> list[Any]:
        """Plain values for the state topic."""
        return [self.episode_id, self.started_us, self.severity, self.urgency, self.muted, self.announced, self.incidents]

    @classmethod
    def from_state_values(cls, feature: FeatureKey, values: list[Any]) -> Episode:
        """Back from ``state_values``."""
        return cls(feature, *values)


def begun(feature: FeatureKey, incident_id: str, since_us: int) -> Episode:
    """A new episode, opened by its first firing incident."""
    name = hashlib.blake2b(repr((tuple(feature), incident_id)).encode(), digest_size=8).hexdigest()
    return Episode(feature, name, since_us)
