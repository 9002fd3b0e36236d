"""What a drift test takes and what it gives. It says nothing of thresholds: that is the rule's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from monitor.stats.text_sketch import TextSketch

Floats = npt.NDArray[np.float64]


class Comparison(NamedTuple):
    """The outcome of a drift test.

    ``statistic`` in the test's own unit, ``p_value`` under no drift (two-sided, 0 to 1), ``effect`` its size
    as the test's docstring says, ``n`` and ``m`` the effective numbers of events of reference and current.
    """

    statistic: float
    p_value: float
    effect: float
    n: float
    m: float


class Distribution(NamedTuple):
    """Weights (any positive scale) by value, and how many events they are worth.

    ``values``: bucket middles of a number, in ascending order, or names of categories. ``weights``: shape
    (k,), at least 0. ``n``: effective.
    """

    values: tuple[Any, ...]
    weights: tuple[float, ...]
    n: float

    @classmethod
    def from_weights(cls, weights: Mapping[Any, float], n: float | None = None) -> Distribution:
        """From value -> weight; ``n`` by default the sum of the weights.

        >>> Distribution.from_weights({"stop": 90, "length": 10})
        Distribution(values=('length', 'stop'), weights=(10.0, 90.0), n=100.0)
        """
        values = tuple(sorted(weights))
        held = tuple(float(weights[value]) for value in values)
        return cls(values, held, float(sum(held)) if n is None else n)


class DriftTest(Protocol):
    """Compares two distributions."""

    def __call__(self, reference: Distribution, current: Distribution) -> Comparison: ...  # noqa: D102


class TextTest(Protocol):
    """Compares two sets of texts."""

    def __call__(self, reference: TextSketch, current: TextSketch) -> Comparison: ...  # noqa: D102


def align(reference: Distribution, current: Distribution) -> tuple[Sequence[Hashable], Floats, Floats]:
    """The values of both in order, and the share of each in either: shapes (k,), sums 1.

    Raises:
        ValueError: one of them is empty.
    """
    values = sorted({*reference.values, *current.values})
    at = {value: index for index, value in enumerate(values)}
    shares = np.zeros((2, len(values)))
    for row, some in enumerate((reference, current)):
        for value, weight in zip(some.values, some.weights, strict=True):
            shares[row, at[value]] += weight
    totals = shares.sum(axis=1)
    if not (totals > 0).all() or min(reference.n, current.n) <= 0:
        raise ValueError("nothing to compare: one of the two has no events")
    shares /= totals[:, None]
    return values, shares[0], shares[1]


def pool_rare_bins(
    p: Floats, q: Floats, n: float, m: float, least: float = 5.0, ordered: bool = True
) -> tuple[Floats, Floats]:
    """The same shares in fewer bins: each expects at least ``least`` events on either side if there were no
    drift.

    Ordered bins join their neighbours; categories that are too rare become one.
    """
    both = (n * p + m * q) / (n + m)
    need = least / min(n, m)
    if not ordered:
        rare = both < need
        if not rare.any():
            return p, q
        return np.append(p[~rare], p[rare].sum()), np.append(q[~rare], q[rare].sum())
    starts, held = [0], 0.0
    for index, share in enumerate(both):
        if held >= need:
            starts.append(index)
            held = 0.0
        held += share
    if held < need and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(p, starts), np.add.reduceat(q, starts)


def quantile_bins(p: Floats, q: Floats, bins: int) -> tuple[Floats, Floats]:
    """Ordered shares in at most so many bins of about equal share of the two together."""
    both = np.cumsum(p + q) / 2
    group = np.minimum((np.maximum(both - (p + q) / 4, 0) * bins).astype(int), bins - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.add.reduceat(p, starts), np.add.reduceat(q, starts)


def harmonic_size(n: float, m: float) -> float:
    """nm/(n+m): what the null distributions of two-sample statistics scale with."""
    return n * m / (n + m)
