"""A sampled rate among a known number of calls."""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.stats.estimate import Estimate
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, NO_UNITS, Units
from monitor.stats.share_intervals import beta_quantile


class Calls(NamedTuple):
    """How many calls a window had: between ``least`` and ``most``, probably ``n``."""

    least: int
    n: int
    most: int


def estimate_of_calls(rate: Rate, z: float, calls: Calls, known: Units = NO_UNITS) -> Estimate | None:
    """Estimate the share of failures among a known number of calls, with exact bounds.

    A failure of weight w is one of N calls with probability r / w, so F of them are a binomial count of N
    draws: its bounds, times w. Of several weights each is a unit, as in ``Rate.estimate``. The effective n is
    N over the unit of the failures.

    Args:
        z: standard errors of the interval.
        calls: sampled or not.
        known: the heaviest weights of the series.

    Returns:
        None if the events decide as well by themselves, because failures weigh as much as others, or if the
        calls are fewer than the events, so that they cannot be all.

    Source: Clopper, Pearson, Biometrika 26 (1934); Hoeffding, JASA 58 (1963), for several weights.

    >>> rate = Rate()
    >>> rate.add(1_000_000, 100, 100)   # all errors are kept; of the other calls one in a thousand
    >>> estimate = estimate_of_calls(rate, 4.8, Calls(100, 100, 100), Units(any=1000.0, failed=1.0))
    >>> estimate.value, round(estimate.low, 2), round(rate.estimate(4.8, known=Units(1000.0, 1.0)).low, 3)
    (1.0, 0.87, 0.004)
    """
    events, units = rate.events, rate.units(known) if rate.classes else known
    if not events or units.any <= units.failed or calls.least < events:
        return None
    side = math.erfc(z / math.sqrt(2)) / 2
    failing = [MILLION / ppm for ppm, (_, f) in sorted(rate.classes.items()) if f]
    value = min(1.0, rate.weighted_counts()[0] / calls.n)
    low = 0.0
    for unit in failing:
        failed, _ = rate.unit_counts(Units(units.any, unit))
        bound = beta_quantile(failed, max(0.0, calls.most - failed) + 1, side / len(failing))
        low = max(low, min(1.0, bound * unit))
    failed, _ = rate.unit_counts(units)
    others = calls.least - failed
    high = min(1.0, (1 - beta_quantile(others, failed + 1, side)) * units.failed) if others > 0 else 1.0
    return Estimate(value, calls.n / units.failed, min(value, low), max(value, high))
