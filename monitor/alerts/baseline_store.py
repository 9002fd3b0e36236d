"""The learnt baselines of all series that rules ask for: fed at each edge, read by rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec

from monitor.alerts.evaluator_versions import EvaluatorVersions, evaluator_of
from monitor.alerts.page_policy import series_name
from monitor.references.finder import ReferenceFinder
from monitor.references.gaps import Gaps, gaps_of
from monitor.rules.evidence import RateFinding, evidence_of, no_evidence
from monitor.rules.known_calls_baseline import (
    ALL_CALLS,
    calls_name,
    is_risen,
    metric_of,
    risen_baseline,
    weighs_calls,
)
from monitor.rules.learned_baseline import Baseline
from monitor.rules.low_traffic import LOOKS_A_DAY, most_events_a_day
from monitor.rules.reading import Reading
from monitor.rules.weighted_sample import weighted_sample_of
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import Units
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import merge_rates
from monitor.windows.pane_calls import rates_of_calls, were_calls_unknown
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US
from schemas.config.monitor_config import Config
from schemas.config.rules import GATING, Rule
from schemas.times import rfc3339

SHOWN = 5  # findings of one rule

Counts = dict[str, Rate]
"""Metric -> what was counted."""


class BaselineStore:
    """Feeds and reads baselines. The rules say which rates of which series have one."""

    def __init__(self, config: Config, partition_state: PartitionState, versions: EvaluatorVersions) -> None:
        self._partition_state, self._versions = partition_state, versions
        self._rules = [rule for rule in config.all_rules() if rule.is_learnt]
        self._references = ReferenceFinder()
        self._tidied: set[FeatureKey] = set()
        self._matching: dict[FeatureKey, list[Rule]] = {}
        self._metrics: dict[FeatureKey, tuple[frozenset[str], frozenset[str]]] = {}

    def feed(self, feature: FeatureState, fresh: Sequence[tuple[SegmentKey, Counts]], edge_us: int) -> None:
        """Add the counts of a feature since the last edge, by segment, and the calls of the newest pane if its
        meters say how many there were.
        """
        of_feature, of_segments = self._metrics_of(feature.key)
        events_a_day = most_events_a_day(feature.hourly_responses, edge_us)
        self._drop_unused(feature.key, of_feature, of_segments)
        if of_feature:
            by_calls = rates_of_calls(feature, of_feature, edge_us, self._partition_state.pane_us)
            if fresh or by_calls:
                parts = [rates for _, rates in fresh]
                self._feed(feature, None, parts, of_feature, edge_us, events_a_day, by_calls)
            self._hand_over(feature, by_calls, edge_us)
        if of_segments:
            by_segment: dict[SegmentKey, list[Counts]] = {}
            for segment_key, rates in fresh:
                by_segment.setdefault(segment_key, []).append(rates)
            for segment_key in sorted(by_segment.keys() - {OVERFLOW, UNLABELLED}):
                self._feed(feature, segment_key, by_segment[segment_key], of_segments, edge_us, events_a_day)

    def _hand_over(self, feature: FeatureState, by_calls: Mapping[str, Rate], edge_us: int) -> None:
        """Let the calls show whether a rise that was found in events is over, and the events if the calls have
        been unknown for some time.
        """
        baselines, pane_us = self._of_series(feature.key, None), self._partition_state.pane_us
        for calls_baseline in [name for name in baselines if metric_of(name) != name]:
            name = metric_of(calls_baseline)
            if name not in baselines:
                continue
            events, calls = baselines[name], baselines[calls_baseline]
            if (rate := by_calls.get(name)) is not None:
                known = feature.weights.units(None, name)
                if events.risen is not None and weighs_calls(baselines, name, rate.events, known, edge_us):
                    calls.take_rise(events)
            elif calls.risen is not None and were_calls_unknown(feature, name, edge_us, pane_us):
                events.take_rise(calls)

    def read(
        self, rule: Rule, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int
    ) -> Reading:
        """Read a rule on a series; ``segment_key`` None: of the whole feature."""
        baselines = self._of_series(feature.key, segment_key)
        names = [name for name in self._names(rule, feature.key) if name in baselines]
        findings = [
            self._with_sample(
                risen.finding(name, edge_us, self._partition_state.pane_us), feature, segment_key, edge_us
            )
            for name in names
            if (risen := risen_baseline(baselines, name)) is not None
        ]
        if not findings:
            return Reading("good" if names else "unknown", no_evidence(rule.on, rule.window))
        if normal_us := feature.accepted_since.get(series_name(segment_key, rule.name)):
            normal = rfc3339(normal_us)
            findings = [msgspec.structs.replace(finding, became_normal=normal) for finding in findings]
        findings.sort(key=lambda finding: (-finding.effect, finding.metric))
        return Reading("breach", evidence_of(findings[0], "baseline", tuple(findings[:SHOWN])))

    def _with_sample(
        self, finding: RateFinding, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int
    ) -> RateFinding:
        """Add the sample since the rise, if events have different weights.

        The calls a minute are those of the last two hours: since the rise perhaps only failures were sampled.
        """
        known = feature.weights.units(segment_key, finding.metric)
        series = feature if segment_key is None else feature.segments.get(segment_key)
        if known.any == known.failed or series is None:
            return finding
        reader = MetricReader(finding.metric)
        reader.add(series.window(edge_us - round(finding.window_s * 1e6), edge_us))
        window_us = round(finding.window_s * 1e6)
        calls = (
            None if segment_key is not None else feature.producers.calls_within(edge_us - window_us, edge_us)
        )
        sample = weighted_sample_of(reader, finding.window_s, known, calls)
        if sample is None:
            return finding
        if calls is not None:
            return msgspec.structs.replace(finding, weighted_sample=sample)
        first_us = max(feature.first_us, edge_us - FINE_RETENTION_US)
        minutes = max((edge_us - first_us) / 60e6, 1.0)
        recent = MetricReader(finding.metric).add(series.window(first_us, edge_us)).rate
        assert recent is not None
        sample = msgspec.structs.replace(
            sample,
            calls_per_minute=float(f"{recent.weighted_counts()[1] / minutes:.6g}"),
            low=finding.low,
            high=finding.high,
        )
        return msgspec.structs.replace(finding, weighted_sample=sample)

    def forget(self, rule: Rule, feature: FeatureState, segment_key: SegmentKey | None) -> None:
        """Drop the baselines of a rule on a series, so that they are learnt anew."""
        baselines = self._of_series(feature.key, segment_key)
        for name in self._names(rule, feature.key):
            baselines.pop(name, None)
            baselines.pop(calls_name(name), None)
        self._partition_state.mark_baselines(feature.key, segment_key)

    def _of_series(self, key: FeatureKey, segment_key: SegmentKey | None) -> dict[str, Baseline]:
        return self._partition_state.baselines.get(key, {}).get(segment_key, {})

    def _feed(
        self,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        parts: Sequence[Counts],
        names: frozenset[str],
        edge_us: int,
        events_a_day: float,
        by_calls: Mapping[str, Rate] = MappingProxyType({}),
    ) -> None:
        parts = [{name: rates[name] for name in names & rates.keys()} for rates in parts]
        rates = parts[0] if len(parts) == 1 else merge_rates(*parts)
        if not (rates or by_calls):
            return
        baselines = self._partition_state.baselines.setdefault(feature.key, {}).setdefault(segment_key, {})
        changed, pane_us = self._versions.changed(feature.key), self._partition_state.pane_us
        gaps: Gaps = ()
        if feature.reference_gaps:
            rules = self._rules_of(feature.key)
            gaps = gaps_of(feature, *(series_name(segment_key, rule.name) for rule in rules))
        cycle = self._references.cycle(feature, segment_key, edge_us, gaps)
        week = self._references.last_week(feature, segment_key, edge_us, gaps)
        frozen = self._frozen(feature.key, segment_key)
        fed: dict[object, Baseline] = {}

        def feed(name: str, rate: Rate, known: Units, *, is_weighed: bool) -> None:
            metric = metric_of(name)
            since_us = changed.get(evaluator_of(metric), 0)
            baseline = baselines.get(name)
            if baseline is None or baseline.begun_us < since_us:  # a changed evaluator is another statistic
                baseline = baselines[name] = Baseline(max(edge_us, since_us))
            if edge_us > since_us:
                weekly = 1.0 if week is None else week.tolerance(metric, baseline.usual_rate)
                tolerance, is_frozen = max(cycle.tolerance(metric), weekly), metric in frozen
                # rates of the same calls, of which none failed, have equal baselines
                twin = (*_twin_of(baseline, rate), is_frozen, tolerance, known, is_weighed)
                if (leader := fed.get(twin)) is not None:
                    baseline.take_state(leader)
                    return
                fed[twin] = baseline
                baseline.feed(
                    rate,
                    edge_us,
                    pane_us,
                    frozen=is_frozen,
                    tolerance=tolerance,
                    known=known,
                    is_weighed=is_weighed,
                    # known calls are weighed each minute, however few events come
                    events_a_day=LOOKS_A_DAY if calls_name(metric) in baselines else events_a_day,
                )

        for name in sorted(rates.keys() | by_calls.keys()):
            known, calls = feature.weights.units(segment_key, name), by_calls.get(name)
            is_by_calls = calls is not None and weighs_calls(baselines, name, calls.events, known, edge_us)
            if calls is not None:
                feed(calls_name(name), calls, ALL_CALLS, is_weighed=is_by_calls)
            if name in rates:
                is_weighed = not (is_by_calls or is_risen(baselines, calls_name(name)))
                feed(name, rates[name], known, is_weighed=is_weighed)
        self._partition_state.mark_baselines(feature.key, segment_key)

    def _frozen(self, key: FeatureKey, segment_key: SegmentKey | None) -> set[str]:
        """Return the metrics of the rules that fire on a series: their outcomes are those of the same events.
        All other baselines of the feature continue to learn.
        """
        incidents = self._partition_state.incidents.get(key)
        if not incidents:
            return set()
        return {
            name
            for rule in self._rules_of(key)
            if (incident := incidents.get((segment_key, rule.name))) and incident.state == "firing"
            for name in self._names(rule, key)
        }

    def _rules_of(self, key: FeatureKey) -> list[Rule]:
        """Return the rules on baselines that read a feature."""
        rules = self._matching.get(key)
        if rules is None:
            rules = self._matching[key] = [
                rule
                for rule in self._rules
                if fnmatchcase(f"{key.service}/{key.feature}", rule.match)
                and key.environment in (rule.environments or (key.environment,))
            ]
        return rules

    def _drop_unused(self, key: FeatureKey, of_feature: frozenset[str], of_segments: frozenset[str]) -> None:
        """Drop, once after a start, the baselines that no rule asks for. If a rule asks again later, they are
        out of date.
        """
        if key in self._tidied:
            return
        self._tidied.add(key)
        for segment_key, baselines in self._partition_state.baselines.get(key, {}).items():
            wanted = of_feature if segment_key is None else of_segments
            for name in [name for name in baselines if metric_of(name) not in wanted]:
                del baselines[name]
                self._partition_state.mark_baselines(key, segment_key)

    def _metrics_of(self, key: FeatureKey) -> tuple[frozenset[str], frozenset[str]]:
        """Return the metrics to learn of a feature as a whole, and of its segments."""
        metrics = self._metrics.get(key)
        if metrics is None:
            rules = self._rules_of(key)
            metrics = self._metrics[key] = (
                self._all_names([rule for rule in rules if rule.level != "segment"], key),
                self._all_names([rule for rule in rules if rule.level != "feature"], key),
            )
        return metrics

    def _all_names(self, rules: Sequence[Rule], key: FeatureKey) -> frozenset[str]:
        return frozenset(name for rule in rules for name in self._names(rule, key))

    def _names(self, rule: Rule, key: FeatureKey) -> tuple[str, ...]:
        """Return the metrics of a rule."""
        if rule.on != GATING:
            return (rule.on,)
        return tuple(f"evaluator.{name}.fail_rate" for name in self._versions.gating(key))


def _twin_of(baseline: Baseline, rate: Rate) -> tuple[object, ...]:
    """Return what baselines have in common that have the same state and count the same."""
    # one that is new, or from a restart, is compared by its state
    twin = repr(baseline.state()) if baseline.twin is None else baseline.twin
    return twin, rate.level, *((ppm, n, failures) for ppm, (n, failures) in rate.classes.items())
