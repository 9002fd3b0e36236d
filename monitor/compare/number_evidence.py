"""Bounds and evidence for the difference of two quantiles, and evidence for that of two means."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from monitor.compare.confidence_sequence import Bounds, log_e_value
from monitor.compare.confidence_sequence_means import MIN_EVENTS, MIXTURE_VARIANCE, Moments
from monitor.compare.paired_counts import WeightedValues

_ALPHA_HALVINGS = 40


def log_e_means(b: Moments, a: Moments) -> float:
    """Return ln of the e-value against equal means: 1/alpha at the alpha whose bounds just touch 0.

    0 or less if an arm has under ``MIN_EVENTS`` events: then the bounds are infinite.

    >>> round(log_e_means(Moments(2000, 230.0, 10_000.0), Moments(5000, 200.0, 10_000.0)), 1)
    56.5
    """
    if min(a.n, b.n) < MIN_EVENTS:
        return 0.0
    squares = sum(arm.variance / (arm.n - 1) * (1 + 1 / (arm.n * MIXTURE_VARIANCE)) for arm in (a, b))
    if squares <= 0:
        return 0.0 if a.mean == b.mean else math.inf
    return (
        (b.mean - a.mean) ** 2 / squares - sum(math.log1p(arm.n * MIXTURE_VARIANCE) for arm in (a, b))
    ) / 2


def quantile_bounds(values: WeightedValues, q: float, alpha: float) -> Bounds:
    """Return a quantile with bounds that hold at all sample sizes.

    A value lies outside if the share of smaller events excludes ``q``: the event that a value is below the true
    quantile has probability q. Values are those of the histogram, so they are off by up to 1.1 % (at scale 5).

    Args:
        values: n above 0.
        q: 0 to 1, exclusive.
        alpha: 0 to 1, exclusive; of both bounds together.

    Source: Howard and Ramdas, Sequential estimation of quantiles, Bernoulli 28 (2022), by the beta-binomial mixture.
    """
    n = values.moments.n
    cumulative = np.cumsum(values.shares)
    value = float(values.values[min(int(np.searchsorted(cumulative, q)), len(cumulative) - 1)])
    least, most = _rank_bounds(round(n, 1), q, alpha)
    low = int(np.searchsorted(cumulative, least))
    high = int(np.searchsorted(cumulative, most))
    return Bounds(
        value,
        -math.inf if least <= 0 else min(value, float(values.values[min(low, len(cumulative) - 1)])),
        math.inf if most >= 1 else max(value, float(values.values[min(high, len(cumulative) - 1)])),
    )


def compare_quantiles(b: WeightedValues, a: WeightedValues, q: float, alpha: float) -> Bounds:
    """Return the quantile of b less that of a, with bounds that hold at all sizes: each arm at alpha / 2."""
    of_b, of_a = quantile_bounds(b, q, alpha / 2), quantile_bounds(a, q, alpha / 2)
    return Bounds(of_b.value - of_a.value, of_b.low - of_a.high, of_b.high - of_a.low)


def log_e_quantiles(b: WeightedValues, a: WeightedValues, q: float) -> float:
    """Return ln(1/alpha) of the least alpha at which the bounds exclude 0; 0 if none does.

    The search ends at an alpha of e^-700.
    """

    def excludes(log_e: float) -> bool:
        bounds = compare_quantiles(b, a, q, math.exp(-log_e))
        return bounds.low > 0 or bounds.high < 0

    low, high = 0.01, 700.0
    if not excludes(low):
        return 0.0
    if excludes(high):
        return high
    for _ in range(_ALPHA_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
        if high - low < 0.01:
            break
    return low


@lru_cache(maxsize=4096)
def _rank_bounds(n: float, q: float, alpha: float) -> tuple[float, float]:
    """Return the least and the greatest share of n events below a value that do not exclude q; 0 and 1 if all do not."""
    margin = math.log(1 / alpha)

    def edge(inside: float, outside: float) -> float:
        if float(log_e_value(n, n * outside, q)) < margin:
            return outside
        for _ in range(_ALPHA_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (
                (middle, outside) if float(log_e_value(n, n * middle, q)) < margin else (inside, middle)
            )
        return inside

    return edge(q, 0.0), edge(q, 1.0)
