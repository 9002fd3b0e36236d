"""A number that events carry (tokens, seconds, money): integer sum and exponential histogram, by weight
class.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from monitor.stats.exponential_buckets import MAX_SCALE, bucket_middle, downscaled, relative_error
from monitor.stats.exponential_histogram import EMPTY_RANGE, BucketRange, ExponentialHistogram
from monitor.stats.rate import NO_ESTIMATE, Estimate
from monitor.stats.sampling_weights import COARSEST_LEVEL, MAX_CLASSES, MILLION, coarsen

_SLACK = 1 - 1e-12  # a rank that is a whole count must not slip into the next bucket by rounding
_LEVELS = COARSEST_LEVEL + 1


class NumberSummary:
    """Integer values (of a unit that the caller knows) by probability. Null value: nothing counted.

    Its size is bounded: ``scale`` is the largest, up to 5, at which what it has seen spans at most 640
    buckets on either side of zero. So it follows from the values alone, and merging is exact in any order.

    >>> number = NumberSummary()
    >>> number.add(1_000_000, 3, 60, {33: 3})
    >>> number.mean(z=1.96).value
    20.0
    """

    __slots__ = ("_reach", "classes", "level", "scale")

    def __init__(self) -> None:
        self.level = 0
        self.scale = MAX_SCALE
        self.classes: dict[int, ExponentialHistogram] = {}
        self._reach = EMPTY_RANGE

    def add(self, ppm: int, n: int, total: int, buckets: Mapping[int, int]) -> None:
        """Count ``n`` values with this sum and these counts by code of ``codes_of``, of a probability on the
        finest grid.
        """
        for level in range(1, self.level + 1):
            ppm = coarsen(ppm, level)
        if self.scale != MAX_SCALE:
            buckets = downscaled(buckets, MAX_SCALE - self.scale)
        self._put(ppm, n, total, buckets)
        low, high, _, _ = self._reach
        for code in buckets:  # nothing new is the usual case, and must be quick
            if (code < low or code > high) and code:
                self._stretch(BucketRange.from_codes(buckets))
                break

    def merge(self, other: NumberSummary) -> None:
        """Take in what another has counted; it stays as it is."""
        while self.level < other.level:
            self._coarsen()
        self._lower(self.scale - other.scale)
        steps = other.scale - self.scale
        for ppm, held in other.classes.items():
            for level in range(other.level + 1, self.level + 1):
                ppm = coarsen(ppm, level)
            self._put(ppm, held.n, held.sum, downscaled(held.buckets, steps) if steps else held.buckets)
        self._stretch(other._reach.downscaled(steps) if steps else other._reach)

    @property
    def error(self) -> float:
        """How far a quantile can be off, as a share of it: 1.1 % at scale 5, 2.2 % at 4, 4.4 % at 3, the
        lowest that values below 2**62 need.
        """
        return relative_error(self.scale)

    @property
    def effective_n(self) -> float:
        """Kish's (sum w)^2 / sum w^2. Source: Kish, Survey Sampling (1965)."""
        total = sum(held.n * MILLION / ppm for ppm, held in self.classes.items())
        return (
            total**2 / sum(held.n * (MILLION / ppm) ** 2 for ppm, held in self.classes.items())
            if total
            else 0.0
        )

    def weighted_sum(self) -> float:
        """Sum of value/p; a whole number where every p is 1."""
        if set(self.classes) == {MILLION}:
            return self.classes[MILLION].sum
        return sum(held.sum * MILLION / ppm for ppm, held in sorted(self.classes.items()))

    def weighted_buckets(self) -> dict[int, float]:
        """Bucket code (of ``scale``) -> count weighed by 1/p, in ascending order; whole numbers where every p
        is 1.
        """
        if set(self.classes) == {MILLION}:
            return dict(sorted(self.classes[MILLION].buckets.items()))
        out: dict[int, float] = {}
        for ppm, held in sorted(self.classes.items()):
            for code, count in held.buckets.items():
                out[code] = out.get(code, 0.0) + count * MILLION / ppm
        return dict(sorted(out.items()))

    def variance(self) -> float | None:
        """Mean square distance from the mean (divided by n, not n − 1); None if nothing is counted.

        Its root is within ``error`` times the root mean square of the values.
        """
        buckets = self.weighted_buckets()
        if not buckets:
            return None
        total = sum(buckets.values())
        mean = self.weighted_sum() / total
        return (
            sum(weight * (bucket_middle(code, self.scale) - mean) ** 2 for code, weight in buckets.items())
            / total
        )

    def mean(self, z: float) -> Estimate:
        """Mean with its normal interval at ``z`` standard errors; the variance is the histogram's (each value
        within ``error``).
        """
        return self.mean_and_quantiles(z, ())[0]

    def quantile(self, q: float, z: float) -> Estimate:
        """The q-quantile, 0 < q < 1, within ``error``, with the order-statistic interval at ``z`` standard
        errors.

        Source: Conover, Practical Nonparametric Statistics, 3.2: the ranks nq ± z sqrt(nq(1-q)).
        """
        return self.mean_and_quantiles(z, (q,))[1]

    def mean_and_quantiles(self, z: float, quantiles: Iterable[float]) -> list[Estimate]:
        """The mean and then these quantiles, in one pass over the histogram."""
        n = self.effective_n
        if not n:
            return [NO_ESTIMATE, *(NO_ESTIMATE for _ in quantiles)]
        buckets, scale = self.weighted_buckets(), self.scale
        values = [bucket_middle(code, scale) for code in buckets]
        counts = list(buckets.values())
        ranks = list(accumulate(counts))
        total = ranks[-1]
        mean = self.weighted_sum() / total
        out = [Estimate(mean, n, None, None)]
        if n >= 2:
            spread = (
                sum([count * (value - mean) ** 2 for value, count in zip(values, counts, strict=True)])
                / total
            )
            half = z * math.sqrt(spread / (n - 1)) if n > 2 else z * math.sqrt(spread)
            out = [Estimate(mean, n, mean - half, mean + half)]
        last = len(values) - 1
        for q in quantiles:
            half = z * math.sqrt(q * (1 - q) / n)
            low, at, high = (
                min(last, bisect_left(ranks, rank * total * _SLACK))
                for rank in (max(0.0, q - half), q, min(1.0, q + half))
            )
            out.append(
                Estimate(
                    values[at],
                    n,
                    values[low] if q - half > 0 else None,
                    values[high] if q + half < 1 else None,
                )
            )
        return out

    def state(self) -> list[Any]:
        """Plain values, the same for the same counts in whatever order they came.

        First how coarse both grids are, in one number: level + 4 × (5 − scale). So a state from before scales
        could fall is one of today.
        """
        coarse = self.level + _LEVELS * (MAX_SCALE - self.scale)
        return [coarse, [[ppm, *held.packed()] for ppm, held in sorted(self.classes.items())]]

    @classmethod
    def from_state(cls, state: Any) -> NumberSummary:
        """Back from ``state``."""
        number = cls()
        steps, number.level = divmod(state[0], _LEVELS)
        number.scale = MAX_SCALE - steps
        for ppm, n, total, codes, counts in state[1]:
            number.classes[ppm] = ExponentialHistogram.from_packed(n, total, codes, counts)
            number._reach = number._reach.with_(BucketRange.from_packed(codes))
        number._lower(number._reach.excess)
        return number

    def _put(self, ppm: int, n: int, total: int, buckets: Mapping[int, int]) -> None:
        held = self.classes.get(ppm)
        if held is None:
            held = self.classes[ppm] = ExponentialHistogram()
        held.take(n, total, buckets)
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, held in classes.items():
            self.classes.setdefault(coarsen(ppm, self.level), ExponentialHistogram()).take(
                held.n, held.sum, held.buckets
            )

    def _stretch(self, reach: BucketRange) -> None:
        """Something was put in that reaches so far."""
        mine = self._reach
        if (
            mine.low <= reach.low
            and reach.high <= mine.high
            and mine.negative_low <= reach.negative_low
            and reach.negative_high <= mine.negative_high
        ):
            return
        self._reach = mine.with_(reach)
        self._lower(self._reach.excess)

    def _lower(self, steps: int) -> None:
        if steps <= 0:
            return
        self.scale -= steps
        self._reach = self._reach.downscaled(steps)
        for held in self.classes.values():
            held.lower(steps)
