"""Two histograms compared in microseconds: what decides whether the slower tests are asked at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from monitor.drift.interface import Floats, harmonic_size
from monitor.stats.exponential_buckets import CODE_OFFSET, MAX_BUCKETS, bucket_middle, downscaled
from monitor.stats.exponential_histogram import ExponentialHistogram
from monitor.stats.number_summary import NumberSummary
from monitor.stats.sampling_weights import MAX_CLASSES, MILLION

_REACH = 2048  # codes on either side of zero


class HistogramShape(NamedTuple):
    """Shares of a number by bucket code, ``shares[i]`` that of code ``low + i``, sum 1; ``n`` effective
    events.
    """

    scale: int
    low: int
    shares: Floats
    n: float

    @property
    def spread(self) -> float:
        """The standard deviation."""
        values = _values(self.scale)[self.low + _REACH : self.low + _REACH + len(self.shares)]
        mean = float(self.shares @ values)
        return math.sqrt(max(0.0, float(self.shares @ (values - mean) ** 2)))

    @classmethod
    def from_number(cls, number: NumberSummary, scale: int | None = None) -> HistogramShape | None:
        """That of a number, at its own scale or a lower one; None if nothing is counted."""
        scale = number.scale if scale is None else scale
        counts: dict[int, Any] = number.weighted_buckets()
        counts = counts if scale == number.scale else downscaled(counts, number.scale - scale)
        if not counts:
            return None
        codes = np.fromiter(counts.keys(), np.int64, len(counts))
        low = int(codes[0])
        shares = np.zeros(int(codes[-1]) - low + 1)
        shares[codes - low] = np.fromiter(counts.values(), np.float64, len(counts))
        shares /= shares.sum()
        return cls(scale, low, shares, number.effective_n)


class PooledNumber:
    """A number of several panes as one. Where all have one grid, which is nearly always, their buckets are
    added up without merging the numbers.
    """

    def __init__(self, numbers: Sequence[NumberSummary]) -> None:
        first = numbers[0]
        self.scale = first.scale  # until ``shape`` finds that all together need a lower one
        self._numbers = numbers
        self._classes: dict[int, list[ExponentialHistogram]] = {}
        for number in numbers:
            for ppm, held in number.classes.items():
                self._classes.setdefault(ppm, []).append(held)
        self._whole: NumberSummary | None = None
        if len(self._classes) > MAX_CLASSES or any(
            number.level != first.level or number.scale != first.scale for number in numbers
        ):
            self._merge()

    @property
    def effective_n(self) -> float:
        """As ``NumberSummary`` has it."""
        if self._whole is not None:
            return self._whole.effective_n
        counts = [
            (MILLION / ppm, ppm, sum([held.n for held in several])) for ppm, several in self._classes.items()
        ]
        total = sum(n * MILLION / ppm for _, ppm, n in counts)
        return total**2 / sum(n * weight**2 for weight, _, n in counts) if total else 0.0

    def shape(self, scale: int) -> HistogramShape | None:
        """At this scale, or its own if that is lower; None if nothing is counted."""
        if self._whole is None and scale >= self.scale and (laid := self._laid_out()) is not None:
            low, weights = laid
            return HistogramShape(self.scale, low, weights / weights.sum(), self.effective_n)
        whole = self._whole or self._merge()
        return HistogramShape.from_number(whole, min(scale, whole.scale))

    def _laid_out(self) -> tuple[int, Floats] | None:
        """The lowest code, and from there on the weight of each; None where it takes a lower scale to hold
        them all, or might.
        """
        classes = [
            (ppm, [held.buckets for held in several]) for ppm, several in sorted(self._classes.items())
        ]
        sizes = [sum(map(len, several)) for _, several in classes]
        if not sum(sizes):
            return None
        codes = [
            np.fromiter(chain.from_iterable(several), np.int64, size)
            for (_, several), size in zip(classes, sizes, strict=True)
        ]
        low, high = (
            int(min(code.min() for code in codes if len(code))),
            int(max(code.max() for code in codes if len(code))),
        )
        if low < 0 or high - max(low, CODE_OFFSET) >= MAX_BUCKETS:
            return None
        out: Floats = np.zeros(high - low + 1)
        for (ppm, several), at, size in zip(classes, codes, sizes, strict=True):
            counts = np.fromiter(chain.from_iterable(one.values() for one in several), np.float64, size)
            out += np.bincount(at - low, counts, len(out)) * MILLION / ppm
        return low, out

    def _merge(self) -> NumberSummary:
        self._whole = NumberSummary()
        for number in self._numbers:
            self._whole.merge(number)
        self.scale = self._whole.scale
        return self._whole


class HistogramDistance(NamedTuple):
    """How far apart two shapes are: the largest difference of their cumulative shares, and the area between
    them in the reference's spreads.
    """

    d: float
    wasserstein: float
    p_value: float


def histogram_distance(
    reference: HistogramShape, current: HistogramShape, alpha: float = 1.0
) -> HistogramDistance:
    """Kolmogorov–Smirnov and normalised Wasserstein, as ``monitor.drift`` has them, without what chance gives
    taken off the second.

    Args:
        alpha: where the p-value exceeds it nobody asks how far apart they are, and the second is 0.

    Raises:
        ValueError: the two are of different scales.
    """
    if reference.scale != current.scale:
        raise ValueError(f"shapes of scale {reference.scale} and {current.scale} cannot be compared")
    low = min(reference.low, current.low)
    high = max(reference.low + len(reference.shares), current.low + len(current.shares))
    gap = np.zeros(high - low)
    gap[reference.low - low : reference.low - low + len(reference.shares)] = reference.shares
    gap[current.low - low : current.low - low + len(current.shares)] -= current.shares
    apart = np.abs(np.cumsum(gap))
    d = float(apart.max())
    p_value = kolmogorov_p_value(d, reference.n, current.n)
    if p_value > alpha:
        return HistogramDistance(d, 0.0, p_value)
    values = _values(reference.scale)[low + _REACH : high + _REACH]
    spread = reference.spread or current.spread
    area = float(apart[:-1] @ np.diff(values)) / spread if spread else 0.0
    return HistogramDistance(d, area, p_value)


def kolmogorov_p_value(d: float, n: float, m: float) -> float:
    """P(D ≥ d) under no drift: asymptotic, with Stephens' correction, as ``scipy.stats.kstwobign`` where that
    is below 0.1.

    >>> round(kolmogorov_p_value(0.2, 200, 200), 6)
    0.000543
    """
    root = math.sqrt(harmonic_size(n, m))
    x = (root + 0.12 + 0.11 / root) * d
    return min(1.0, 2 * (math.exp(-2 * x * x) - math.exp(-8 * x * x))) if x > 0.5 else 1.0


@cache
def _values(scale: int) -> Floats:
    return np.array([bucket_middle(code, scale) for code in range(-_REACH, _REACH + 1)])
