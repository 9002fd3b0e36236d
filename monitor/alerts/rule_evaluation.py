"""Rule evaluation: any rule on any series at a pane edge, by the module of its kind."""

from __future__ import annotations

from functools import partial

from monitor.alerts.baseline_store import BaselineStore
from monitor.alerts.evaluator_versions import EvaluatorVersions, evaluator_of
from monitor.alerts.judge_corrections import JudgeCorrections
from monitor.alerts.page_policy import series_name
from monitor.incidents.incident import Incident
from monitor.references.gaps import gaps_of
from monitor.references.pinned import PinnedReferences
from monitor.rules import burn_rate, no_data, threshold
from monitor.rules.drift import DriftReader
from monitor.rules.quiet_reading import QuietReading, unchanged_until_us
from monitor.rules.reading import Reading
from monitor.rules.service_activity import ServiceActivity
from monitor.rules.threshold import RateHistory
from monitor.rules.threshold_resolution import ThresholdResolver
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, FINE_RETENTION_US
from monitor.windows.sliding_rate import sliding_rate
from schemas.config.monitor_config import Config
from schemas.config.objectives import Burning
from schemas.config.rules import Drift, FixedThreshold, Rule, Watched
from schemas.pin_file import pinned_name

NORMAL_US = DAY_US  # a difference from a baseline or reference that lasts this long is the new normal
MOVED = 1000  # changes of the normal that a feature remembers; the oldest is dropped first


def is_relative(rule: Watched) -> bool:
    """Whether a rule compares with what was learnt: a baseline, or a reference that is not pinned."""
    if isinstance(rule, Drift):
        return pinned_name(rule.reference) is None
    return isinstance(rule, Rule) and rule.is_learnt


class RuleReader:
    """Reads rules: thresholds from windows, falls from baselines, drift against references, silence.

    ``rules``: all but silence. ``silence``: the rule of no-data, None if it is off.
    """

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self._config, self._partition_state = config, partition_state
        self.versions = EvaluatorVersions(config, partition_state)
        self.corrections = JudgeCorrections(config, partition_state)
        self.baselines = BaselineStore(config, partition_state, self.versions)
        self._thresholds = ThresholdResolver(config)
        self._services = ServiceActivity(partition_state.features)
        self._pins = PinnedReferences(config.pinned)
        self.drift = DriftReader(partition_state.pane_us, self._pins)
        self.rules: tuple[Watched, ...] = (*config.all_rules(), *config.all_burning(), *config.all_drift())
        self.silence = no_data.as_rule(config.no_data) if config.no_data.severity else None

    def read(
        self,
        rule: Watched,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        incident: Incident | None,
    ) -> Reading:
        """Read a rule on a series.

        Args:
            rule: one of ``rules``, or ``silence``.
            feature: the feature of the series.
            segment_key: the segment; None for the feature as a whole.
            edge_us: the pane edge, microseconds since 1970.
            incident: of this rule and series, if it is pending or firing.
        """
        if rule is self.silence:
            pane_us = self._partition_state.pane_us
            return no_data.read(self._config.no_data, feature, edge_us, pane_us, self._services)
        if isinstance(rule, Rule):
            return self._read_threshold(rule, feature, segment_key, edge_us, incident)
        if isinstance(rule, Drift):
            return self._read_drift(rule, feature, segment_key, edge_us, incident)
        assert isinstance(rule, Burning)
        changed = self.versions.changed(feature.key)
        series = feature if segment_key is None else feature.segments[segment_key]
        since_us, known = changed.get(evaluator_of(rule.on), 0), feature.weights.units(segment_key, rule.on)
        correction = self.corrections.find(feature.key, rule.on)
        by_calls = segment_key is None and known.any > known.failed > 0
        calls_within = feature.producers.calls_within if by_calls else None
        return burn_rate.read(rule, series, edge_us, since_us, known, calls_within, correction)

    def _read_threshold(
        self,
        rule: Rule,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        incident: Incident | None,
    ) -> Reading:
        if rule.is_learnt:
            return self.baselines.read(rule, feature, segment_key, edge_us)
        name = series_name(segment_key, rule.name)
        cleared_us = feature.resolved_edges.get(name)
        series = feature if segment_key is None else feature.segments[segment_key]
        since_us = self.versions.cleared_us(feature.key, rule, cleared_us)
        known = feature.weights.units(segment_key, rule.on)
        firing = incident.evidence.value if incident is not None and incident.state == "firing" else None
        correction = self.corrections.find(feature.key, rule.on)
        arguments = (since_us, known, firing, incident is None, correction)
        # meters change a reading without an event, so it is not kept
        by_calls = segment_key is None and known.any > known.failed > 0
        quiet: QuietReading | None = None if by_calls else feature.quiet_readings.get(name)
        if quiet is not None and quiet.holds(series.revision, arguments, edge_us):
            return quiet.reading
        reading = threshold.read(
            rule,
            self.threshold_of(rule, feature.key),
            series,
            edge_us,
            since_us,
            known,
            RateHistory(
                feature.first_us,
                partial(feature.rate_of_hours, segment_key, rule.on),
                partial(sliding_rate, feature, segment_key, rule.on, edge_us, self._partition_state.pane_us),
            ),
            firing,
            brief=incident is None,
            calls_within=feature.producers.calls_within if by_calls else None,
            correction=correction,
        )
        if reading.evidence.window_s > rule.window and not by_calls:
            until_us = unchanged_until_us(rule, feature, segment_key, edge_us, since_us)
            feature.quiet_readings[name] = QuietReading(reading, series.revision, arguments, until_us)
        return reading

    def _read_drift(
        self,
        rule: Drift,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        incident: Incident | None,
    ) -> Reading:
        name = series_name(segment_key, rule.name)
        changed = self.versions.changed(feature.key)
        if pinned_name(rule.reference) is not None:
            evaluators = self._partition_state.evaluators.get(feature.key, {})
            changed = self._pins.changed(rule.reference, feature.key, evaluators, edge_us - FINE_RETENTION_US)
        return self.drift.read(
            rule,
            feature,
            segment_key,
            edge_us,
            incident.evidence.window_s if incident is not None else None,
            feature.accepted_since.get(name, 0),
            self.versions.gating(feature.key),
            changed,
            feature.resolved_edges.get(name, 0),
            gaps_of(feature, name),
        )

    def threshold_of(self, rule: Rule, key: FeatureKey) -> FixedThreshold | None:
        """Return the number that a rule compares with on a feature; None where there is none."""
        return self._thresholds.resolve(rule, key.service, key.feature)

    def has_become_normal(self, rule: Watched, incident: Incident, edge_us: int) -> bool:
        """Whether a difference from a learnt baseline or a reference has lasted for a day. A pinned reference
        does not change.
        """
        return is_relative(rule) and incident.state == "firing" and edge_us - incident.since_us >= NORMAL_US

    def learn_anew(
        self, rule: Watched, feature: FeatureState, segment_key: SegmentKey | None, since_us: int
    ) -> None:
        """Take everything since then as the new normal."""
        name = series_name(segment_key, rule.name)
        feature.accepted_since.pop(name, None)
        feature.accepted_since[name] = since_us
        if len(feature.accepted_since) > MOVED:
            del feature.accepted_since[next(iter(feature.accepted_since))]
        if isinstance(rule, Rule):
            self.baselines.forget(rule, feature, segment_key)
        self._partition_state.mark_feature(feature.key)
