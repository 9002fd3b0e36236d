"""An asymptotic confidence sequence of the difference of two means.

Its bounds hold at all sample sizes at once, so growing samples may be evaluated at any time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.compare.confidence_sequence import Bounds
from monitor.stats.number_summary import NumberSummary

MIN_EVENTS = 100.0
"""Events of either side, below which the central limit does not hold, and so neither do the bounds."""
MIXTURE_VARIANCE = 0.005
"""Of the mixture, in variances of a value. Valid everywhere.

The bounds are tightest at 1,000 events of either side if alpha is 0.05, at 1,800 if it is 0.001.
"""


class Moments(NamedTuple):
    """Effective number of events, mean, and variance (divided by n), in the unit of the caller."""

    n: float
    mean: float
    variance: float

    @classmethod
    def from_number(cls, number: NumberSummary) -> Moments:
        """Return the moments of a number; (0, 0, 0) if nothing was counted. The variance is the histogram's.

        >>> number = NumberSummary()
        >>> number.add(1_000_000, 4, 12, {33: 2, 65: 2})  # buckets of 2 and of 4
        >>> n, mean, variance = Moments.from_number(number)
        >>> n, mean, round(variance, 1)
        (4.0, 3.0, 1.0)
        """
        return cls(number.effective_n, number.mean(0.0).value or 0.0, number.variance() or 0.0)


def compare_means(new: Moments, old: Moments, alpha: float) -> Bounds:
    """Return the mean of the new less that of the old, with bounds that hold asymptotically at all sizes.

    Each side uses Robbins' normal mixture with the estimated variance. A difference lies outside where the
    product of both is 1/alpha times as likely as any two means that differ by it.

    Null: the means differ by d; values are independent, alike on each side, and of finite variance. Least n:
    100 of either; with fewer, low and high are infinite. False alarms: d is outside at *any* look with a
    probability that tends to at most ``alpha`` as the first look comes later; asymptotic, not guaranteed.
    docs/statistics.md has skewed numbers measured; heavier tails need a later first look.

    Args:
        new, old: n above 0, variance 0 or more, of all events.
        alpha: between 0 and 1, exclusive.

    Raises:
        ValueError: impossible moments or alpha.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Time-uniform central limit theory and asymptotic
    confidence sequences (2021), theorem 2.2; Robbins, Ann. Math. Statist. 41 (1970). The product of two is as
    in ``compare``.

    >>> new, old = Moments(2000, 230.0, 10_000.0), Moments(5000, 200.0, 10_000.0)
    >>> [round(x, 1) for x in compare_means(new, old, alpha=0.05)]
    [30.0, 20.6, 39.4]
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    for n, mean, variance in (new, old):
        if not (0 < n < math.inf and math.isfinite(mean) and 0 <= variance < math.inf):
            raise ValueError(
                f"n {n}, mean {mean}, variance {variance} cannot be; n must be above 0, variance 0 or more,"
                " and all finite"
            )
    value = new.mean - old.mean
    if min(new.n, old.n) < MIN_EVENTS:
        return Bounds(value, -math.inf, math.inf)
    margin = 2 * math.log(1 / alpha) + sum(math.log1p(moments.n * MIXTURE_VARIANCE) for moments in (new, old))
    # Each side may miss its mean by m at the price of m² / square. The cheapest way to miss the difference
    # splits it in proportion to the squares.
    squares = sum(
        moments.variance / (moments.n - 1) * (1 + 1 / (moments.n * MIXTURE_VARIANCE))
        for moments in (new, old)
    )
    half = math.sqrt(squares * margin)
    return Bounds(value, value - half, value + half)
