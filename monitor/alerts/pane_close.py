"""Close a pane: write windows, read rules, update incidents and episodes, roll up old panes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from monitor.alerts.engine import AlertEngine
from monitor.alerts.pane_packing import PanePacker
from monitor.protocol.messages import Outputs, to_json
from monitor.references.gaps import forget_gaps
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.record import WindowRecord, complete_metrics, corrected_metrics, mergeable_metrics
from monitor.windows.segment_keys import (
    OTHER,
    UNLABELLED,
    FeatureKey,
    SegmentKey,
    segment_labels,
    segment_to_json,
)
from monitor.windows.segment_series import (
    DAY,
    DAY_RETENTION_US,
    DAY_US,
    FINE,
    FINE_RETENTION_US,
    HOUR,
    HOUR_RETENTION_US,
    HOUR_US,
    LATE,
    SegmentSeries,
)
from monitor.windows.text_blocks import BLOCK_US, TEXT_RETENTION_US, TextBlock, roll_up_texts
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

ROLL_UPS = 2000  # at one edge, so that they fit into a checkpoint

Fresh = dict[FeatureKey, list[tuple[SegmentKey, dict[str, Rate]]]]
"""Counts since the last edge, by feature and segment."""


class PaneCloser:
    """Closes pane edges one after the other."""

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self.partition_state = partition_state
        self.engine = AlertEngine(config, partition_state)
        self._pane_us = config.time.pane_us
        self._lateness_us = config.time.lateness_us
        self._packer = PanePacker(partition_state)
        self._behind = True  # whether old panes wait to be rolled up; after a restart they may

    def close_steps(self, edge_us: int, now_us: int | None, out: Outputs) -> Iterator[None]:
        """Close every pane that ends at or before this edge; yield after each feature.

        ``now_us``: the wall clock; None: edge and lateness.
        """
        decided_us = edge_us + self._lateness_us if now_us is None else now_us
        written = self._unwritten(edge_us)
        fresh = self._write_windows(edge_us, out)
        late = now_us is not None and now_us - edge_us > DAY_US
        for key in sorted(self.partition_state.features):
            feature = self.partition_state.features[key]
            feature.cache.add_late_counts(feature.segments)
            self.engine.look(feature, fresh.get(key, ()), edge_us, decided_us, late=late, out=out)
            feature.cache.pack()
            yield
        self._roll_up(edge_us)
        self._packer.pack(written, edge_us)

    def _unwritten(self, edge_us: int) -> list[int]:
        """Return the starts of closed panes with counts that no window has reported."""
        return sorted(start for start in self.partition_state.unwritten if start + self._pane_us <= edge_us)

    def _write_windows(self, edge_us: int, out: Outputs) -> Fresh:
        """Write the windows of everything counted since the last edge; return these counts as rates."""
        starts = self._unwritten(edge_us)
        fresh = self._fresh_counts(starts)
        for feature_key, segment_rates in fresh.items():
            for changed_key in self.partition_state.features[feature_key].weights.observe(segment_rates):
                self.partition_state.mark_weights(feature_key, changed_key)
        for start_us in starts:
            touched = sorted(self.partition_state.unwritten.pop(start_us))
            for feature_key, segment_key in touched:
                segment = self.partition_state.features[feature_key].segments[segment_key]
                self._close_panes(feature_key, segment, start_us, edge_us)
                if segment_key != UNLABELLED:
                    panes = segment.panes_at(start_us)
                    revision = sum(pane.revision for pane in panes)
                    self._write_window(feature_key, segment_key, _whole(panes, start_us), revision, out)
            for feature_key in sorted({feature for feature, _ in touched}):
                feature = self.partition_state.features[feature_key]
                panes = [
                    pane
                    for pane in (feature.pane(start_us), *feature.late_panes(start_us))
                    if pane is not None
                ]
                whole = _whole(panes, start_us)
                self._write_window(feature_key, None, whole, _revision(feature, start_us), out)
        return fresh

    def _close_panes(
        self, feature_key: FeatureKey, segment: SegmentSeries, start_us: int, edge_us: int
    ) -> None:
        """Raise the revision of a pane, and mark its counts and those of its late events as written."""
        is_new = True
        for resolution in (FINE, LATE):
            pane = segment.panes_by_resolution[resolution].get(start_us)
            if pane is None or not pane.stale:
                continue
            pane.late += is_new and start_us + self._pane_us < edge_us
            pane.revision += is_new
            pane.stale, pane.rates_at_close, is_new = False, None, False
            self.partition_state.mark_pane(feature_key, segment.key, resolution, start_us)

    def _fresh_counts(self, starts: Sequence[int]) -> Fresh:
        """Return the rates counted since the last edge in the panes that begin at ``starts``, without late
        events.
        """
        fresh: Fresh = {}
        for start_us in starts:
            for feature_key, segment_key in sorted(self.partition_state.unwritten[start_us]):
                segment = self.partition_state.features[feature_key].segments[segment_key]
                if (pane := segment.panes.get(start_us)) is not None and pane.stale:
                    fresh.setdefault(feature_key, []).append((segment_key, pane.new_rates()))
        return fresh

    def _write_window(
        self,
        feature_key: FeatureKey,
        segment_key: SegmentKey | None,
        pane: Pane,
        revision: int,
        out: Outputs,
    ) -> None:
        feature = self.partition_state.features[feature_key]
        metrics: Mapping[str, Mapping[str, Any]] = mergeable_metrics(
            pane, partial(feature.weights.units, segment_key)
        )
        if segment_key is None:
            metrics = corrected_metrics(
                complete_metrics(metrics), self.engine.corrections.metrics(feature_key)
            )
        record = WindowRecord(
            start=_time(pane.start_us),
            end=_time(pane.start_us + self._pane_us),
            revision=revision,
            events=pane.events,
            metrics=metrics,
            **segment_labels(feature_key, segment_key),
        )
        key = to_json([*feature_key, segment_to_json(segment_key), record.level, record.start])
        out.write("windows", key, record)

    def _roll_up(self, edge_us: int) -> None:
        """Merge panes that are too old to be kept fine: at most ``ROLL_UPS`` at an edge, the rest at the
        next. No event is counted before ``rolled_us`` any more.
        """
        until_us = (edge_us - FINE_RETENTION_US) // HOUR_US * HOUR_US
        if until_us > self.partition_state.rolled_us:
            self.partition_state.rolled_us, self._behind = until_us, True
        if not self._behind:
            return
        rolled = 0
        for key in sorted(self.partition_state.features):
            feature = self.partition_state.features[key]
            for segment_key in sorted(feature.segments):
                rolled += self._roll(feature, feature.segments[segment_key], edge_us)
                if rolled >= ROLL_UPS:
                    return
            self._tidy(feature, edge_us)
        self._behind = False

    def _roll(self, feature: FeatureState, segment: SegmentSeries, edge_us: int) -> int:
        rolled = self._coarsen(feature, segment, FINE, HOUR, HOUR_US, self.partition_state.rolled_us)
        rolled += self._coarsen(
            feature, segment, HOUR, DAY, DAY_US, (edge_us - HOUR_RETENTION_US) // DAY_US * DAY_US
        )
        for start_us in [
            start
            for start in segment.panes_by_resolution[DAY]
            if start + DAY_US <= edge_us - DAY_RETENTION_US
        ]:
            del segment.panes_by_resolution[DAY][start_us]
            self.partition_state.mark_pane(feature.key, segment.key, DAY, start_us)
        for start_us in [start for start in segment.late_panes if start < self.partition_state.rolled_us]:
            del segment.late_panes[start_us]
            self.partition_state.mark_pane(feature.key, segment.key, LATE, start_us)
            rolled += 1
        self._roll_texts(feature, segment, edge_us)
        if segment.is_empty():
            self.partition_state.drop_segment(feature, segment.key)
        return rolled

    def _roll_texts(self, feature: FeatureState, segment: SegmentSeries, edge_us: int) -> None:
        hours: dict[int, list[TextBlock]] = {}
        for start_us in sorted(
            start for start in segment.texts[FINE] if start < self.partition_state.rolled_us
        ):
            hours.setdefault(start_us // HOUR_US * HOUR_US, []).append(segment.texts[FINE].pop(start_us))
            self.partition_state.mark_texts(feature.key, segment.key, FINE, start_us)
        for hour_us, blocks in hours.items():
            hour = segment.texts[HOUR].get(hour_us)
            segment.texts[HOUR][hour_us] = roll_up_texts([*([hour] if hour else []), *blocks], hour_us)
            self.partition_state.mark_texts(feature.key, segment.key, HOUR, hour_us)
        for start_us in [
            start for start in segment.texts[HOUR] if start + HOUR_US <= edge_us - TEXT_RETENTION_US
        ]:
            del segment.texts[HOUR][start_us]
            self.partition_state.mark_texts(feature.key, segment.key, HOUR, start_us)
        for start_us, block in segment.texts[FINE].items():
            if start_us + BLOCK_US <= edge_us:
                block.pack()

    def _tidy(self, feature: FeatureState, edge_us: int) -> None:
        feature.hourly_responses = {
            hour: n
            for hour, n in feature.hourly_responses.items()
            if (hour + 1) * HOUR_US > edge_us - HOUR_RETENTION_US
        }
        feature.longest_pauses = {
            hour: pauses for hour, pauses in feature.longest_pauses.items() if (hour + 25) * HOUR_US > edge_us
        }
        feature.producers.evict_until(edge_us - DAY_US)
        feature.resolved_edges = {
            name: cleared_us
            for name, cleared_us in feature.resolved_edges.items()
            if cleared_us > edge_us - HOUR_RETENTION_US  # no window reaches further back
        }
        forget_gaps(feature, edge_us - HOUR_RETENTION_US)
        feature.cache.clear()  # hours have taken the place of panes
        self.partition_state.mark_feature(feature.key)
        if (
            not feature.segments
            and not feature.producers.entries
            and not self.partition_state.incidents.get(feature.key)
        ):
            self._drop(feature)

    def _drop(self, feature: FeatureState) -> None:
        """Drop an empty feature; its counters go to `other`, so that no event is unaccounted for."""
        rest = FeatureKey(OTHER, OTHER, feature.key.environment)
        if feature.key == rest:
            return
        if feature.expired or feature.late or feature.received or any(feature.producer_totals()):
            self.partition_state.feature(rest).merge_totals(feature)
        self.partition_state.drop_feature(feature.key)

    def _coarsen(
        self,
        feature: FeatureState,
        segment: SegmentSeries,
        fine: str,
        coarse: str,
        length_us: int,
        until_us: int,
    ) -> int:
        """Merge fine panes into coarse ones; return how many coarse ones changed."""
        changed = set()
        for start_us in sorted(start for start in segment.panes_by_resolution[fine] if start < until_us):
            pane = segment.panes_by_resolution[fine].pop(start_us)
            coarse_us = start_us // length_us * length_us
            target = segment.panes_by_resolution[coarse].get(coarse_us)
            if target is None:
                target = segment.panes_by_resolution[coarse][coarse_us] = Pane(coarse_us)
            target.merge(pane)
            changed.add(coarse_us)
            feature.invalidate_pane(segment, start_us, is_moved=True)
            feature.invalidate_pane(segment, coarse_us, is_moved=True)
            self.partition_state.mark_pane(feature.key, segment.key, fine, start_us)
            self.partition_state.mark_pane(feature.key, segment.key, coarse, coarse_us)
        return len(changed)


_time = lru_cache(maxsize=256)(rfc3339)
"""The same few times are written for all series."""


def _whole(panes: Sequence[Pane], start_us: int) -> Pane:
    return panes[0] if len(panes) == 1 else merge_panes(panes, start_us)


def _revision(feature: FeatureState, start_us: int) -> int:
    """Return the revision of a feature's window: one if any event came in time, and one more for each late
    revision of its segments.
    """
    panes = [pane for segment in feature.segments.values() for pane in segment.panes_at(start_us)]
    return sum(pane.late for pane in panes) + any(pane.revision > pane.late for pane in panes)
