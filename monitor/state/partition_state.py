"""The state of one partition: its contents, and which of them differ from what is durable."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.state.partition_contents import PartitionContents
from monitor.state.record_codec import (
    CLOCK_KEY,
    Part,
    clock_value,
    record_key,
    record_value,
    restore_record,
)
from monitor.windows.feature_series import FeatureState
from monitor.windows.format_versions import LAYOUT, record_layout
from monitor.windows.pane import Pane, merge_rates
from monitor.windows.segment_keys import OTHER, OVERFLOW, FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE, LATE, SegmentSeries, shared_start
from monitor.windows.text_blocks import BLOCK_US, TextBlock
from monitor.windows.unrepeated_labels import label_values, with_label

FIRST_LAYOUT_WITH_WEIGHTS = 4
MAX_MIGRATED = 2000
"""Records of an older layout that are written again with one checkpoint."""


class PartitionState(PartitionContents):
    """Features, incidents and episodes of one partition, which become records and are restored from them.

    Args:
        pane_us: length of a pane, microseconds.
        digest: of the configuration that shapes panes.
    """

    def __init__(self, pane_us: int, digest: str) -> None:
        super().__init__(pane_us, digest)
        self._dirty: dict[Part, None] = {}
        self._outdated: dict[Part, None] = {}  # restored from an older layout and not written since

    def feature(self, key: FeatureKey) -> FeatureState:
        """Return the feature to count into; add it if it does not exist."""
        state = self.features.get(key)
        if state is None:
            state = self.features[key] = FeatureState(key)
        self._dirty["feature", key] = None
        return state

    def pane(
        self, feature: FeatureState, segment: SegmentSeries, start_us: int, resolution: str = FINE
    ) -> Pane:
        """Return the fine pane to count into; add it if it does not exist.

        Its window is written at its edge; if that has passed, at the next edge. ``resolution``: ``LATE`` for
        events that no rule reads.
        """
        panes = segment.panes_by_resolution[resolution]
        if resolution == FINE:
            feature.expect_counts(segment, start_us)
        pane = panes.get(start_us)
        if pane is None:
            start_us = shared_start(start_us)
            pane = panes[start_us] = Pane(start_us)
            if resolution == LATE and start_us in segment.panes:
                pane.samples = segment.panes[start_us].samples  # of one pane there are only so many
        pane.open_for_counting()
        segment.active_us = max(segment.active_us, start_us)
        self.unwritten.setdefault(start_us, set()).add((feature.key, segment.key))
        self._dirty["pane", feature.key, segment.key, resolution, start_us] = None
        return pane

    def texts(
        self, feature: FeatureState, segment: SegmentSeries, start_us: int, will_change: bool
    ) -> TextBlock:
        """Return the text block of the pane from ``start_us`` on; add it if it is new and ``will_change``."""
        block_us = start_us // BLOCK_US * BLOCK_US
        block = segment.texts[FINE].get(block_us)
        if block is None:
            block = TextBlock(block_us)
        if will_change:
            segment.texts[FINE][block_us] = block
            feature.cache.drop_texts(segment.key, block_us)
            self.mark_texts(feature.key, segment.key, FINE, block_us)
        return block

    def overflow(self, feature: FeatureState, start_us: int) -> None:
        """Merge the least recently active segment into ``other``; where a label never repeats, find it, and
        merge the segments of values that did not repeat.

        Windows that were written stay as they are. ``start_us``: start of the pane that needs a segment.
        """
        self._merge_segment(feature, feature.least_active(), OVERFLOW)
        if not feature.unrepeated.note_merged(start_us):
            return
        counts = {key: segment.events for key, segment in feature.segments.items()}
        for name in feature.unrepeated.find(counts, start_us):
            for key, segment in sorted(feature.segments.items()):
                value = label_values(key).get(name, "")
                if key != OVERFLOW and not feature.unrepeated.is_repeated(name, value):
                    self._merge_segment(feature, segment, with_label(key, name, OTHER))

    def _merge_segment(self, feature: FeatureState, leaving: SegmentSeries, target_key: SegmentKey) -> None:
        """Merge a segment into another one, and drop it."""
        other = feature.segments.get(target_key) or feature.segments.setdefault(
            target_key, SegmentSeries(target_key)
        )
        for resolution, panes in leaving.panes_by_resolution.items():
            for start_us, pane in panes.items():
                target = other.panes_by_resolution[resolution].get(start_us)
                if target is None:
                    target = other.panes_by_resolution[resolution][start_us] = Pane(start_us)
                closed = merge_rates(target.closed_rates(), pane.closed_rates())
                target.merge(pane)
                on_time = target.revision > target.late or pane.revision > pane.late
                target.late += pane.late
                target.revision = target.late + on_time
                target.stale = target.stale or pane.stale
                target.rates_at_close = closed if closed and target.stale else None
                if pane.stale:
                    self.unwritten.setdefault(start_us, set()).add((feature.key, target_key))
                    self.unwritten[start_us].discard((feature.key, leaving.key))
                feature.invalidate_pane(other, start_us)
                self.mark_pane(feature.key, leaving.key, resolution, start_us)
                self.mark_pane(feature.key, target_key, resolution, start_us)
        for resolution, blocks in leaving.texts.items():
            for start_us, block in blocks.items():
                other.texts[resolution].setdefault(start_us, TextBlock(start_us)).merge(block)
                self.mark_texts(feature.key, leaving.key, resolution, start_us)
                self.mark_texts(feature.key, target_key, resolution, start_us)
        other.active_us = max(other.active_us, leaving.active_us)
        if feature.weights.merge_segment(leaving.key, target_key):
            self.mark_weights(feature.key, target_key)
        self.drop_segment(feature, leaving.key)
        feature.overflowed += 1
        self.mark_feature(feature.key)

    def drop_segment(self, feature: FeatureState, key: SegmentKey) -> None:
        """Drop a segment that has no panes, with its learned baselines and weights."""
        del feature.segments[key]
        feature.text_quota = 0, 0.0
        feature.quiet_readings.clear()
        feature.cache.drop_segment(key)
        if feature.weights.memories.pop(key, None) is not None:
            self.mark_weights(feature.key, key)
        if self.baselines.get(feature.key, {}).pop(key, None) is not None:
            self.mark_baselines(feature.key, key)

    def drop_feature(self, key: FeatureKey) -> None:
        """Drop a feature with its learned baselines and weights."""
        for segment_key in self.features.pop(key).weights.memories:
            self.mark_weights(key, segment_key)
        for segment_key in self.baselines.pop(key, {}):
            self.mark_baselines(key, segment_key)

    def mark_baselines(self, feature: FeatureKey, segment: SegmentKey | None) -> None:
        """Mark the learned baselines of a series as changed."""
        self._dirty["baselines", feature, segment] = None

    def mark_weights(self, feature: FeatureKey, segment: SegmentKey | None) -> None:
        """Mark the weights of a series as changed."""
        self._dirty["weights", feature, segment] = None

    def mark_pane(self, feature: FeatureKey, segment: SegmentKey, resolution: str, start_us: int) -> None:
        """Mark a pane as changed or removed."""
        self._dirty["pane", feature, segment, resolution, start_us] = None

    def mark_texts(self, feature: FeatureKey, segment: SegmentKey, resolution: str, start_us: int) -> None:
        """Mark a text block as changed or removed."""
        self._dirty["texts", feature, segment, resolution, start_us] = None

    def mark_feature(self, feature: FeatureKey) -> None:
        """Mark the counts of a feature as changed, or the feature as removed."""
        self._dirty["feature", feature] = None

    def mark_incident(self, feature: FeatureKey, segment: SegmentKey | None, rule: str) -> None:
        """Mark an incident as changed or ended."""
        self._dirty["incident", feature, segment, rule] = None

    def mark_episode(self, feature: FeatureKey) -> None:
        """Mark an episode as changed or ended."""
        self._dirty["episode", feature] = None

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the records that differ since the last call: key, and value or None, which deletes.

        Some records of an older layout are added to each call, until none is left.
        """
        dirty, self._dirty = self._dirty, {}
        for part in list(self._outdated)[:MAX_MIGRATED]:
            del self._outdated[part]
            dirty[part] = None
        for part in dirty:
            if part[0] == "feature" and part[1] not in self.features:
                self.evaluators.pop(part[1], None)
        return [
            *((record_key(part), record_value(self, part)) for part in dirty),
            (CLOCK_KEY, clock_value(self)),
        ]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Restore what ``changed`` returned, in the order of the log.

        Raises:
            ValueError: a record cannot be read, or is of an unknown layout or another pane length; the
                message names its key.
        """
        without_weights: list[FeatureState] = []
        for key, value in dict(records).items():  # the last record of each key
            if value is None:
                continue
            part = restore_record(self, key, value)
            layout = record_layout(value)
            if part is not None and layout != LAYOUT:
                self._outdated[part] = None
                if part[0] == "feature" and layout < FIRST_LAYOUT_WITH_WEIGHTS:
                    without_weights.append(self.features[part[1]])
        for feature in without_weights:
            for segment_key in feature.observe_panes():
                self._outdated["weights", feature.key, segment_key] = None
