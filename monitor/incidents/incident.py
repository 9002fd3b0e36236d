"""An incident: one rule breached on one segment, from trigger to resolve (pending, firing, resolved)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from monitor.incidents.present_stretch import PresentStretch, Reader
from monitor.incidents.records import ShownIncident, TransitionRecord
from monitor.incidents.rule_digest import digest_of
from monitor.incidents.state_change import AGAIN, ALSO, CHANGED, UNSEEN, StateChange, Timing, duration_text
from monitor.protocol.severity import severity_rank
from monitor.rules.drift_evidence import statistic_of
from monitor.rules.evidence import Evidence, evidence_from
from monitor.rules.present_figure import Figure, Present, has_changed
from monitor.rules.reading import Reading
from monitor.windows.figure_comparison import falls, is_worse, is_wrong
from monitor.windows.segment_keys import FeatureKey, SegmentKey, segment_labels, segment_to_json
from schemas.config.rules import Watched
from schemas.times import rfc3339


@dataclass(slots=True)
class Incident:
    """An incident that is pending or firing. One that is neither is not kept.

    ``breached_us`` and ``good_us``: how long it has breached, or been good, without a break. Readings with
    too few events add nothing and break nothing. ``breached_us`` is -1 from the edge at which the incident
    would have resolved, had it not come back soon after it ended before. ``reported``: statistics that moved
    since it began. ``decided``, ``worst``: figures of its metric when it fired and at its worst; None where there is
    none. ``present``: figures of all findings now; ``written``: metric -> figure that a record stated last. ``changes``: how
    often one of them changed by a factor of two since. ``stretch``: when it failed again.
    """

    incident_id: str
    rule: str
    digest: str
    severity: str
    since_us: int
    evidence: Evidence
    state: Literal["pending", "firing"] = "pending"
    edge_us: int = 0
    last: str = ""
    breached_us: int = 0
    good_us: int = 0
    reported: tuple[str, ...] = ()
    decided: Figure | None = None
    worst: Figure | None = None
    present: tuple[Figure, ...] = ()
    written: dict[str, Figure] = field(default_factory=dict)
    changes: int = 0
    stretch: PresentStretch = field(default_factory=PresentStretch)

    def step(self, rule: Timing, reading: Reading, edge_us: int, keep_us: int = 0) -> StateChange | None:
        """Apply the reading of the next edge; return the change of state, if there is one. A resolved
        incident is to be dropped.

        ``keep_us``: the least time for which it must be good, if longer than the rule says.
        """
        elapsed_us, previous = edge_us - self.edge_us, self.last
        self.edge_us = edge_us
        if reading.state == "unknown":
            return None
        self.last = reading.state
        if reading.state == "breach":
            return self._breach(rule, reading, elapsed_us)
        would_be_over, self.breached_us = self.breached_us < 0, 0
        if self.state == "pending":
            return StateChange("resolved", "did not last")
        if reading.state != "good":
            self.good_us = 0
        elif previous == "good":
            self.good_us += elapsed_us
        is_good_long_enough = reading.state == "good" and self.good_us >= rule.keep_firing_for * 1e6
        if is_good_long_enough and self.good_us >= keep_us:
            # a reading of a baseline or of drift that found nothing has no value to show
            if reading.evidence.value is not None:
                self.evidence = reading.evidence
            reason = f"well for {duration_text(self.good_us)}" if self.good_us else "well again"
            return StateChange("resolved", reason)
        if would_be_over or is_good_long_enough:
            self.stretch.over_us = self.stretch.over_us if would_be_over else edge_us
            self.breached_us = -1
        return None

    def _breach(self, rule: Timing, reading: Reading, elapsed_us: int) -> StateChange | None:
        again, self.breached_us = self.breached_us < 0, max(0, self.breached_us) + elapsed_us
        self.evidence, self.good_us = reading.evidence, 0
        if self.state == "pending" and self.breached_us >= rule.for_ * 1e6:
            self.state = "firing"
            reason = f"breached for {duration_text(self.breached_us)}" if self.breached_us else "breached"
            return StateChange("firing", reason)
        if not again:
            return None
        self.stretch.note_reading(self.edge_us)
        return StateChange("firing", AGAIN)

    def report(self) -> str:
        """Note the statistics of the evidence; name those that moved for the first time, empty if none."""
        findings = self.evidence.findings or (self.evidence,)
        new = {statistic_of(finding.metric): finding.metric for finding in findings}
        new = {statistic: metric for statistic, metric in new.items() if statistic not in self.reported}
        self.reported = (*self.reported, *new)
        return ", ".join(new.values())

    def note_present(self, now: Mapping[str, Present]) -> str:
        """Note the present figures of a firing incident; return the metric that changed so much since the
        last record that another is to be written, empty if none did.

        ``now``: metric -> figure, of all findings.
        """
        self.present = tuple(present.figure for present in now.values())
        leading = now.get(self.evidence.metric)
        if leading is not None:
            figure, worst = leading.figure, self.worst
            if (
                worst is None
                or worst.metric != figure.metric
                or is_worse(figure.metric, figure.value, worst.value, falls=falls(self.evidence))
            ):
                self.worst = figure
        changed = next(
            (
                metric
                for metric, present in now.items()
                if metric in self.written and has_changed(self.written[metric], present)
            ),
            "",
        )
        self.written |= {
            metric: present.figure for metric, present in now.items() if changed or metric not in self.written
        }
        self.changes += bool(changed)
        return changed

    def note_return(self, read: Reader, read_new: Reader) -> bool:
        """Return whether it fails again by its present figure, after it was normal for two minutes at least.

        To be called after ``note_present``. ``read``, ``read_new``: as ``PresentStretch.note_figure`` says.
        """
        figure = self.present_of(self.evidence.metric)
        return figure is not None and self.stretch.note_figure(
            figure,
            lambda figure: is_wrong(figure, self.evidence, self.worst),
            read,
            read_new,
            self.edge_us,
            self.worst,
            falls=falls(self.evidence),
        )

    def present_of(self, metric: str) -> Figure | None:
        """Return the present figure of a metric; None if there is none."""
        return next((figure for figure in self.present if figure.metric == metric), None)

    def raise_severity(self, severity: str) -> bool:
        """Raise the severity to this one and return True; it never sinks."""
        if severity_rank(severity) <= severity_rank(self.severity):
            return False
        self.severity = severity
        return True

    def shown(
        self,
        feature: FeatureKey,
        segment: SegmentKey | None,
        state: str,
        returned: str = "",
        text: str = "",
        kind: str = "",
    ) -> ShownIncident:
        """Return the incident as its episode shows it.

        ``returned``: what its episode showed so far; a later time replaces it. ``text``: its finding in words,
        of self-health. ``kind``: what failed.
        """
        return ShownIncident(
            incident_id=self.incident_id,
            rule=self.rule,
            severity=self.severity,
            state=state,
            since=rfc3339(self.since_us),
            evidence=self.evidence,
            returned=rfc3339(self.stretch.returned_us) if self.stretch.returned_us else returned,
            text=text,
            kind=kind,
            decided=self.decided,
            worst=self.worst,
            present=self.present_of(self.evidence.metric) if state == "firing" else None,
            also_present=[figure for figure in self.present if figure.metric != self.evidence.metric]
            if state == "firing"
            else [],
            changes=self.changes,
            **segment_labels(feature, segment),
        )

    def state_values(self) -> list[Any]:
        """Return plain values for the state topic."""
        return [
            self.incident_id,
            self.rule,
            self.digest,
            self.severity,
            self.since_us,
            self.state,
            self.edge_us,
            self.last,
            self.breached_us,
            self.good_us,
            list(self.reported),
            msgspec.to_builtins(self.evidence),
            msgspec.to_builtins([self.decided, self.worst]),
            msgspec.to_builtins([list(self.present), list(self.written.values()), self.changes]),
            self.stretch.state_values(),
        ]

    @classmethod
    def from_state_values(cls, values: list[Any]) -> Incident:
        """Build an incident from the values of ``state_values``.

        Raises:
            ValueError: its evidence cannot be read.
        """
        incident_id, rule, digest, severity, since_us, *progress = values[:-5]
        reported, evidence, figures, present, stretch = values[-5:]
        incident = cls(incident_id, rule, digest, severity, since_us, evidence_from(evidence), *progress)
        incident.reported = tuple(map(statistic_of, reported))
        incident.decided, incident.worst = msgspec.convert(figures, tuple[Figure | None, Figure | None])
        now, written, incident.changes = msgspec.convert(
            present, tuple[tuple[Figure, ...], tuple[Figure, ...], int]
        )
        incident.stretch = PresentStretch.from_state_values(stretch)
        incident.present, incident.written = now, {figure.metric: figure for figure in written}
        return incident


class IncidentChange(NamedTuple):
    """A change of one incident. ``segment_key``: None for the feature as a whole."""

    segment_key: SegmentKey | None
    incident: Incident
    change: StateChange

    @property
    def state(self) -> str:
        """The new state."""
        return self.change.state

    @property
    def reason(self) -> str:
        """Why the state changed."""
        return self.change.reason

    @property
    def is_news(self) -> bool:
        """Whether the incident fires as before, and there is something new about it."""
        return self.reason in (AGAIN, UNSEEN) or self.reason.startswith(ALSO) or self.reason.endswith(CHANGED)


def opened(
    rule: Watched,
    feature: FeatureKey,
    segment: SegmentKey | None,
    edge_us: int,
    severity: str,
    evidence: Evidence,
) -> Incident:
    """Open an incident of a rule that breaches at this edge; its first ``step`` is at the same edge."""
    identity = repr((rule.name, tuple(feature), segment_to_json(segment), edge_us)).encode()
    name = hashlib.blake2b(identity, digest_size=8).hexdigest()
    return Incident(name, rule.name, digest_of(rule), severity, edge_us, evidence, edge_us=edge_us)


def transition(
    feature: FeatureKey,
    segment: SegmentKey | None,
    incident: Incident,
    change: StateChange,
    episode_id: str | None,
    edge_us: int,
    decided_us: int,
) -> TransitionRecord:
    """Build the record of a change of an incident's state. ``episode_id``: None where no episode shows it."""
    return TransitionRecord(
        incident_id=incident.incident_id,
        episode_id=episode_id,
        rule=incident.rule,
        severity=incident.severity,
        state=change.state,
        reason=change.reason,
        time=rfc3339(edge_us),
        decided_at=rfc3339(decided_us),
        evidence=incident.evidence,
        **segment_labels(feature, segment),
    )
