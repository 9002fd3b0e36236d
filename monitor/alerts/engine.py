"""Evaluate all rules of a feature when a pane closes; update its incidents and episodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from monitor.alerts.episode_writer import Edge, EpisodeWriter
from monitor.alerts.lost_records import Incidents, drop_lost, reopened_incidents
from monitor.alerts.page_policy import RELAPSE_US, PagePolicy, series_name
from monitor.alerts.quiet_series import QuietSeries
from monitor.alerts.rule_evaluation import RuleReader, is_relative
from monitor.diagnosis.change_detection import ChangeDetector
from monitor.incidents.incident import Incident, IncidentChange, opened
from monitor.incidents.rule_digest import digest_of
from monitor.incidents.state_change import AGAIN, ALSO, CHANGED, UNSEEN, StateChange
from monitor.protocol.messages import Outputs
from monitor.protocol.severity import PAGING
from monitor.references.gaps import close_gap, open_gap
from monitor.rules import no_data
from monitor.rules.drift_evidence import NEVER_SEEN
from monitor.rules.evidence import BaselineEvidence, ThresholdEvidence
from monitor.rules.present_figure import Figure, figure_between, present_figure
from monitor.rules.reading import Reading
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, HOUR_US
from schemas.config.monitor_config import Config
from schemas.config.rules import Watched
from schemas.times import microseconds, rfc3339

CLEARED = 1000  # ends of incidents that a feature remembers; the oldest is dropped first

Fresh = Sequence[tuple[SegmentKey, dict[str, Rate]]]


class AlertEngine:
    """Evaluates one feature after the other, at every edge."""

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self.partition_state = partition_state
        self._changes, self._no_data = ChangeDetector(partition_state), config.no_data
        self._reader = RuleReader(config, partition_state)
        self.corrections = self._reader.corrections
        self._quiet = QuietSeries(partition_state, self._reader)
        self._silence = self._reader.silence
        rules = (*self._reader.rules, *([self._silence] if self._silence else []))
        self._policy = PagePolicy(partition_state, rules)
        gating = self._reader.versions.gating
        self._writer = EpisodeWriter(config, partition_state, self._policy, gating)
        self._digests = {rule.name: digest_of(rule) for rule in rules}

    def look(
        self, feature: FeatureState, fresh: Fresh, edge_us: int, decided_us: int, *, late: bool, out: Outputs
    ) -> None:
        """Read every rule on the feature and its segments, and write the changes.

        Args:
            feature: its panes up to the edge are complete.
            fresh: its counts since the last edge, by segment.
            edge_us: the pane edge, microseconds since 1970.
            decided_us: the wall clock.
            late: the edge lies over 24 h behind the wall clock, so what happens at it is recorded and pages
                nobody.
            out: takes the records.
        """
        key = feature.key
        incidents = self.partition_state.incidents.get(key, {})
        if (
            not incidents
            and key not in self.partition_state.episodes
            and feature.active_us < edge_us - DAY_US
        ):
            return
        if fresh and not late:  # changes in a back-fill are of no interest
            self._changes.look(feature, fresh, edge_us, decided_us, out)
        self._reader.versions.look(feature, edge_us)
        self._reader.baselines.feed(feature, fresh, edge_us)
        changes = self._end_orphans(key, incidents, edge_us)
        episode = self.partition_state.episodes.get(key)
        reopened, reasons = reopened_incidents(episode, incidents), drop_lost(episode, incidents, changes)
        changes += self._read_rules(feature, incidents, edge_us)
        # an incident that is over needs no episode
        over = {change.incident.incident_id for change in changes if change.state == "resolved"}
        changes = [
            *(change for change in reopened if change.incident.incident_id not in over),
            *changes,
        ]
        self._writer.write(Edge(feature, edge_us, decided_us, late, out), changes, reasons)

    def _read_rules(self, feature: FeatureState, incidents: Incidents, edge_us: int) -> list[IncidentChange]:
        """Read every rule that matches the feature, on it and on its segments that were active within a day
        or have an incident.
        """
        key, changes = feature.key, list[IncidentChange]()
        # by the hour, as rolled-up panes know it: the same before and after a restart
        day_us = (edge_us - DAY_US) // HOUR_US * HOUR_US
        quiet_of = self._quiet.find(feature, incidents, edge_us)
        segment_keys = sorted(feature.segments)
        for rule in self._reader.rules:
            if not fnmatchcase(f"{key.service}/{key.feature}", rule.match) or key.environment not in (
                rule.environments or (key.environment,)
            ):
                continue
            quiet = quiet_of(rule)
            if rule.level != "segment" and None not in quiet:
                changes += self._apply(rule, feature, None, edge_us)
            if rule.level != "feature":
                for segment_key in segment_keys:
                    if segment_key in quiet:
                        continue
                    is_active = feature.segments[segment_key].active_us >= day_us
                    if segment_key != UNLABELLED and (is_active or (segment_key, rule.name) in incidents):
                        changes += self._apply(rule, feature, segment_key, edge_us)
        if self._silence:
            changes += self._apply(self._silence, feature, None, edge_us)
        return changes

    def _end_orphans(self, key: FeatureKey, incidents: Incidents, edge_us: int) -> list[IncidentChange]:
        """End the incidents whose rule was edited or removed, and those whose segment has left."""
        feature, changes = self.partition_state.features[key], list[IncidentChange]()
        for (segment_key, name), incident in list(incidents.items()):
            if self._digests.get(name) != incident.digest:
                reason = "rule_changed"
            elif segment_key is not None and segment_key not in feature.segments:
                reason = "segment_gone"
            else:
                continue
            changes.append(IncidentChange(segment_key, incident, StateChange("resolved", reason)))
            close_gap(feature, series_name(segment_key, name), edge_us)
            self._forget(key, segment_key, name)
        return changes

    def _apply(
        self, rule: Watched, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int
    ) -> list[IncidentChange]:
        """Read one rule on one series and let its incident decide."""
        incident = self.partition_state.incidents.get(feature.key, {}).get((segment_key, rule.name))
        is_gone = segment_key is not None and self._policy.is_gone(
            rule, feature, feature.segments[segment_key], edge_us
        )
        if is_gone and incident is None:
            return []
        reading = self._reader.read(rule, feature, segment_key, edge_us, incident)
        self._note_good(rule, feature, segment_key, reading)
        # nothing is left to read: an incident would fire for ever, and silence begin again at each edge
        has_ended = feature.active_us < edge_us - DAY_US
        changes = []
        if incident is None:
            if reading.state != "breach" or has_ended:
                return []
            severity = self._severity(rule, feature, edge_us)
            incident = opened(rule, feature.key, segment_key, edge_us, severity, reading.evidence)
            self.partition_state.incidents.setdefault(feature.key, {})[segment_key, rule.name] = incident
            if rule.for_:
                changes.append(IncidentChange(segment_key, incident, StateChange("pending", "breached")))
        if is_gone:
            reason = "segment_gone" if incident.state == "firing" else "did not last"
            change: StateChange | None = StateChange("resolved", reason)
        elif has_ended:
            change = StateChange("resolved", "became_normal: silent for a day, so it is taken to have ended")
        else:
            change = self._step(rule, feature, segment_key, incident, reading, edge_us)
        if rule is self._silence and incident.state == "firing":
            no_data.learn(feature, edge_us, self.partition_state.pane_us)
            self.partition_state.mark_feature(feature.key)
        self.partition_state.mark_incident(feature.key, segment_key, rule.name)
        if change is not None:
            changes.append(IncidentChange(segment_key, incident, change))
            if change.state == "firing" and is_relative(rule):
                open_gap(feature, series_name(segment_key, rule.name), incident.since_us)
                self.partition_state.mark_feature(feature.key)
            if change.state == "resolved":
                self._clear(rule, feature, segment_key, edge_us)
        return changes

    def _severity(self, rule: Watched, feature: FeatureState, edge_us: int) -> str:
        """Return the severity of a new incident."""
        severity = self._policy.severity(rule, feature)
        is_young_silence = rule is self._silence and not no_data.may_page(
            self._no_data, feature, edge_us, self.partition_state.pane_us
        )
        return "warning" if severity in PAGING and is_young_silence else severity

    def _note_good(
        self, rule: Watched, feature: FeatureState, segment_key: SegmentKey | None, reading: Reading
    ) -> None:
        """Remember that a rule was good on a feature once, so that it may page."""
        is_whole = segment_key is None or rule.level == "segment"
        if reading.state == "good" and is_whole and rule.name not in feature.healthy_rules:
            feature.healthy_rules.add(rule.name)
            self.partition_state.mark_feature(feature.key)

    def _step(
        self,
        rule: Watched,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        incident: Incident,
        reading: Reading,
        edge_us: int,
    ) -> StateChange | None:
        if self._reader.has_become_normal(rule, incident, edge_us):
            self._reader.learn_anew(rule, feature, segment_key, incident.since_us)
            return StateChange(
                "resolved", "became_normal: it has been so for a day, and is the reference from now on"
            )
        was_unseen = incident.evidence.test == NEVER_SEEN
        is_relapse = self._policy.is_relapse(rule, feature, segment_key, incident, reading)
        change = incident.step(rule, reading, edge_us, RELAPSE_US if is_relapse else 0)
        moved = incident.report() if incident.state == "firing" else ""
        changed = self._note_figures(feature, segment_key, incident, change, edge_us)
        if change is not None or incident.state != "firing":
            return change
        if not was_unseen and incident.evidence.test == NEVER_SEEN:
            return StateChange("firing", UNSEEN)
        if moved:
            return StateChange("firing", ALSO + moved)
        return StateChange("firing", changed) if changed else None

    def _note_figures(
        self,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        incident: Incident,
        change: StateChange | None,
        edge_us: int,
    ) -> str:
        """Note what a firing incident measures now; return what is new of that: it fails again, or a figure
        changed by a factor of two; empty for nothing.
        """
        if incident.state != "firing" or (change is not None and change.state == "resolved"):
            return ""
        pane_us, evidence = self.partition_state.pane_us, incident.evidence
        began_us = (incident.stretch.returned_us or incident.since_us) - pane_us
        if isinstance(evidence, BaselineEvidence) and evidence.began and not incident.stretch.returned_us:
            began_us = min(began_us, microseconds(datetime.fromisoformat(evidence.began)))
        series = feature if segment_key is None else feature.segments[segment_key]
        metric = evidence.metric
        metrics = dict.fromkeys([metric, *(finding.metric for finding in evidence.findings)])
        correction = None  # a learnt baseline compares a judge with itself
        if isinstance(evidence, ThresholdEvidence):
            correction = self.corrections.find(feature.key, metric)
        read = {
            name: present_figure(
                name,
                series.window,
                edge_us,
                began_us,
                feature.weights.units(segment_key, name),
                correction,
            )
            for name in metrics
        }
        now = {name: present for name, present in read.items() if present is not None}
        if change is not None and change.reason != AGAIN and evidence.value is not None:
            incident.decided = Figure(
                metric=metric,
                value=evidence.value,
                n=evidence.n,
                window_s=evidence.window_s,
                time=rfc3339(edge_us),
            )
        changed = incident.note_present(now)
        if any(series.window(edge_us - pane_us, edge_us)):
            units = feature.weights.units(segment_key, metric)
            is_back = incident.note_return(
                lambda start_us, end_us: figure_between(
                    metric, series.window, start_us, end_us, units, correction
                ),
                lambda start_us, end_us: present_figure(
                    metric, series.window, end_us, start_us, units, correction
                ),
            )
            if is_back:
                return AGAIN
        return f"{changed} changed {CHANGED}" if changed else ""

    def _clear(
        self, rule: Watched, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int
    ) -> None:
        """Drop a resolved incident, and remember its end."""
        self._forget(feature.key, segment_key, rule.name)
        name = series_name(segment_key, rule.name)
        close_gap(feature, name, edge_us)
        feature.resolved_edges.pop(name, None)
        feature.resolved_edges[name] = edge_us
        if len(feature.resolved_edges) > CLEARED:
            del feature.resolved_edges[next(iter(feature.resolved_edges))]
        self.partition_state.mark_feature(feature.key)

    def _forget(self, key: FeatureKey, segment_key: SegmentKey | None, name: str) -> None:
        del self.partition_state.incidents[key][segment_key, name]
        if not self.partition_state.incidents[key]:
            del self.partition_state.incidents[key]
        self.partition_state.mark_incident(key, segment_key, name)
