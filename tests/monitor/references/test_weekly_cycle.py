"""The tolerance for the same hours of last week."""

from __future__ import annotations

import pytest

from monitor.references.finder import ReferenceFinder
from monitor.references.weekly_cycle import MAX_TOLERANCE, WeeklyCycle
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, HOUR, HOUR_US, SegmentSeries

METRIC = "pass_rate"
MONDAY_US = 18_256 * DAY_US  # 2019-12-23
SEGMENT = SegmentKey("m", "", "", ())


def pane(hour: int, n: int, failures: int) -> Pane:
    out = Pane(hour * HOUR_US)
    out.rate(METRIC).add(1_000_000, n, failures)
    return out


def feature_of(rates: dict[int, tuple[int, int]]) -> FeatureState:
    """Return a feature with these counts by hour from ``MONDAY_US`` on."""
    feature = FeatureState(FeatureKey("s", "f", "production"))
    feature.first_us = MONDAY_US
    segment = feature.segments[SEGMENT] = SegmentSeries(SEGMENT)
    for hour, (n, failures) in rates.items():
        start_us = MONDAY_US + hour * HOUR_US
        segment.panes_by_resolution[HOUR][start_us] = pane(start_us // HOUR_US, n, failures)
    return feature


WEEKENDS = {day * 24 + hour: (100, 4 if day % 7 >= 5 else 1) for day in range(12) for hour in range(24)}


@pytest.mark.parametrize(
    ("hour", "rate"), [(0, 0.04), (5, 0.04), (24, 0.04), (47, 0.04), (-20, 0.01), (70, 0.01)]
)
def test_a_weekend_has_the_rate_of_the_previous_weekend_up_to_its_edges(hour: int, rate: float) -> None:
    edge_us = MONDAY_US + (12 * 24 + hour) * HOUR_US + HOUR_US // 2
    week = ReferenceFinder().last_week(feature_of(WEEKENDS), SEGMENT, edge_us)
    assert week is not None
    assert week.failure_rate(METRIC) == pytest.approx(rate)
    assert week.tolerance(METRIC, 0.01) == pytest.approx(rate / 0.01)


def test_the_first_seven_days_have_no_weekly_cycle() -> None:
    assert ReferenceFinder().last_week(feature_of(WEEKENDS), None, MONDAY_US + 7 * DAY_US - 1) is None


@pytest.mark.parametrize("hour", [0.5, 6, 30, 47.5])
def test_a_weekend_on_which_a_feature_began_is_known_at_the_next(hour: float) -> None:
    rates = {day * 24 + hour: (100, 4 if day % 7 < 2 else 1) for day in range(7) for hour in range(24)}
    edge_us = MONDAY_US + int((7 * 24 + hour) * HOUR_US)
    week = ReferenceFinder().last_week(feature_of(rates), SEGMENT, edge_us)
    assert week is not None
    assert week.failure_rate(METRIC) == pytest.approx(0.04)


def test_a_short_outage_is_left_out_and_a_long_rise_is_not() -> None:
    rates = {**dict.fromkeys(range(300), (100, 1)), 50: (100, 90), 51: (100, 80)}
    feature, edge_us = feature_of(rates), MONDAY_US + (7 * 24 + 50) * HOUR_US + HOUR_US // 2
    short = ((MONDAY_US + 50 * HOUR_US, MONDAY_US + 52 * HOUR_US),)
    long = ((MONDAY_US + 46 * HOUR_US, MONDAY_US + 56 * HOUR_US),)
    finder = ReferenceFinder()
    without, with_rise = (finder.last_week(feature, None, edge_us, gaps) for gaps in (short, long))
    assert without is not None
    assert with_rise is not None
    assert without.tolerance(METRIC, 0.01) == pytest.approx(1)
    assert with_rise.tolerance(METRIC, 0.01) == MAX_TOLERANCE


def test_few_events_and_unknown_metrics_have_no_tolerance() -> None:
    assert WeeklyCycle(100, {100: [pane(100, 99, 99)]}).tolerance(METRIC, 0.01) == 1
    assert WeeklyCycle(100, {}).tolerance("error_rate", 0.01) == 1
    assert WeeklyCycle(100, {100: [pane(100, 500, 5)]}).tolerance(METRIC, 0.02) == 1
