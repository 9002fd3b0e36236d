"""The segments whose series of quality /metrics shows, where a partition has many."""

from __future__ import annotations

from heapq import nsmallest

from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries

MAX_EXPORTED_SEGMENTS = 250
"""Of a partition. Each takes 5 kB of a scrape and 0.5 ms of the event loop."""


def count_segments(partition_state: PartitionState) -> int:
    """Return the number of segments that have labels."""
    features = partition_state.features.values()
    return sum(len(feature.segments) - (UNLABELLED in feature.segments) for feature in features)


def exported_segments(
    partition_state: PartitionState, start_us: int, end_us: int
) -> set[tuple[FeatureKey, SegmentKey]] | None:
    """Return the segments to show; None if these are all.

    Those with a firing incident come first, then the busiest. Event counts between the same powers of two are
    equal here, so that the choice rarely changes from one scrape to the next.

    Args:
        start_us, end_us: the time in which events are counted, microseconds since 1970.
    """
    if count_segments(partition_state) <= MAX_EXPORTED_SEGMENTS:
        return None
    firing = {
        (feature_key, segment_key)
        for feature_key, incidents in partition_state.incidents.items()
        for (segment_key, _), incident in incidents.items()
        if incident.state == "firing"
    }
    ranked = [
        (
            (feature.key, segment_key) not in firing,
            -_events_between(segment, start_us, end_us).bit_length(),
            (feature.key, segment_key),
        )
        for feature in partition_state.features.values()
        for segment_key, segment in feature.segments.items()
        if segment_key != UNLABELLED
    ]
    return {series for _, _, series in nsmallest(MAX_EXPORTED_SEGMENTS, ranked)}


def _events_between(segment: SegmentSeries, start_us: int, end_us: int) -> int:
    """Return the events of the fine panes in [start, end); packed panes stay packed."""
    return sum(pane.events for begin_us, pane in segment.panes.items() if start_us <= begin_us < end_us)
