"""Two histograms compared in microseconds: what decides whether the slower tests are asked at all."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from monitor.drift.comparison import Floats, harmonic
from monitor.stats.buckets import lowered, middle
from monitor.stats.number import Number

_REACH = 2048  # codes on either side of zero


class Shape(NamedTuple):
    """Shares of a number by bucket code, ``shares[i]`` that of code ``low + i``, sum 1; ``n`` effective events, ``spread`` its standard deviation."""

    scale: int
    low: int
    shares: Floats
    n: float
    spread: float

    @classmethod
    def of(cls, number: Number, scale: int | None = None) -> Shape | None:
        """That of a number, at its own scale or a lower one; None if nothing is counted."""
        scale = number.scale if scale is None else scale
        counts: dict[int, Any] = number.weighted_buckets()
        counts = counts if scale == number.scale else lowered(counts, number.scale - scale)
        if not counts:
            return None
        codes = np.fromiter(counts.keys(), np.int64, len(counts))
        low = int(codes[0])
        shares = np.zeros(int(codes[-1]) - low + 1)
        shares[codes - low] = np.fromiter(counts.values(), np.float64, len(counts))
        shares /= shares.sum()
        values = _values(scale)[low + _REACH : low + _REACH + len(shares)]
        mean = float(shares @ values)
        spread = math.sqrt(max(0.0, float(shares @ (values - mean) ** 2)))
        return cls(scale, low, shares, number.effective_n, spread)


class Distance(NamedTuple):
    """How far apart two shapes are: the largest difference of their cumulative shares, and the area between them in the reference's spreads."""

    d: float
    wasserstein: float
    p_value: float


def distance(reference: Shape, current: Shape) -> Distance:
    """Kolmogorov–Smirnov and normalised Wasserstein, as ``monitor.drift`` has them, without what chance gives taken off the second.

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
    values = _values(reference.scale)[low + _REACH : high + _REACH]
    spread = reference.spread or current.spread
    area = float(apart[:-1] @ np.diff(values)) / spread if spread else 0.0
    return Distance(d, area, kolmogorov(d, reference.n, current.n))


def kolmogorov(d: float, n: float, m: float) -> float:
    """P(D ≥ d) under no drift: asymptotic, with Stephens' correction, as ``scipy.stats.kstwobign`` where that is below 0.1.

    >>> round(kolmogorov(0.2, 200, 200), 6)
    0.000543
    """
    root = math.sqrt(harmonic(n, m))
    x = (root + 0.12 + 0.11 / root) * d
    return min(1.0, 2 * (math.exp(-2 * x * x) - math.exp(-8 * x * x))) if x > 0.5 else 1.0


@cache
def _values(scale: int) -> Floats:
    return np.array([middle(code, scale) for code in range(-_REACH, _REACH + 1)])
