"""Reference gaps: when incidents of a rule on a series were open. Its own reference leaves these times out.

A gap belongs to one rule on one series. So an open incident pauses the learning of its own reference only,
and every other rule continues to learn.
"""

from __future__ import annotations

from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_series import DAY_US

Gaps = tuple[tuple[int, int], ...]
"""[start, end) of incidents, microseconds since 1970; end 0 while one is open."""

BEFORE_US = 5 * 60 * 1_000_000
"""A breach begins to go wrong before its edge."""
EVERY_SERIES = ""
"""Name under which gaps of releases without names are kept; they concern all rules and series."""
MAX_GAPS = 30
"""Gaps that a rule on a series keeps; the oldest is dropped first."""
MAX_SERIES = 300
"""Rules on series of a feature that keep gaps; the oldest is dropped first."""


def open_gap(feature: FeatureState, name: str, since_us: int) -> None:
    """Begin a gap, unless one is open.

    Args:
        feature: the feature of the series.
        name: of the rule on the series (``monitor.alerts.page_policy.series_name``).
        since_us: the edge at which its incident began.
    """
    gaps = feature.reference_gaps.pop(name, [])
    if not gaps or gaps[-1][1]:
        gaps = [*gaps[-MAX_GAPS + 1 :], [since_us - BEFORE_US, 0]]
    feature.reference_gaps[name] = gaps
    while len(feature.reference_gaps) > MAX_SERIES:
        del feature.reference_gaps[next(iter(feature.reference_gaps))]


def close_gap(feature: FeatureState, name: str, edge_us: int) -> None:
    """End the open gap of a rule on a series, if there is one."""
    for gap in feature.reference_gaps.get(name, ()):
        gap[1] = gap[1] or edge_us


def gaps_of(feature: FeatureState, *names: str) -> Gaps:
    """Return the gaps of some rules on a series."""
    if not feature.reference_gaps:
        return ()
    return tuple(
        (start_us, end_us)
        for name in (EVERY_SERIES, *names)
        for start_us, end_us in feature.reference_gaps.get(name, ())
    )


def forget_gaps(feature: FeatureState, until_us: int) -> None:
    """Drop the gaps that ended before this time, or that have been open since a day before it."""
    feature.reference_gaps = {
        name: kept
        for name, gaps in feature.reference_gaps.items()
        if (kept := [gap for gap in gaps if (gap[1] or gap[0] + DAY_US) > until_us])
    }


def frozen_us(gaps: Gaps, edge_us: int) -> int:
    """Return where a trailing reference ends at the latest: at the start of an open incident.

    An incident of more than a day counts as normal.
    """
    return min(
        (start_us for start_us, end_us in gaps if not end_us and start_us > edge_us - DAY_US),
        default=edge_us,
    )


def lies_in_gap(gaps: Gaps, start_us: int, end_us: int, since_us: int = 0) -> bool:
    """Return whether [start, end) overlaps an incident.

    Of an incident only the first day counts, since what lasts longer is normal. One that recurs at the same
    hours of two days does not count either.

    Args:
        since_us: what happened since then was accepted as normal, although it was an incident. Only incidents
            that began then or later count.
    """
    return any(
        begin_us < end_us
        and start_us < min(until_us or begin_us + DAY_US, begin_us + DAY_US)
        and begin_us >= since_us
        and not _recurs(gaps, begin_us, until_us)
        for begin_us, until_us in gaps
    )


def _recurs(gaps: Gaps, begin_us: int, until_us: int) -> bool:
    """Return whether an incident has another one at the same hours of the day before.

    That is a daily cycle, which a reference without these hours would never have.
    """
    return until_us > 0 and any(
        2 * (min(until_us, end_us + DAY_US) - max(begin_us, start_us + DAY_US)) > until_us - begin_us
        for start_us, end_us in gaps
        if end_us
    )
