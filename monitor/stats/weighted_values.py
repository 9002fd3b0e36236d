"""Mean and quantiles, with intervals, of values that are known by their weighted histogram and sum."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.exponential_buckets import bucket_middle

_SLACK = 1 - 1e-12  # so that rounding does not move a rank that is a whole count into the next bucket


def mean_and_quantiles(
    n: float,
    weighted_sum: float,
    buckets: Mapping[int, float],
    scale: int,
    z: float,
    quantiles: Iterable[float],
) -> list[Estimate]:
    """Return the mean, then each quantile, in one pass over the histogram.

    The mean has a normal interval from the variance of the histogram. A quantile has the order-statistic
    interval: the ranks nq ± z sqrt(nq(1-q)).

    Args:
        n: effective number of values (Kish); 0 if there are none.
        weighted_sum: sum of value/p.
        buckets: bucket code of ``scale`` -> weighted count, ascending.
        z: standard errors of the intervals.
        quantiles: each between 0 and 1, exclusive.

    Returns:
        Estimates in the unit of the values; without values each is ``NO_ESTIMATE``.

    >>> mean, median = mean_and_quantiles(3, 60, {33: 1, 66: 2}, 5, 1.96, (0.5,))
    >>> mean.value, round(median.value, 2)
    (20.0, 4.04)

    Source: Conover, Practical Nonparametric Statistics, 3.2 (quantiles).
    """
    if not n:
        return [NO_ESTIMATE, *(NO_ESTIMATE for _ in quantiles)]
    values = [bucket_middle(code, scale) for code in buckets]
    counts = list(buckets.values())
    ranks = list(accumulate(counts))
    total = ranks[-1]
    mean = weighted_sum / total
    estimates = [Estimate(mean, n, None, None)]
    if n >= 2:
        squares = [count * (value - mean) ** 2 for value, count in zip(values, counts, strict=True)]
        variance = sum(squares) / total
        half = z * math.sqrt(variance / (n - 1)) if n > 2 else z * math.sqrt(variance)
        estimates = [Estimate(mean, n, mean - half, mean + half)]
    last = len(values) - 1
    for q in quantiles:
        half = z * math.sqrt(q * (1 - q) / n)
        low, middle, high = (
            values[min(last, bisect_left(ranks, rank * total * _SLACK))]
            for rank in (max(0.0, q - half), q, min(1.0, q + half))
        )
        estimates.append(Estimate(middle, n, low if q - half > 0 else None, high if q + half < 1 else None))
    return estimates
