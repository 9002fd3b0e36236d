"""A number that events carry (tokens, seconds, money): sum and exponential histogram, by weight class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monitor.stats.estimate import Estimate
from monitor.stats.exponential_buckets import MAX_SCALE, bucket_middle, downscaled, relative_error
from monitor.stats.exponential_histogram import EMPTY_RANGE, BucketRange, ExponentialHistogram
from monitor.stats.sampling_weights import COARSEST_LEVEL, MAX_CLASSES, MILLION, coarsen
from monitor.stats.weighted_values import mean_and_quantiles

_LEVELS = COARSEST_LEVEL + 1
_EXACT = 2**26
"""Counts below have exact squares."""


class NumberSummary:
    """Integer values (in a unit that the caller knows) by sampling probability. Initially empty.

    The size is bounded: ``scale`` is the largest scale, up to 5, at which the values span at most 640 buckets
    of either sign. The scale depends on the values alone, so merging is exact in any order.

    >>> number = NumberSummary()
    >>> number.add(1_000_000, 3, 60, {33: 3})
    >>> number.mean(z=1.96).value
    20.0
    """

    __slots__ = ("_range", "classes", "level", "scale")

    def __init__(self) -> None:
        self.level = 0
        self.scale = MAX_SCALE
        self.classes: dict[int, ExponentialHistogram] = {}
        self._range = EMPTY_RANGE

    def add(self, ppm: int, n: int, total: int, buckets: Mapping[int, int]) -> None:
        """Count values.

        Args:
            ppm: sampling probability on the finest grid, as ``to_ppm`` gives it.
            n: number of values; ``total``: their sum.
            buckets: counts by code, as ``bucket_codes`` gives them (scale 5).
        """
        for level in range(1, self.level + 1):
            ppm = coarsen(ppm, level)
        if self.scale != MAX_SCALE:
            buckets = downscaled(buckets, MAX_SCALE - self.scale)
        self._put(ppm, n, total, buckets)
        low, high, _, _ = self._range
        for code in buckets:  # usually no code lies outside: this must be fast
            if (code < low or code > high) and code:
                self._extend(BucketRange.from_codes(buckets))
                break

    def merge(self, other: NumberSummary) -> None:
        """Add the counts of ``other``, which stays as it is."""
        while self.level < other.level:
            self._coarsen()
        self._lower(self.scale - other.scale)
        steps = other.scale - self.scale
        for ppm, histogram in other.classes.items():
            for level in range(other.level + 1, self.level + 1):
                ppm = coarsen(ppm, level)
            buckets = downscaled(histogram.buckets, steps) if steps else histogram.buckets
            self._put(ppm, histogram.n, histogram.sum, buckets)
        self._extend(other._range.downscaled(steps) if steps else other._range)

    def difference(self, earlier: NumberSummary) -> NumberSummary | None:
        """Return what was counted since a state of this summary; None if a grid has become coarser since.

        >>> number = NumberSummary()
        >>> number.add(1_000_000, 1, 20, {33: 1})
        >>> earlier = NumberSummary.from_state(number.state())
        >>> number.add(1_000_000, 2, 40, {33: 1, 34: 1})
        >>> number.difference(earlier).state()
        [0, [[1000000, 2, 40, [33, 1], [1, 1]]]]
        """
        if self.level != earlier.level or self.scale != earlier.scale:
            return None
        out = NumberSummary()
        out.level, out.scale = self.level, self.scale
        for ppm, histogram in self.classes.items():
            before = earlier.classes.get(ppm)
            if before is None:
                out._put(ppm, histogram.n, histogram.sum, histogram.buckets)
            elif histogram.n != before.n:
                counts = {
                    code: added
                    for code, count in histogram.buckets.items()
                    if (added := count - before.buckets.get(code, 0))
                }
                out._put(ppm, histogram.n - before.n, histogram.sum - before.sum, counts)
        for histogram in out.classes.values():
            out._range = out._range.union(BucketRange.from_codes(histogram.buckets))
        return out

    @property
    def error(self) -> float:
        """Largest error of a quantile, as a share of it: 1.1 % at scale 5, 2.2 % at 4, 4.4 % at 3.

        Values below 2**62 need no scale below 3.
        """
        return relative_error(self.scale)

    @property
    def effective_n(self) -> float:
        """Kish's effective sample size (sum w)^2 / sum w^2; 0 if nothing is counted.

        Source: Kish, Survey Sampling (1965).
        """
        if len(self.classes) == 1 and (plain := self.classes.get(MILLION)) and plain.n < _EXACT:
            return float(plain.n)
        # Sums of floats depend on the order, and after a restart the classes are in order.
        counts = [(ppm, histogram.n) for ppm, histogram in sorted(self.classes.items())]
        total = sum(n * MILLION / ppm for ppm, n in counts)
        return total**2 / sum(n * (MILLION / ppm) ** 2 for ppm, n in counts) if total else 0.0

    def weighted_sum(self) -> float:
        """Return the sum of value/p; an integer if every p is 1, 0 if nothing is counted."""
        if len(self.classes) == 1 and MILLION in self.classes:
            return self.classes[MILLION].sum
        return sum(histogram.sum * MILLION / ppm for ppm, histogram in sorted(self.classes.items()))

    def weighted_buckets(self) -> dict[int, float]:
        """Return bucket code (of ``scale``) -> count weighted by 1/p, ascending; integers if every p is 1.

        Empty if nothing is counted.
        """
        if len(self.classes) == 1 and MILLION in self.classes:
            return dict(sorted(self.classes[MILLION].buckets.items()))
        out: dict[int, float] = {}
        for ppm, histogram in sorted(self.classes.items()):
            for code, count in histogram.buckets.items():
                out[code] = out.get(code, 0.0) + count * MILLION / ppm
        return dict(sorted(out.items()))

    def variance(self) -> float | None:
        """Return the variance (divided by n, not n − 1); None if nothing is counted.

        The error of its root is at most ``error`` times the root mean square of the values.
        """
        buckets = self.weighted_buckets()
        if not buckets:
            return None
        total = sum(buckets.values())
        mean = self.weighted_sum() / total
        middles = ((bucket_middle(code, self.scale), weight) for code, weight in buckets.items())
        return sum(weight * (middle - mean) ** 2 for middle, weight in middles) / total

    def mean(self, z: float) -> Estimate:
        """Return the mean with its normal interval at ``z`` standard errors.

        The variance is the histogram's, in which each value is off by at most ``error``.
        """
        return self.mean_and_quantiles(z, ())[0]

    def quantile(self, q: float, z: float) -> Estimate:
        """Return the q-quantile, 0 < q < 1, with the order-statistic interval at ``z`` standard errors.

        Its relative error is at most ``error``.

        Source: Conover, Practical Nonparametric Statistics, 3.2: the ranks nq ± z sqrt(nq(1-q)).
        """
        return self.mean_and_quantiles(z, (q,))[1]

    def mean_and_quantiles(self, z: float, quantiles: Iterable[float]) -> list[Estimate]:
        """Return the mean, then each quantile, in one pass over the histogram.

        Without values each is ``NO_ESTIMATE``.
        """
        return mean_and_quantiles(
            self.effective_n, self.weighted_sum(), self.weighted_buckets(), self.scale, z, quantiles
        )

    def state(self) -> list[Any]:
        """Return plain values; equal counts give equal values, in whatever order they came.

        The first value states how coarse both grids are: level + 4 × (5 − scale). So a state of releases
        without scales is read as scale 5.
        """
        coarse = self.level + _LEVELS * (MAX_SCALE - self.scale)
        return [coarse, [[ppm, *histogram.packed()] for ppm, histogram in sorted(self.classes.items())]]

    @classmethod
    def from_state(cls, state: Any) -> NumberSummary:
        """Restore a summary from ``state``."""
        number = cls()
        steps, number.level = divmod(state[0], _LEVELS)
        number.scale = MAX_SCALE - steps
        for ppm, n, total, codes, counts in state[1]:
            number.classes[ppm] = ExponentialHistogram.from_packed(n, total, codes, counts)
            number._range = number._range.union(BucketRange.from_packed(codes))
        number._lower(number._range.excess_steps)
        return number

    def _put(self, ppm: int, n: int, total: int, buckets: Mapping[int, int]) -> None:
        histogram = self.classes.get(ppm)
        if histogram is None:
            histogram = self.classes[ppm] = ExponentialHistogram()
        histogram.add(n, total, buckets)
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, histogram in classes.items():
            joined = self.classes.setdefault(coarsen(ppm, self.level), ExponentialHistogram())
            joined.add(histogram.n, histogram.sum, histogram.buckets)

    def _extend(self, added: BucketRange) -> None:
        """Extend the range by that of added values; lower the scale if it became too wide."""
        current = self._range
        if (
            current.low <= added.low
            and added.high <= current.high
            and current.negative_low <= added.negative_low
            and added.negative_high <= current.negative_high
        ):
            return
        self._range = current.union(added)
        self._lower(self._range.excess_steps)

    def _lower(self, steps: int) -> None:
        if steps <= 0:
            return
        self.scale -= steps
        self._range = self._range.downscaled(steps)
        for histogram in self.classes.values():
            histogram.downscale(steps)
