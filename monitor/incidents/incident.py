"""One rule breached on one segment, from trigger to resolve: inactive, pending, firing, resolved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from monitor.protocol.messages import Message, to_json
from monitor.rules.reading import Reading
from monitor.windows.segment_keys import FeatureKey, SegmentKey, segment_labels, segment_to_json
from schemas.config.rules import Watched
from schemas.times import rfc3339

_ORDER = ("name", "on", "above", "below", "clear", "level", "match", "environments", "window", "for_", "keep_firing_for", "min_events", "confidence",
          "severity", "page_newborn")  # fmt: skip

AGAIN = "fails again after it had been well"  # why an incident is news that fires already


class Change(NamedTuple):
    """A change of an incident's state, and why."""

    state: Literal["pending", "firing", "resolved"]
    reason: str


@dataclass(slots=True)
class Incident:
    """An incident that is pending or firing; one that is neither is not kept.

    ``held_us`` and ``good_us`` are how long it has breached, or been well, without a break: readings that
    know too little add nothing and break nothing. ``held_us`` is -1 since it has been well for so long that
    it would be over, had it not come back soon after it ended before.
    """

    incident_id: str
    rule: str
    digest: str
    severity: str
    since_us: int
    state: Literal["pending", "firing"] = "pending"
    edge_us: int = 0
    last: str = ""
    held_us: int = 0
    good_us: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    def step(self, rule: Watched, reading: Reading, edge_us: int, keep_us: int = 0) -> Change | None:
        """Take a reading at the next edge; what changed, if anything. Resolved means: drop it.

        ``keep_us``: how long it must be well at least, if that is longer than the rule says.
        """
        passed_us, before = edge_us - self.edge_us, self.last
        self.edge_us = edge_us
        if reading.state == "unknown":
            return None
        self.last = reading.state
        if reading.state == "breach":
            again, self.held_us = self.held_us < 0, max(0, self.held_us) + passed_us
            self.evidence, self.good_us = reading.evidence, 0
            if self.state == "pending" and self.held_us >= rule.for_ * 1e6:
                self.state = "firing"
                return Change(
                    "firing", f"breached for {shown_s(self.held_us)}" if self.held_us else "breached"
                )
            return Change("firing", AGAIN) if again else None
        was_well, self.held_us = self.held_us < 0, 0
        if self.state == "pending":
            return Change("resolved", "did not last")
        self.good_us = self.good_us + (passed_us if before == "good" else 0) if reading.state == "good" else 0
        if reading.state == "good" and self.good_us >= max(rule.keep_firing_for * 1e6, keep_us):
            # what was learnt or compared says only that nothing is wrong
            if reading.evidence.get("value") is not None:
                self.evidence = reading.evidence
            return Change("resolved", f"well for {shown_s(self.good_us)}" if self.good_us else "well again")
        if was_well or (reading.state == "good" and self.good_us >= rule.keep_firing_for * 1e6):
            self.held_us = -1
        return None

    def state_values(self) -> list[Any]:
        """Plain values for the state topic."""
        return [
            self.incident_id, self.rule, self.digest, self.severity, self.since_us, self.state, self.edge_us, self.last,
            self.held_us, self.good_us, self.evidence,
        ]  # fmt: skip

    @classmethod
    def from_state_values(cls, values: list[Any]) -> Incident:
        """Back from ``state_values``."""
        return cls(*values)


def opened(
    rule: Watched, feature: FeatureKey, segment: SegmentKey | None, edge_us: int, severity: str
) -> Incident:
    """A new incident of a rule that breaches at this edge; its first ``step`` is at the same edge."""
    identity = repr((rule.name, tuple(feature), segment_to_json(segment), edge_us)).encode()
    name = hashlib.blake2b(identity, digest_size=8).hexdigest()
    return Incident(name, rule.name, digest_of(rule), severity, edge_us, edge_us=edge_us)


def transition(
    key: FeatureKey,
    at: SegmentKey | None,
    incident: Incident,
    change: Change,
    episode_id: str | None,
    edge_us: int,
    decided_us: int,
) -> Message:
    """A change of an incident's state as the alerts topic has it."""
    record = {
        "record": "transition",
        "incident_id": incident.incident_id,
        "episode_id": episode_id,
        "rule": incident.rule,
        "severity": incident.severity,
        "state": change.state,
        "reason": change.reason,
        "time": rfc3339(edge_us),
        "decided_at": rfc3339(decided_us),
        **segment_labels(key, at),
        "evidence": incident.evidence,
    }
    return Message(f"{key.service}/{key.feature}".encode(), to_json(record), 0)


def digest_of(rule: Watched) -> str:
    """What a rule says, as 16 hexadecimal digits: an edited rule is another rule.

    The keys stand in the order of the first release, or each upgrade would end every incident.
    """
    told = rule.model_dump(mode="json")
    ordered = {
        name: told[name]
        for name in (
            *(name for name in _ORDER if name in told),
            *(name for name in told if name not in _ORDER),
        )
    }
    return hashlib.blake2b(to_json(ordered), digest_size=8).hexdigest()


def shown_s(microseconds: int) -> str:
    """A duration as people write it.

    >>> shown_s(90_000_000), shown_s(120_000_000), shown_s(7_200_000_000)
    ('90 s', '2 min', '2 h')
    """
    seconds = round(microseconds / 1e6)
    if seconds and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds and seconds % 60 == 0 else f"{seconds} s"
