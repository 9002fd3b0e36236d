"""Laws of late counts: references that took them in equal references that are made anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.references.finder import ReferenceFinder
from monitor.references.gaps import Gaps
from monitor.state.partition_state import PartitionState
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.pane_difference import pane_difference
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, SegmentSeries

MINUTE_US = 60_000_000
KEY = FeatureKey("bot", "answer", "production")
SEGMENTS = (SegmentKey("m"), SegmentKey("n"))
T = 100 * DAY_US
MILLION = 1_000_000

COUNTS = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.sampled_from([MILLION, MILLION // 4, *range(1000, 9000, 250)]),
        st.sampled_from([0, 1, 7, 300, 10**12]),
        st.sampled_from(["stop", "length", *(f"label {number}" for number in range(70))]),
    ),
    max_size=4,
)
"""Events, probability, value and label; enough of each for the grids to become coarse."""


def count(pane: Pane, counts: list[tuple[int, int, int, str]]) -> None:
    for n, ppm, value, label in counts:
        pane.events += n
        pane.rate("error_rate").add(ppm, n, n // 3)
        code = int(bucket_codes(np.array([value]))[0])
        pane.number("output_tokens").add(ppm, n, n * value, {code: n})
        pane.category("finish_reason").add(ppm, {label: n})


def facts(feature: FeatureState, finder: ReferenceFinder, edge_us: int, gaps: Gaps) -> list[object]:
    """Return all that the references of both series and of two windows state."""
    out: list[object] = []
    for segment_key in (None, *SEGMENTS):
        for window_us in (MINUTE_US, 5 * MINUTE_US):
            reference = finder.find("trailing 24h", feature, segment_key, edge_us, window_us, 0, gaps)
            if reference is not None:
                blocks = [(pane.start_us, pane.state()) for pane in reference.blocks]
                out.append((reference.start_us, reference.end_us, reference.pane.state(), blocks))
    return out


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(SEGMENTS), COUNTS), max_size=8),
    st.booleans(),
)
def test_a_reference_with_late_counts_equals_one_that_is_made_anew(
    late: list[tuple[int, SegmentKey, list[tuple[int, int, int, str]]]], has_gap: bool
) -> None:
    state = PartitionState(MINUTE_US, "test")
    feature = state.feature(KEY)
    gaps = ((T + 7 * MINUTE_US, T + 12 * MINUTE_US),) if has_gap else ()
    for segment_key in SEGMENTS:
        feature.segments[segment_key] = SegmentSeries(segment_key)
    finder, seen = ReferenceFinder(), 0
    for minute in range(2, 36):
        for segment_key in SEGMENTS:
            pane = state.pane(feature, feature.segments[segment_key], T + minute * MINUTE_US)
            count(pane, [(25, MILLION, 40 + minute, "stop"), (15, MILLION, 30, "length")])
        if minute > 20:
            for before, segment_key, counts in late[:3] if minute % 2 else late[3:]:
                if counts:
                    start_us = T + max(0, minute - before) * MINUTE_US
                    count(state.pane(feature, feature.segments[segment_key], start_us), counts)
        edge_us = T + (minute + 1) * MINUTE_US
        grown = facts(feature, finder, edge_us, gaps)
        if minute % 5 == 0 or minute > 30:
            anew = FeatureState(KEY)
            anew.segments = feature.segments
            assert grown == facts(anew, ReferenceFinder(), edge_us, gaps)
            seen += len(grown)
    assert seen > 10


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(SEGMENTS), COUNTS), max_size=12),
    st.sets(st.integers(0, 6)),
)
def test_the_merged_pane_of_a_feature_with_late_counts_equals_one_that_is_made_anew(
    late: list[tuple[int, SegmentKey, list[tuple[int, int, int, str]]]], packed: set[int]
) -> None:
    state = PartitionState(MINUTE_US, "test")
    feature = state.feature(KEY)
    for segment_key in SEGMENTS:
        feature.segments[segment_key] = SegmentSeries(segment_key)
    for minute in range(6):
        for segment_key in SEGMENTS[: 1 + minute % 2]:  # in some panes only one segment has events
            start_us = T + minute * MINUTE_US
            count(state.pane(feature, feature.segments[segment_key], start_us), [(5, MILLION, 40, "stop")])
    feature.cache.extend(T + 6 * MINUTE_US)
    for minute, segment_key, counts in [(0, SEGMENTS[0], []), *late]:
        start_us = T + minute * MINUTE_US
        if counts:
            count(state.pane(feature, feature.segments[segment_key], start_us), counts)
        if minute in packed:
            feature.cache.pack_merged(feature.segments, start_us)
        panes = [pane for series in feature.segments.values() if (pane := series.panes.get(start_us))]
        merged = feature.pane(start_us)
        assert (merged.state() if merged else None) == (
            merge_panes(panes, start_us).state() if len(panes) > 1 else panes[0].state() if panes else None
        )


@settings(deadline=None, max_examples=60)
@given(COUNTS, COUNTS, COUNTS)
def test_a_difference_merged_into_a_sum_gives_the_same_bytes_as_the_pane(
    first: list[tuple[int, int, int, str]],
    second: list[tuple[int, int, int, str]],
    others: list[tuple[int, int, int, str]],
) -> None:
    pane, other = Pane(0), Pane(0)
    count(pane, first)
    count(other, others)
    earlier, total = Pane.from_state(0, pane.state()), Pane(0)
    total.merge(other)
    total.merge(pane)
    count(pane, second)
    difference, expected = pane_difference(pane, earlier), Pane(0)
    if difference is None:
        return  # a grid became coarser: what was merged is dropped
    total.merge(difference)
    for part in (other, pane):
        expected.merge(part)
    assert total.state() == expected.state()


def test_a_difference_is_unknown_where_names_were_merged() -> None:
    pane = Pane(0)
    for number in range(64):
        count(pane, [(1, MILLION, 5, f"label {number}")])
    earlier = Pane.from_state(0, pane.state())
    for number in range(64, 90):
        count(pane, [(1, MILLION, 5, f"label {number}")])
    assert pane_difference(pane, earlier) is None
