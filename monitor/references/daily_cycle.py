"""The daily cycle: how much a rate changes by itself from hour to hour.

A rule tolerates it, so that the worst hour of a usual day counts as no rise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from monitor.stats.rate import Rate
from monitor.windows.pane import Pane

MIN_HOURS = 6
MIN_HOUR_EVENTS = 30.0
"""Effective events of an hour that counts."""
PEAK_DEVIATIONS = 1.5
"""Standard deviations between hours: the peak of a sine lies 1.41 above its mean."""
MAX_TOLERANCE = 1.6


def no_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Replace ``wilson_interval`` where only the value and the effective events of a rate are needed."""
    return rate, rate


class DailyCycle:
    """The hours of one series, and how far its rates vary between them, computed on demand.

    Args:
        hours: the panes of each hour.
    """

    def __init__(self, hours: Iterable[Sequence[Pane]]) -> None:
        self._hours = list(hours)
        self._tolerances: dict[str, float] = {}

    def tolerance(self, metric: str) -> float:
        """Return the tolerance of a rate, 1 to 1.6; see ``cycle_tolerance``."""
        if metric not in self._tolerances:
            hours = [
                [rate for pane in panes if (rate := pane.find_rate(metric)) is not None]
                for panes in self._hours
            ]
            self._tolerances[metric] = cycle_tolerance([_merge(rates) for rates in hours if rates])
        return self._tolerances[metric]


def _merge(rates: Sequence[Rate]) -> Rate:
    if len(rates) == 1:
        return rates[0]
    out = Rate()
    out.merge_all(rates)
    return out


def cycle_tolerance(hours: Sequence[Rate]) -> float:
    """Return how far the failure rate may exceed its mean through daily seasonality alone, 1 to 1.6.

    It is 1 with fewer than six hours of 30 events, and if chance explains the differences of the hours.

    Source: DerSimonian and Laird, Controlled Clinical Trials 7 (1986), the moment estimate of a variance
    between groups.

    >>> steady, night, noon = Rate(), Rate(), Rate()
    >>> steady.add(1_000_000, 6000, 180), night.add(1_000_000, 6000, 130), noon.add(1_000_000, 6000, 230)
    (None, None, None)
    >>> cycle_tolerance([steady] * 24), round(cycle_tolerance([steady, night, steady, noon] * 6), 1)
    (1.0, 1.3)
    """
    estimates = [
        estimate
        for estimate in (rate.estimate(0.0, interval=no_interval) for rate in hours)
        if estimate.value is not None and estimate.n >= MIN_HOUR_EVENTS
    ]
    total = sum(estimate.n for estimate in estimates)
    if len(estimates) < MIN_HOURS:
        return 1.0
    mean = sum(estimate.n * (estimate.value or 0.0) for estimate in estimates) / total
    if not 0 < mean < 1:
        return 1.0
    freedom = len(estimates) - 1
    squares = sum(estimate.n * ((estimate.value or 0.0) - mean) ** 2 for estimate in estimates)
    q = squares / (mean * (1 - mean))
    if q - freedom <= 2 * math.sqrt(2 * freedom):
        return 1.0
    unequal = sum(estimate.n**2 for estimate in estimates) / total
    variance = (q - freedom) * mean * (1 - mean) / (total - unequal)
    return min(MAX_TOLERANCE, 1 + PEAK_DEVIATIONS * math.sqrt(max(0.0, variance)) / mean)
