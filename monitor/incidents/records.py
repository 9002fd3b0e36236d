"""Records of incidents and episodes, as softfail writes them to the alerts topic.

``schemas.records`` has the same for readers. Fields stand in the order in which they are written. A struct
writes the fields of its base class first, so the labels, which come later, are repeated in each class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from monitor.protocol.examples import Example
from monitor.protocol.messages import OutputRecord
from monitor.rules.evidence import Evidence, evidence_from
from monitor.rules.present_figure import Figure
from monitor.windows.segment_keys import Level


class TransitionRecord(OutputRecord, frozen=True, kw_only=True, tag="transition"):
    """A change of an incident's state. ``time``: the pane edge; ``decided_at``: wall clock; RFC 3339."""

    incident_id: str
    episode_id: str | None
    rule: str
    severity: str
    state: Literal["pending", "firing", "resolved"]
    reason: str
    time: str
    decided_at: str
    level: Level
    service: str
    feature: str
    environment: str
    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]
    evidence: Evidence


class ShownIncident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An incident as its episode shows it. ``since``: the first breaching edge.

    ``returned``: from when on it is wrong again, after it was normal for long enough; empty if it never was.
    ``text``: its finding in
    words, only of findings about softfail itself. ``kind``: what failed (``monitor.windows.failure_kind``).
    ``decided``, ``worst``, ``present``: its metric when it fired, at its worst, and now; None where the metric
    has no value. ``also_present``: its further findings now. ``changes``: how often a
    present figure changed by a factor of two.
    """

    incident_id: str
    rule: str
    severity: str
    state: str
    since: str
    level: Level
    service: str
    feature: str
    environment: str
    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]
    evidence: Evidence
    text: str = ""
    returned: str = ""
    kind: str = ""
    decided: Figure | None = None
    worst: Figure | None = None
    present: Figure | None = None
    also_present: list[Figure] = []
    changes: int = 0

    @property
    def is_firing(self) -> bool:
        """Whether the incident fires."""
        return self.state == "firing"

    @property
    def wrong_since(self) -> str:
        """From when on it is wrong without a break, RFC 3339; as the detector of a baseline places it."""
        return max(self.returned, getattr(self.evidence, "began", "") or self.since)

    @property
    def of_feature(self) -> bool:
        """Whether the incident is of the feature as a whole, not of one segment."""
        return self.level == "feature"

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> ShownIncident:
        """Read an incident back from state or from a record of the alerts topic.

        Raises:
            ValueError: its evidence cannot be read.
            TypeError: a field is missing.
        """
        fields = {name: values[name] for name in cls.__struct_fields__ if name in values}
        for name in ("decided", "worst", "present"):
            if fields.get(name) is not None:
                fields[name] = msgspec.convert(fields[name], Figure)
        fields["also_present"] = msgspec.convert(fields.get("also_present", []), list[Figure])
        return cls(**{**fields, "evidence": evidence_from(values["evidence"])})


class EpisodeRecord(OutputRecord, frozen=True, kw_only=True, omit_defaults=True, tag="episode"):
    """An episode as of one edge. ``started_at``: the first breaching edge."""

    episode_id: str
    dedup_key: str
    state: str
    reason: str
    service: str
    feature: str
    environment: str
    severity: str
    urgency: str
    muted: str
    started_at: str
    time: str
    decided_at: str
    firing: int
    incidents: list[ShownIncident]
    examples: list[Example]
    causes: list[str] = []
    provider: str = ""
    model: str = ""
