"""A number that events carry (tokens, seconds, money): integer sum and exponential histogram, by weight class."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from monitor.stats.buckets import middle
from monitor.stats.rate import NOTHING, Estimate
from monitor.stats.weights import CLASSES, WHOLE, coarser

_SLACK = 1 - 1e-12  # a rank that is a whole count must not slip into the next bucket by rounding


class _Class:
    """What has one probability: events, their integer sum, bucket code -> count."""

    __slots__ = ("buckets", "n", "sum")

    def __init__(self) -> None:
        self.n = 0
        self.sum = 0
        self.buckets: dict[int, int] = {}

    def take(self, n: int, total: int, buckets: dict[int, int]) -> None:
        self.n += n
        self.sum += total
        mine = self.buckets
        for code, count in buckets.items():
            mine[code] = mine.get(code, 0) + count


class Number:
    """Integer values (of a unit that the caller knows) by probability. Null value: nothing counted.

    >>> number = Number()
    >>> number.add(1_000_000, 3, 60, {33: 3})
    >>> number.mean(z=1.96).value
    20.0
    """

    __slots__ = ("classes", "level")

    def __init__(self) -> None:
        self.level = 0
        self.classes: dict[int, _Class] = {}

    def add(self, ppm: int, n: int, total: int, buckets: dict[int, int]) -> None:
        """Count ``n`` values with this sum and these bucket counts, of a probability on the finest grid."""
        for level in range(1, self.level + 1):
            ppm = coarser(ppm, level)
        self._put(ppm, n, total, buckets)

    def merge(self, other: Number) -> None:
        """Take in what another has counted; it stays as it is."""
        while self.level < other.level:
            self._coarsen()
        for ppm, held in other.classes.items():
            for level in range(other.level + 1, self.level + 1):
                ppm = coarser(ppm, level)
            self._put(ppm, held.n, held.sum, held.buckets)

    @property
    def effective_n(self) -> float:
        """Kish's (sum w)^2 / sum w^2. Source: Kish, Survey Sampling (1965)."""
        total = sum(held.n * WHOLE / ppm for ppm, held in self.classes.items())
        return total**2 / sum(held.n * (WHOLE / ppm) ** 2 for ppm, held in self.classes.items()) if total else 0.0

    def weighted_sum(self) -> float:
        """Sum of value/p; a whole number where every p is 1."""
        if set(self.classes) == {WHOLE}:
            return self.classes[WHOLE].sum
        return sum(held.sum * WHOLE / ppm for ppm, held in sorted(self.classes.items()))

    def weighted_buckets(self) -> dict[int, float]:
        """Bucket code -> count weighed by 1/p; whole numbers where every p is 1."""
        if set(self.classes) == {WHOLE}:
            return dict(sorted(self.classes[WHOLE].buckets.items()))
        out: dict[int, float] = {}
        for ppm, held in sorted(self.classes.items()):
            for code, count in held.buckets.items():
                out[code] = out.get(code, 0.0) + count * WHOLE / ppm
        return dict(sorted(out.items()))

    def mean(self, z: float) -> Estimate:
        """Mean with its normal interval at ``z`` standard errors; the variance is the histogram's (each value within 1.1 %)."""
        return self.readings(z, ())[0]

    def quantile(self, q: float, z: float) -> Estimate:
        """The q-quantile, 0 < q < 1, within 1.1 %, with the order-statistic interval at ``z`` standard errors.

        Source: Conover, Practical Nonparametric Statistics, 3.2: the ranks nq ± z sqrt(nq(1-q)).
        """
        return self.readings(z, (q,))[1]

    def readings(self, z: float, quantiles: Iterable[float]) -> list[Estimate]:
        """The mean and then these quantiles, in one pass over the histogram."""
        n = self.effective_n
        if not n:
            return [NOTHING, *(NOTHING for _ in quantiles)]
        buckets = self.weighted_buckets()
        values = [middle(code) for code in buckets]
        counts = list(buckets.values())
        ranks = list(accumulate(counts))
        total = ranks[-1]
        mean = self.weighted_sum() / total
        out = [Estimate(mean, n, None, None)]
        if n >= 2:
            spread = sum([count * (value - mean) ** 2 for value, count in zip(values, counts, strict=True)]) / total
            half = z * math.sqrt(spread / (n - 1)) if n > 2 else z * math.sqrt(spread)
            out = [Estimate(mean, n, mean - half, mean + half)]
        last = len(values) - 1
        for q in quantiles:
            half = z * math.sqrt(q * (1 - q) / n)
            low, at, high = (min(last, bisect_left(ranks, rank * total * _SLACK)) for rank in (max(0.0, q - half), q, min(1.0, q + half)))
            out.append(Estimate(values[at], n, values[low] if q - half > 0 else None, values[high] if q + half < 1 else None))
        return out

    def state(self) -> list[Any]:
        """Plain values, the same for the same counts in whatever order they came."""
        return [self.level, [[ppm, held.n, held.sum, *_packed(held.buckets)] for ppm, held in sorted(self.classes.items())]]

    @classmethod
    def from_state(cls, state: Any) -> Number:
        """Back from ``state``."""
        number = cls()
        number.level = state[0]
        for ppm, n, total, steps, counts in state[1]:
            held = number.classes[ppm] = _Class()
            held.n, held.sum, code = n, total, 0
            for step, count in zip(steps, counts, strict=True):
                code += step
                held.buckets[code] = count
        return number

    def _put(self, ppm: int, n: int, total: int, buckets: dict[int, int]) -> None:
        held = self.classes.get(ppm)
        if held is None:
            held = self.classes[ppm] = _Class()
        held.take(n, total, buckets)
        while len(self.classes) > CLASSES:
            self._coarsen()

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, held in classes.items():
            self.classes.setdefault(coarser(ppm, self.level), _Class()).take(held.n, held.sum, held.buckets)


def _packed(buckets: dict[int, int]) -> tuple[list[int], list[int]]:
    """Codes as steps from one to the next, which are small, and their counts."""
    steps, counts, before = [], [], 0
    for code in sorted(buckets):
        steps.append(code - before)
        counts.append(buckets[code])
        before = code
    return steps, counts

