from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.reports.plot_panels import FIXED, panels_of
from monitor.reports.time_series import POINTS, Measurements
from monitor.reports.window_histogram import HistogramRecord, MergeableHistogram
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.pane import Pane
from monitor.windows.record import WindowRecord, complete_metrics, mergeable_metrics
from schemas.times import rfc3339
from tests.tiers import examples

PANE_US = 60_000_000


def window(
    minute: int,
    tokens: list[int],
    failed: int = 0,
    revision: int = 1,
    feature: str = "answer",
    level: str = "feature",
) -> WindowRecord:
    """A window record of the core: one response per given number of tokens, of which some failed."""
    pane = Pane(minute * PANE_US)
    pane.events = len(tokens)
    pane.rate("pass_rate").add(1_000_000, len(tokens), failed)
    values = np.array(tokens, np.int64)
    codes, counts = np.unique(bucket_codes(values), return_counts=True)
    pane.number("output_tokens").add(
        1_000_000, len(tokens), sum(tokens), dict(zip(codes.tolist(), counts.tolist(), strict=True))
    )
    return WindowRecord(
        level=level,
        service="bot",
        feature=feature,
        environment="production",
        model="",
        prompt_version="",
        variant="",
        dimensions={},
        start=rfc3339(pane.start_us),
        end=rfc3339(pane.start_us + PANE_US),
        revision=revision,
        events=pane.events,
        metrics=complete_metrics(mergeable_metrics(pane)),
    )


KEY = ("bot", "answer", "production")


@settings(max_examples=examples(1 / 4))
@given(
    st.lists(
        st.tuples(st.integers(0, 30_000), st.lists(st.integers(1, 5000), min_size=1, max_size=5)),
        min_size=1,
        max_size=60,
    )
)
def test_merging_panes_loses_no_event_and_sums_are_exact(panes):
    panes = sorted(dict(panes).items())
    measurements = Measurements(PANE_US, FIXED)
    measurements.take([window(minute, tokens, failed=1) for minute, tokens in panes])
    bins = [bin for _, bin in measurements.series[KEY].points()]
    assert sum(item.events for item in bins) == measurements.events == sum(len(tokens) for _, tokens in panes)
    assert sum(item.rates["pass_rate"].failures for item in bins) == len(panes)
    assert sum(
        item.spreads["output_tokens"].mean() * item.spreads["output_tokens"].n for item in bins
    ) == pytest.approx(sum(map(sum, dict(panes).values())))


def test_a_plot_has_a_limited_number_of_points_of_equal_width_and_keeps_extremes():
    measurements = Measurements(PANE_US, FIXED)
    worst = 3333
    measurements.take(
        [window(minute, [100] * 30, failed=30 if minute == worst else 0) for minute in range(5000)]
    )
    series = measurements.series[KEY]
    points = series.points()
    assert POINTS / 2 < len(points) <= POINTS
    assert {start_us % series.width_us for start_us, _ in points} == {0}
    point = next(
        point for start_us, point in points if start_us <= worst * PANE_US < start_us + series.width_us
    )
    assert point.read("pass_rate", "").value > 0.9  # all panes of the point together
    assert point.low["pass_rate"] < 0.15  # and the one of them that surely was bad
    assert point.panes == series.width_us // PANE_US


def test_with_few_events_points_are_wider_but_some_points_remain():
    busy, seldom = Measurements(PANE_US, FIXED), Measurements(PANE_US, FIXED)
    busy.take([window(minute, [100] * 100) for minute in range(180)])
    seldom.take([window(minute, [100]) for minute in range(180)])
    assert len(busy.series[KEY].points()) == 180
    assert 40 <= len(seldom.series[KEY].points()) < 80


def test_a_revision_replaces_the_previous_window():
    measurements = Measurements(PANE_US, FIXED)
    measurements.take([window(1, [10]), window(2, [10]), window(1, [10, 20, 30], failed=2, revision=2)])
    assert measurements.events == 4
    assert [bin.events for _, bin in measurements.series[KEY].points()] == [3, 1]


def test_windows_of_segments_are_not_counted():
    measurements = Measurements(PANE_US, FIXED)
    measurements.take([window(1, [10], level="segment"), window(1, [10])])
    assert measurements.events == 1


@settings(max_examples=examples(1 / 2))
@given(
    st.lists(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), min_size=1, max_size=6),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_quantiles_of_merged_windows_are_those_of_all_values_within_the_histograms_error(groups, q):
    measurements = Measurements(PANE_US, panels_of(["output_tokens.p99"]))
    measurements.take([window(minute, tokens) for minute, tokens in enumerate(groups)])
    bins = [item for _, item in measurements.series[KEY].points()]
    whole = bins[0]
    for item in bins[1:]:
        whole.merge(item)
    values = sorted(value for tokens in groups for value in tokens)
    exact = values[max(0, int(np.ceil(q * len(values) * (1 - 1e-12))) - 1)]
    assert whole.read("output_tokens", f"p{q * 100:.0f}").value == pytest.approx(exact, rel=0.012)


def test_histograms_of_different_scales_merge_at_the_coarser_scale():
    fine, coarse = (
        MergeableHistogram(HistogramRecord(5, 320, [4.0]), 1.0, 4096.0),
        MergeableHistogram(HistogramRecord(3, 80, [4.0], zero=2.0), 1.0, 4200.0),
    )
    coarse.merge(fine)
    assert coarse.n == 10
    assert coarse.scale == 3
    assert coarse.quantile(0.1) == 0.0
    assert coarse.quantile(0.9) == pytest.approx(1024, rel=0.1)


def test_negative_values_precede_zero_and_positive_values():
    histogram = MergeableHistogram(
        HistogramRecord(5, 31, [1.0], zero=1.0, negative=HistogramRecord(5, 95, [1.0])), 2.0**-1, -6.0
    )
    assert histogram.quantile(0.2) == pytest.approx(-4, rel=0.02)
    assert histogram.quantile(0.5) == 0.0
    assert histogram.quantile(0.9) == pytest.approx(1, rel=0.02)
