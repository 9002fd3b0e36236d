"""Means of samples that grow and are looked at whenever one likes: an asymptotic confidence sequence of the
difference of two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.compare.confidence_sequence import Bounds
from monitor.stats.number_summary import NumberSummary

MIN_EVENTS = (
    100.0  # events of either, below which the central limit says nothing and so neither do the bounds
)
# of the mixture, in variances of a value: tightest at 1,000 events of either if alpha is 0.05, at 1,800 if it
# is 0.001; valid everywhere
MIXTURE_VARIANCE = 0.005


class Moments(NamedTuple):
    """How many (effective) events there were, their mean, and their variance (divided by n), in the caller's
    unit and its square.
    """

    n: float
    mean: float
    variance: float

    @classmethod
    def from_number(cls, number: NumberSummary) -> Moments:
        """Those of a number; (0, 0, 0) if nothing was counted. The variance is the histogram's.

        >>> number = NumberSummary()
        >>> number.add(1_000_000, 4, 12, {33: 2, 65: 2})  # buckets of 2 and of 4
        >>> n, mean, variance = Moments.from_number(number)
        >>> n, mean, round(variance, 1)
        (4.0, 3.0, 1.0)
        """
        return cls(number.effective_n, number.mean(0.0).value or 0.0, number.variance() or 0.0)


def compare_means(new: Moments, old: Moments, alpha: float) -> Bounds:
    """The mean of the new less that of the old, with bounds that hold at all sizes of both at once,
    asymptotically, whichever of them grows.

    Robbins' normal mixture for each side, the estimated variance taken for the true one; a difference lies
    outside where the product of both is 1/alpha times as likely as any two means that differ by it.

    Null: the means differ by d; values are independent, alike on each side, and of finite variance. Least n:
    100 of either; with fewer, low and high are infinite. False alarms: d is outside at *any* look with a
    probability that tends to at most ``alpha`` as the first look comes later; asymptotic, not guaranteed.
    docs/statistics.md has skewed numbers measured; heavier tails need a later first look.

    Args:
        new, old: n above 0, variance 0 or more, of all that came.
        alpha: between 0 and 1.

    Raises:
        ValueError: moments or an alpha that cannot be.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Time-uniform central limit theory and asymptotic
    confidence sequences (2021), theorem 2.2; Robbins, Ann. Math. Statist. 41 (1970). The product of two is as
    in ``compare``.

    >>> [round(x, 1) for x in compare_means(Moments(2000, 230.0, 10_000.0), Moments(5000, 200.0, 10_000.0), alpha=0.05)]
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
    room = 2 * math.log(1 / alpha) + sum(math.log1p(some.n * MIXTURE_VARIANCE) for some in (new, old))
    # each side may miss its mean by m at the price of m² / square; the cheapest way to miss the difference
    # splits it in proportion to the squares
    squares = sum(some.variance / (some.n - 1) * (1 + 1 / (some.n * MIXTURE_VARIANCE)) for some in (new, old))
    half = math.sqrt(squares * room)
    return Bounds(value, value - half, value + half)
