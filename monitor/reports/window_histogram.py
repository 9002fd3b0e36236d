"""Merge the histograms of window records and read quantiles from them."""

from __future__ import annotations

import msgspec


class HistogramRecord(msgspec.Struct):
    """Exponential histogram of a window record; see ``schemas.records.Histogram``.

    Source: OpenTelemetry metrics data model, ExponentialHistogram.
    """

    scale: int
    offset: int
    counts: list[float]
    zero: float = 0.0
    negative: HistogramRecord | None = None


class MergeableHistogram:
    """Weighted values of one metric.

    Args:
        histogram: of values in multiples of ``unit``.
        unit: size of one step, in the unit of the metric.
        total: weighted sum of the values, in multiples of ``unit``.

    >>> tokens = MergeableHistogram(HistogramRecord(5, 31, [3.0]), 1.0, 6.0)
    >>> tokens.mean(), round(tokens.quantile(0.5), 2)
    (2.0, 1.98)
    """

    __slots__ = ("_negative", "_positive", "_sum", "_zero", "scale", "unit")

    def __init__(self, histogram: HistogramRecord, unit: float, total: float) -> None:
        self.scale, self.unit, self._sum, self._zero = histogram.scale, unit, total, histogram.zero
        self._positive = _sparse(histogram)
        self._negative = _sparse(histogram.negative) if histogram.negative else {}

    def merge(self, other: MergeableHistogram) -> None:
        """Add the values of another histogram, at the coarser of the two scales."""
        scale = min(self.scale, other.scale)
        self._positive = _added(self._positive, self.scale - scale, other._positive, other.scale - scale)
        if self._negative or other._negative:
            self._negative = _added(self._negative, self.scale - scale, other._negative, other.scale - scale)
        self.scale = scale
        self._zero += other._zero
        self._sum += other._sum

    @property
    def n(self) -> float:
        """Weighted number of values."""
        return self._zero + sum(self._positive.values()) + sum(self._negative.values())

    def mean(self) -> float | None:
        """Return the mean; None if there is no value."""
        return self._sum * self.unit / self.n if self.n else None

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile, 0 < q < 1, within half a bucket; None if there is no value."""
        rank, cumulative = q * self.n * (1 - 1e-12), 0.0
        ordered = [
            *((-1, index) for index in sorted(self._negative, reverse=True)),
            *([(0, 0)] if self._zero else []),
            *((1, index) for index in sorted(self._positive)),
        ]
        for sign, index in ordered:
            cumulative += self._zero if not sign else (self._positive if sign > 0 else self._negative)[index]
            if cumulative >= rank:
                return sign * self._middle(index) * self.unit if sign else 0.0
        return None

    def _middle(self, index: int) -> float:
        low, high = (2.0 ** ((index + step) / 2.0**self.scale) for step in (0, 1))
        return float(2 * low * high / (low + high))


def _sparse(histogram: HistogramRecord) -> dict[int, float]:
    return {histogram.offset + index: count for index, count in enumerate(histogram.counts) if count}


def _added(
    counts: dict[int, float], coarser: int, more: dict[int, float], more_coarser: int
) -> dict[int, float]:
    if coarser:
        counts = _added({}, 0, counts, coarser)
    for index, count in more.items():
        shifted = index >> more_coarser  # upper bounds are inclusive, so the shift is exact
        counts[shifted] = counts.get(shifted, 0.0) + count
    return counts
