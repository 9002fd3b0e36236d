"""What few events a day mean for decisions: fewer looks, so that each may be wrong a little more often.

A promise of false pages is one of days. Rules are read each minute, but a reading changes only when events
come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from statistics import NormalDist

from monitor.drift.lagging_reference import MIN_REFERENCE_EVENTS
from monitor.drift.shiryaev_roberts import ShiryaevRoberts

LOOKS_A_DAY = 1440.0
"""Looks that the promise allows for: one a minute."""
QUIET_EVENTS = 100.0
"""Most events of a day at low traffic."""
QUIET_REFERENCE_EVENTS = 30.0
"""Events of reference that suffice at low traffic, if they are two days old."""
QUIET_LEARNT_US = 2 * 24 * 3600 * 1_000_000
HOUR_US = 3_600_000_000


def most_events_a_day(hourly_events: Mapping[int, int], edge_us: int) -> float:
    """Return the most events of any 24 hours in the past, at most ``LOOKS_A_DAY``.

    Args:
        hourly_events: hour number -> events; of some days. Less than 0 for hours that are not counted.
        edge_us: the present edge, microseconds since 1970.

    >>> most_events_a_day({0: 3, 10: 4, 30: 5}, 31 * HOUR_US)
    9.0
    """
    hours = [(edge_us - 1) // HOUR_US]
    if _day(hourly_events, hours[0]) <= QUIET_EVENTS:
        hours += sorted(hourly_events, reverse=True)
    most = 0
    for hour in hours:
        most = max(most, _day(hourly_events, hour))
        if most > QUIET_EVENTS:
            return LOOKS_A_DAY
    return float(most)


def _day(hourly_events: Mapping[int, int], last_hour: int) -> int:
    return sum(max(0, hourly_events.get(last_hour - back, 0)) for back in range(24))


def adapt_detector(detector: ShiryaevRoberts, run_length: float, events_a_day: float, age_us: int) -> None:
    """Set the run length and the least reference of a detector by the traffic of its series.

    Args:
        detector: of a learned baseline.
        run_length: mean number of blocks to a false alarm if each minute has events.
        events_a_day: the most events of a day.
        age_us: of the baseline.
    """
    is_quiet = events_a_day <= QUIET_EVENTS
    bound = run_length * max(events_a_day, 1.0) / LOOKS_A_DAY if is_quiet else run_length
    is_old = is_quiet and age_us >= QUIET_LEARNT_US
    detector.reference.least_events = QUIET_REFERENCE_EVENTS if is_old else MIN_REFERENCE_EVENTS
    if detector.bound != bound:
        detector.bound = bound
        detector.reference.forget_ratios()


def z_of_days(z: float, windows: int, events: int, days: float) -> float:
    """Return the standard errors of a window of days that has few events.

    It is looked at when an event comes, as are the others, not each minute. So its interval may miss as much
    oftener as there are fewer looks.

    Args:
        z: standard errors of a window that is looked at each minute.
        windows: how many are looked at, beside one that is looked at each minute.
        events: in the window.
        days: length of the window.

    >>> round(z_of_days(4.8, 8, events=14, days=7.0), 2), z_of_days(4.8, 8, events=1_000, days=1.5)
    (3.8, 4.8)
    """
    return _z_of_looks(z, windows * max(1, math.ceil(events / days)))


@cache
def _z_of_looks(z: float, looks: int) -> float:
    if looks >= LOOKS_A_DAY:
        return z
    return -NormalDist().inv_cdf(NormalDist().cdf(-z) * LOOKS_A_DAY / looks)
