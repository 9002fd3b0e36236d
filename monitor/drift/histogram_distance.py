"""Compare two histograms in microseconds, to decide whether slower tests need to run."""

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

_MAX_CODE = 2048  # of either sign


class HistogramShape(NamedTuple):
    """The distribution of a number over bucket codes.

    Attributes:
        scale: of the bucket codes.
        low: the lowest code.
        shares: ``shares[i]`` is the share of code ``low + i``, sum 1.
        n: effective number of events.
    """

    scale: int
    low: int
    shares: Floats
    n: float

    @property
    def spread(self) -> float:
        """Standard deviation."""
        values = _values(self.scale)[self.low + _MAX_CODE : self.low + _MAX_CODE + len(self.shares)]
        mean = float(self.shares @ values)
        return math.sqrt(max(0.0, float(self.shares @ (values - mean) ** 2)))

    @classmethod
    def from_number(cls, number: NumberSummary, scale: int | None = None) -> HistogramShape | None:
        """Return the distribution of a number at its own scale or a lower one; None if nothing is counted."""
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
    """A number over several panes.

    If all panes have one grid, as in nearly all cases, buckets are added without merging the numbers.

    Args:
        numbers: of the panes, at least one.

    Attributes:
        scale: the lowest of the numbers; ``shape`` lowers it if all together span too many buckets.
    """

    def __init__(self, numbers: Sequence[NumberSummary]) -> None:
        first = numbers[0]
        self.scale = first.scale
        self._numbers = numbers
        self._classes: dict[int, list[ExponentialHistogram]] = {}
        for number in numbers:
            for ppm, histogram in number.classes.items():
                self._classes.setdefault(ppm, []).append(histogram)
        self._merged: NumberSummary | None = None
        if len(self._classes) > MAX_CLASSES or any(
            number.level != first.level or number.scale != first.scale for number in numbers
        ):
            self._merge()

    @property
    def effective_n(self) -> float:
        """Kish's effective sample size, as ``NumberSummary.effective_n``."""
        if self._merged is not None:
            return self._merged.effective_n
        counts = [
            (MILLION / ppm, ppm, sum([histogram.n for histogram in histograms]))
            for ppm, histograms in sorted(self._classes.items())
        ]
        total = sum(n * MILLION / ppm for _, ppm, n in counts)
        return total**2 / sum(n * weight**2 for weight, _, n in counts) if total else 0.0

    def shape(self, scale: int) -> HistogramShape | None:
        """Return the distribution at ``scale`` or its own, whichever is lower; None if nothing is counted."""
        if self._merged is None and scale >= self.scale and (laid_out := self._lay_out()) is not None:
            low, weights = laid_out
            return HistogramShape(self.scale, low, weights / weights.sum(), self.effective_n)
        merged = self._merged or self._merge()
        return HistogramShape.from_number(merged, min(scale, merged.scale))

    def _lay_out(self) -> tuple[int, Floats] | None:
        """Return the lowest code and the weights from there on; None if a lower scale may be necessary."""
        classes = [
            (ppm, [histogram.buckets for histogram in histograms])
            for ppm, histograms in sorted(self._classes.items())
        ]
        sizes = [sum(map(len, buckets)) for _, buckets in classes]
        if not sum(sizes):
            return None
        codes = [
            np.fromiter(chain.from_iterable(buckets), np.int64, size)
            for (_, buckets), size in zip(classes, sizes, strict=True)
        ]
        low = int(min(part.min() for part in codes if len(part)))
        high = int(max(part.max() for part in codes if len(part)))
        if low < 0 or high - max(low, CODE_OFFSET) >= MAX_BUCKETS:
            return None
        out: Floats = np.zeros(high - low + 1)
        for (ppm, buckets), part, size in zip(classes, codes, sizes, strict=True):
            counts = np.fromiter(chain.from_iterable(map(dict.values, buckets)), np.float64, size)
            out += np.bincount(part - low, counts, len(out)) * MILLION / ppm
        return low, out

    def _merge(self) -> NumberSummary:
        self._merged = NumberSummary()
        for number in self._numbers:
            self._merged.merge(number)
        self.scale = self._merged.scale
        return self._merged


class HistogramDistance(NamedTuple):
    """The distance of two distributions.

    Attributes:
        d: the largest difference of their cumulative shares (Kolmogorov–Smirnov).
        wasserstein: the area between them, over the standard deviation of the reference.
        p_value: of ``d``.
    """

    d: float
    wasserstein: float
    p_value: float


def histogram_distance(
    reference: HistogramShape, current: HistogramShape, alpha: float = 1.0
) -> HistogramDistance:
    """Compare two distributions by Kolmogorov–Smirnov and the normalised Wasserstein distance.

    The mean that chance gives is not subtracted from the second.

    Args:
        alpha: if the p-value exceeds it, the second is not computed and is 0.

    Raises:
        ValueError: they have different scales.

    Source: Kolmogorov (1933), Smirnov (1948); del Barrio, Giné, Matrán, Ann. Probab. 27 (1999).
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
    values = _values(reference.scale)[low + _MAX_CODE : high + _MAX_CODE]
    spread = reference.spread or current.spread
    area = float(apart[:-1] @ np.diff(values)) / spread if spread else 0.0
    return HistogramDistance(d, area, p_value)


def kolmogorov_p_value(d: float, n: float, m: float) -> float:
    """Return P(D ≥ d) under no drift: asymptotic, with Stephens' correction.

    Equal to ``scipy.stats.kstwobign`` where that is below 0.1.

    Args:
        d: largest difference of the cumulative shares, 0 to 1.
        n, m: effective numbers of events, above 0.

    Source: Stephens, J. R. Statist. Soc. B 32 (1970): (√N + 0.12 + 0.11/√N) D.

    >>> round(kolmogorov_p_value(0.2, 200, 200), 6)
    0.000543
    """
    root = math.sqrt(harmonic_size(n, m))
    x = (root + 0.12 + 0.11 / root) * d
    return min(1.0, 2 * (math.exp(-2 * x * x) - math.exp(-8 * x * x))) if x > 0.5 else 1.0


@cache
def _values(scale: int) -> Floats:
    return np.array([bucket_middle(code, scale) for code in range(-_MAX_CODE, _MAX_CODE + 1)])
