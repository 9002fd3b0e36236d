"""Everything that one partition keeps."""

from __future__ import annotations

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident
from monitor.rules.learned_baseline import Baseline
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries

JUDGE_LABELS = "#labels"
"""After the name of a judge, in ``PartitionContents.evaluators``: the labels by which its rate is corrected."""


class PartitionContents:
    """Features, incidents and episodes of one partition, initially none.

    Attributes:
        digest: of the configuration that shapes panes; state of another digest is refused.
        watermark_us: None before the first event.
        rolled_us: before this edge there are hours and days instead of fine panes.
        dead_letters: reason -> records.
        left_out: "field.reason" -> optional fields of events that were left out or cut.
        forwarded: events sent to their own partition.
        unwritten: pane start -> segments with counts that no window has reported.
        evaluators: evaluator -> its identity, and start of the pane from which it counts. Of judges
            also their labels (``JUDGE_LABELS``), as their newest verdict states them.
        baselines: segment (None: the whole feature) -> metric -> learned baseline.
    """

    def __init__(self, pane_us: int, digest: str) -> None:
        self.pane_us = pane_us
        self.digest = digest
        self.features: dict[FeatureKey, FeatureState] = {}
        self.incidents: dict[FeatureKey, dict[tuple[SegmentKey | None, str], Incident]] = {}
        self.episodes: dict[FeatureKey, Episode] = {}
        self.watermark_us: int | None = None
        self.rolled_us = 0
        self.dead_letters: dict[str, int] = {}
        self.forwarded = 0
        self.left_out: dict[str, int] = {}
        self.unwritten: dict[int, set[tuple[FeatureKey, SegmentKey]]] = {}
        self.evaluators: dict[FeatureKey, dict[str, tuple[str, int]]] = {}
        self.baselines: dict[FeatureKey, dict[SegmentKey | None, dict[str, Baseline]]] = {}

    def feature_or_new(self, key: FeatureKey) -> FeatureState:
        """Return a feature; add it if it does not exist."""
        return self.features.get(key) or self.features.setdefault(key, FeatureState(key))

    def segment_or_new(self, feature: FeatureKey, key: SegmentKey) -> SegmentSeries:
        """Return a segment of a feature; add both if they do not exist."""
        segments = self.feature_or_new(feature).segments
        return segments.get(key) or segments.setdefault(key, SegmentSeries(key))

    def find_segment(self, feature: FeatureKey, key: SegmentKey) -> SegmentSeries | None:
        """Return a segment of a feature; None if it does not exist."""
        return self.features[feature].segments.get(key) if feature in self.features else None
