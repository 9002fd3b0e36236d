"""A few calls a day: an outage is found within a day, or a week from birth, and a healthy feature never pages."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.lagging_reference import MIN_REFERENCE_EVENTS
from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.rules.learned_baseline import RUN_LENGTH
from monitor.rules.low_traffic import (
    LOOKS_A_DAY,
    QUIET_LEARNT_US,
    QUIET_REFERENCE_EVENTS,
    adapt_detector,
    most_events_a_day,
    z_of_days,
)
from tests.monitor.event_values import NINE, event
from tests.monitor.restarted_watch import alerts_of

DAY_S = 86_400
BAD: dict[str, dict[str, Any]] = {
    "empty": {"output": ""},
    "refused": {"output": "I'm sorry, but I can't help with that."},
    "errors": {"output": None, "error_type": "timeout"},
}


def calls(a_day: float, good: int, bad: int, fault: str, share: float = 0.0, seed: int = 1) -> list[bytes]:
    rng, gap_s = random.Random(seed), DAY_S / a_day
    return [
        event(
            number * gap_s + rng.random() * gap_s / 4,
            event_id=f"e{number}",
            finish_reason="stop",
            **(BAD[fault] if number >= good or rng.random() < share else {}),
        )
        for number in range(good + bad)
    ]


def first_day(values: list[bytes], urgency: str = "high") -> float | None:
    """Return when the first page, or ticket, was decided, in days since the first call."""
    times = [
        (datetime.fromisoformat(alert["time"]) - NINE).total_seconds() / DAY_S
        for alert in alerts_of(values)
        if alert["record"] == "episode" and alert["urgency"] == urgency
    ]
    return times[0] if times else None


@pytest.mark.parametrize("fault", list(BAD))
@pytest.mark.parametrize(("a_day", "good", "failures"), [(6, 60, 6), (12, 60, 7), (2, 40, 7)])
def test_an_outage_of_a_feature_that_was_good_is_found_after_a_few_calls(
    a_day: float, good: int, failures: int, fault: str
) -> None:
    day = first_day(calls(a_day, good, 12, fault))
    assert day is not None
    assert good / a_day < day <= (good + failures) / a_day


@pytest.mark.parametrize(("a_day", "days"), [(2, 7.6), (3, 5.4), (6, 3)])
def test_a_feature_that_is_bad_from_birth_gets_a_ticket_within_days(a_day: float, days: float) -> None:
    day = first_day(calls(a_day, 0, round(9 * a_day), "empty"), "low")
    assert day is not None
    assert day <= days


@pytest.mark.parametrize(("a_day", "share", "fault"), [(6, 0.05, "empty"), (20, 0.2, "refused")])
def test_a_quiet_feature_without_a_change_does_not_page(a_day: float, share: float, fault: str) -> None:
    assert first_day(calls(a_day, 300, 0, fault, share)) is None


@given(st.dictionaries(st.integers(0, 200), st.integers(-1, 80), max_size=40), st.integers(150, 200))
def test_the_most_events_of_a_day_are_those_of_some_24_hours(hours: dict[int, int], now: int) -> None:
    most = most_events_a_day(hours, (now + 1) * 3_600_000_000)
    days = [sum(max(0, n) for hour, n in hours.items() if last - 24 < hour <= last) for last in (*hours, now)]
    assert most == (max(days) if max(days) <= 100 else LOOKS_A_DAY)


def test_the_run_length_is_that_of_the_looks_of_a_day() -> None:
    detector = ShiryaevRoberts(RUN_LENGTH)
    adapt_detector(detector, RUN_LENGTH, 6, QUIET_LEARNT_US)
    assert detector.bound == pytest.approx(RUN_LENGTH / 240)
    assert detector.reference.least_events == QUIET_REFERENCE_EVENTS
    adapt_detector(detector, RUN_LENGTH, 6, QUIET_LEARNT_US - 1)
    assert detector.reference.least_events == MIN_REFERENCE_EVENTS
    adapt_detector(detector, RUN_LENGTH, LOOKS_A_DAY, QUIET_LEARNT_US)
    assert (detector.bound, detector.reference.least_events) == (RUN_LENGTH, MIN_REFERENCE_EVENTS)


@given(st.integers(1, 2000), st.sampled_from([3.0, 5.0, 7.0]))
def test_more_events_need_as_many_standard_errors_or_more(events: int, days: float) -> None:
    assert 3.5 < z_of_days(4.8, 8, events, days) <= z_of_days(4.8, 8, events + 1, days) <= 4.8
