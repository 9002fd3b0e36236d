"""The histogram of a window record, as something that merges and has quantiles: what any reader of the topic
can do with it.
"""

from __future__ import annotations

import msgspec


class Histogram(msgspec.Struct):
    """Exponential histogram as window records have it (OpenTelemetry data model); see
    ``schemas.records.Histogram``.
    """

    scale: int
    offset: int
    counts: list[float]
    zero: float = 0.0
    negative: Histogram | None = None


class Spread:
    """Weighted values of one metric.

    Args:
        histogram: in whole units.
        unit: the size of one unit in the unit that the metric's name says.
        total: weighted sum, in units.

    >>> tokens = Spread(Histogram(5, 31, [3.0]), 1.0, 6.0)
    >>> tokens.mean(), round(tokens.quantile(0.5), 2)
    (2.0, 1.98)
    """

    __slots__ = ("_negative", "_positive", "_sum", "_zero", "scale", "unit")

    def __init__(self, histogram: Histogram, unit: float, total: float) -> None:
        self.scale, self.unit, self._sum, self._zero = histogram.scale, unit, total, histogram.zero
        self._positive = _sparse(histogram)
        self._negative = _sparse(histogram.negative) if histogram.negative else {}

    def merge(self, other: Spread) -> None:
        """Take in another's values, at the coarser of both scales."""
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
        """None if there is no value."""
        return self._sum * self.unit / self.n if self.n else None

    def quantile(self, q: float) -> float | None:
        """The q-quantile, 0 < q < 1, within half a bucket; None if there is no value."""
        rank, passed = q * self.n * (1 - 1e-12), 0.0
        ordered = [
            *((-1, index) for index in sorted(self._negative, reverse=True)),
            *([(0, 0)] if self._zero else []),
            *((1, index) for index in sorted(self._positive)),
        ]
        for sign, index in ordered:
            passed += self._zero if not sign else (self._positive if sign > 0 else self._negative)[index]
            if passed >= rank:
                return sign * self._middle(index) * self.unit if sign else 0.0
        return None

    def _middle(self, index: int) -> float:
        low, high = (2.0 ** ((index + step) / 2.0**self.scale) for step in (0, 1))
        return float(2 * low * high / (low + high))


def _sparse(histogram: Histogram) -> dict[int, float]:
    return {histogram.offset + at: count for at, count in enumerate(histogram.counts) if count}


def _added(
    mine: dict[int, float], coarser: int, more: dict[int, float], more_coarser: int
) -> dict[int, float]:
    if coarser:
        mine = _added({}, 0, mine, coarser)
    for index, count in more.items():
        at = index >> more_coarser  # upper bounds are inclusive, so the shift is exact
        mine[at] = mine.get(at, 0.0) + count
    return mine
