"""How much a rate goes up and down by itself from hour to hour, so that the worst hour of a usual day is no
rise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from monitor.stats.rate import Rate
from monitor.windows.pane import Pane

MIN_HOURS = 6  # at least, of at least so many effective events each:
MIN_HOUR_EVENTS = 30.0
PEAK_DEVIATIONS = 1.5  # standard deviations between hours: a sine's peak lies 1.41 above its mean
MAX_TOLERANCE = 1.6


def no_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """In place of ``monitor.stats.rate.wilson_interval`` where a rate's value and effective events are all that is
    asked for.
    """
    return rate, rate


class DailyCycle:
    """The hours of one series, and what their rates vary by: each is worked out when it is first asked for."""

    def __init__(self, hours: Iterable[Sequence[Pane]]) -> None:
        self._hours = list(hours)
        self._known: dict[str, float] = {}

    def tolerance(self, metric: str) -> float:
        """That of a rate of this name, 1 to 1.6."""
        if metric not in self._known:
            several = [
                [pane.rates[metric] for pane in panes if metric in pane.rates] for panes in self._hours
            ]
            self._known[metric] = cycle_tolerance([_whole(rates) for rates in several if rates])
        return self._known[metric]


def _whole(rates: Sequence[Rate]) -> Rate:
    if len(rates) == 1:
        return rates[0]
    out = Rate()
    out.merge_all(rates)
    return out


def cycle_tolerance(hours: Sequence[Rate]) -> float:
    """By what factor the rate of failures may exceed its mean for nothing, 1 to 1.6; 1 where chance explains
    what the hours differ by.

    Source: DerSimonian and Laird, Controlled Clinical Trials 7 (1986), the moment estimate of a variance
    between groups.

    >>> steady, night, noon = Rate(), Rate(), Rate()
    >>> steady.add(1_000_000, 6000, 180), night.add(1_000_000, 6000, 130), noon.add(1_000_000, 6000, 230)
    (None, None, None)
    >>> cycle_tolerance([steady] * 24), round(cycle_tolerance([steady, night, steady, noon] * 6), 1)
    (1.0, 1.3)
    """
    found = [
        one
        for one in (rate.estimate(0.0, interval=no_interval) for rate in hours)
        if one.value is not None and one.n >= MIN_HOUR_EVENTS
    ]
    total = sum(one.n for one in found)
    if len(found) < MIN_HOURS:
        return 1.0
    mean = sum(one.n * (one.value or 0.0) for one in found) / total
    if not 0 < mean < 1:
        return 1.0
    freedom = len(found) - 1
    q = sum(one.n * ((one.value or 0.0) - mean) ** 2 for one in found) / (mean * (1 - mean))
    if q - freedom <= 2 * math.sqrt(2 * freedom):
        return 1.0
    variance = (q - freedom) * mean * (1 - mean) / (total - sum(one.n**2 for one in found) / total)
    return min(MAX_TOLERANCE, 1 + PEAK_DEVIATIONS * math.sqrt(max(0.0, variance)) / mean)
