"""What a silence is held against."""

from __future__ import annotations

from monitor.features import HOUR_US, FeatureState
from monitor.rules.no_data import expectation
from monitor.segments import FeatureKey

HALF_PAST_EIGHT_US = (3 * 24 + 20) * HOUR_US + HOUR_US // 2


def known(evening: int) -> FeatureState:
    """Three days of 120 calls an hour until eight in the evening, so many in the hour after eight, and none at night."""
    feature = FeatureState(FeatureKey("s", "f", "production"))
    feature.first_us = 1
    feature.hourly = {day * 24 + hour: 120 for day in range(4) for hour in range(8, 20)} | {day * 24 + 20: evening for day in range(4)}
    return feature


def test_the_edge_of_a_quiet_night_is_expected_to_be_quiet() -> None:
    assert expectation(known(60), HALF_PAST_EIGHT_US, HALF_PAST_EIGHT_US + HOUR_US // 3) == 0


def test_in_the_middle_of_the_day_one_expects_what_the_days_before_brought() -> None:
    noon_us = (3 * 24 + 12) * HOUR_US
    assert expectation(known(60), noon_us, noon_us + HOUR_US // 2) == 60
