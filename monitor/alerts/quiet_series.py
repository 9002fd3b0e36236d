"""The series that rules need not read at an edge: they surely do not breach, and nothing else would change.

What is left is read as ever, so outputs are the same. Reading all series costs ten times as much where there are
many segments with few events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from monitor.alerts.lost_records import Incidents
from monitor.alerts.page_policy import series_name
from monitor.alerts.rule_evaluation import RuleReader
from monitor.references.gaps import EVERY_SERIES
from monitor.rules import quiet_drift, quiet_thresholds
from monitor.rules.drift_layout import Flags
from monitor.state.partition_state import PartitionState
from monitor.stats.sampling_weights import MILLION
from monitor.windows.count_columns import CountColumns
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import DAY, FINE_RETENTION_US, HOUR
from schemas.config.rules import Drift, FixedThreshold, Rule, Watched

Quiet = frozenset[SegmentKey | None]
"""Series of a feature; None is the whole feature."""
NOTHING: Quiet = frozenset()


class QuietSeries:
    """Finds quiet series feature by feature. ``reader``: reads the rules."""

    def __init__(self, partition_state: PartitionState, reader: RuleReader) -> None:
        self._partition_state, self._reader = partition_state, reader

    def _is_corrected(self, rule: Watched, feature: FeatureState) -> bool:
        """Return whether the true rate decides, and not the counted one, because a judge counts."""
        return isinstance(rule, Rule) and self._reader.corrections.find(feature.key, rule.on) is not None

    def find(self, feature: FeatureState, incidents: Incidents, edge_us: int) -> Callable[[Watched], Quiet]:
        """Return a function that tells which series of a feature a rule need not read at an edge.

        Args:
            feature: its late counts were added.
            incidents: of the feature.
            edge_us: the pane edge, microseconds since 1970.
        """
        columns = feature.cache.count_columns(feature.segments, edge_us, self._partition_state.pane_us)

        def quiet(rule: Watched) -> Quiet:
            if isinstance(rule, Rule) and rule.is_learnt:
                series = self._not_risen(feature)
            elif columns is None or self._is_corrected(rule, feature):
                return NOTHING
            elif isinstance(rule, Rule):
                series = self._below_threshold(rule, feature, columns, edge_us)
            elif isinstance(rule, Drift):
                series = self._without_drift(rule, feature, columns, edge_us)
            else:
                return NOTHING
            # reading the whole feature for the first time with a good result is remembered
            if rule.name not in feature.healthy_rules:
                series = series - {None} if rule.level != "segment" else NOTHING
            return frozenset(key for key in series if (key, rule.name) not in incidents)

        return quiet

    def _not_risen(self, feature: FeatureState) -> Quiet:
        baselines = self._partition_state.baselines.get(feature.key, {})
        risen = {
            segment_key
            for segment_key, of_series in baselines.items()
            if any(baseline.risen is not None for baseline in of_series.values())
        }
        return frozenset({None, *feature.segments} - risen)

    def _below_threshold(
        self, rule: Rule, feature: FeatureState, columns: CountColumns, edge_us: int
    ) -> Quiet:
        key = feature.key
        threshold = self._reader.threshold_of(rule, key)
        is_boundable = rule.is_rate and rule.window * 1e6 <= FINE_RETENTION_US
        ppm = columns.weights.get(rule.on)
        if (
            not isinstance(threshold, FixedThreshold)
            or not is_boundable
            or ppm is None
            or self._reader.versions.cleared_us(key, rule, None) is not None
        ):
            return NOTHING
        oldest_us = edge_us - FINE_RETENTION_US
        has_older = [
            columns.first_us[row] < oldest_us
            or (segment_key is not None and _has_older(feature, segment_key))
            for segment_key, row in columns.rows.items()
        ]
        has_older[0] = any(has_older)
        rows = quiet_thresholds.quiet_rows(rule, threshold, columns, edge_us, np.array(has_older))
        cleared = self._named(rule, feature, feature.resolved_edges)
        return frozenset(
            segment_key
            for segment_key in _series_of(columns, rows)
            if segment_key not in cleared and _is_plain(feature, segment_key, rule.on, ppm)
        )

    def _without_drift(
        self, rule: Drift, feature: FeatureState, columns: CountColumns, edge_us: int
    ) -> Quiet:
        if not quiet_drift.is_boundable(rule) or EVERY_SERIES in feature.reference_gaps:
            return NOTHING
        drift, gating = self._reader.drift, self._reader.versions.gating(feature.key)
        rows = quiet_drift.quiet_rows(
            rule,
            drift.windows(rule, edge_us, None),
            columns,
            feature,
            edge_us,
            self._partition_state.pane_us,
            gating,
        )
        known = (
            self._named(rule, feature, feature.resolved_edges)
            | self._named(rule, feature, feature.accepted_since)
            | self._named(rule, feature, feature.reference_gaps)
        )
        return frozenset(
            segment_key
            for segment_key in _series_of(columns, rows)
            if segment_key not in known and drift.texts_are_quiet(rule, feature, segment_key, edge_us)
        )

    def _named(
        self, rule: Watched, feature: FeatureState, by_name: Mapping[str, object]
    ) -> set[SegmentKey | None]:
        """Return the series of a rule that have an entry by their name."""
        if not by_name:
            return set()
        return {
            segment_key
            for segment_key in (None, *feature.segments)
            if series_name(segment_key, rule.name) in by_name
        }


def _series_of(columns: CountColumns, rows: Flags) -> list[SegmentKey | None]:
    """Return the series of the rows that are set."""
    return [key for key, flag in zip(columns.rows, rows.tolist(), strict=True) if flag]


def _has_older(feature: FeatureState, segment_key: SegmentKey) -> bool:
    segment = feature.segments.get(segment_key)
    return segment is not None and bool(segment.panes_by_resolution[HOUR] or segment.panes_by_resolution[DAY])


def _is_plain(feature: FeatureState, segment_key: SegmentKey | None, metric: str, ppm: int) -> bool:
    """Return whether no heavier weights of a rate are known than that of its events."""
    known = feature.weights.units(segment_key, metric)
    return known.any <= MILLION / ppm and not known.any > known.failed > 0
