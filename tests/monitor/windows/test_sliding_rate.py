"""Laws of sliding sums: a rate over a window that slides equals the merged rates of its panes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries
from monitor.windows.sliding_rate import sliding_rate

MINUTE_US = 60_000_000
KEY = FeatureKey("bot", "answer", "production")
SEGMENTS = (SegmentKey("m"), SegmentKey("n"))
MILLION = 1_000_000
METRIC = "error_rate"


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12),  # minutes late
            st.sampled_from(SEGMENTS),
            st.sampled_from([METRIC, "pass_rate"]),
            st.sampled_from([MILLION, MILLION, MILLION, MILLION // 2]),
            st.integers(0, 9),
        ),
        min_size=40,
        max_size=60,
    ),
    st.integers(0, 4),
)
def test_a_sliding_rate_equals_the_merged_rates_of_its_panes(
    events: list[tuple[int, SegmentKey, str, int, int]], lag: int
) -> None:
    state = PartitionState(MINUTE_US, "test")
    feature = state.feature(KEY)
    for segment_key in SEGMENTS:
        feature.segments[segment_key] = SegmentSeries(segment_key)
    known, has_several = 0, len({ppm for _, _, _, ppm, _ in events}) > 1
    for number, (late, segment_key, metric, ppm, n) in enumerate(events):
        minute = 20 + number // 2
        start_us = (minute - late) * MINUTE_US
        pane = state.pane(feature, feature.segments[segment_key], start_us)
        pane.rate(metric).add(ppm, n, n // 2)
        pane.stale = False
        if number % 3 == 0:
            feature.pack(start_us)
        if number % 2:
            edge_us = (minute + 1) * MINUTE_US
            feature.cache.add_late_counts(feature.segments)
            for series in (None, *SEGMENTS):
                until_us = edge_us - lag * MINUTE_US
                since_us = until_us - 8 * MINUTE_US
                rate = sliding_rate(feature, series, METRIC, edge_us, MINUTE_US, since_us, until_us)
                segments = feature.segments.values() if series is None else [feature.segments[series]]
                expected = Rate()
                for segment in segments:
                    for pane_us, counted in segment.panes.items():
                        pane_rate = counted.find_rate(METRIC)
                        if since_us <= pane_us < until_us and pane_rate is not None:
                            expected.merge(pane_rate)
                if rate is not None:
                    known += 1
                    assert rate.state() == expected.state()
                else:
                    assert has_several
    assert known > 20 or has_several


def test_one_statistic_of_a_packed_pane_is_read_without_unpacking_it() -> None:
    pane = Pane(0)
    pane.rate(METRIC).add(MILLION, 5, 1)
    pane.number("output_tokens").add(MILLION, 1, 20, {33: 1})
    rate, number = pane.rates[METRIC].state(), pane.numbers["output_tokens"].state()
    for _ in range(2):
        found_rate, found_number = pane.find_rate(METRIC), pane.find_number("output_tokens")
        assert found_rate is not None
        assert found_number is not None
        assert (found_rate.state(), found_number.state()) == (rate, number)
        assert pane.find_rate("pass_rate") is None
        assert pane.find_number("input_tokens") is None
        pane.shrink()
        assert pane.is_packed


def test_a_pane_with_counts_that_no_window_has_reported_is_not_packed() -> None:
    pane = Pane(0)
    pane.open_for_counting()
    pane.shrink()
    assert not pane.is_packed
