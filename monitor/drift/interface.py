"""The interface of drift tests: two distributions in, a ``Comparison`` out. Rules have the thresholds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from monitor.stats.text_sketch import TextSketch

Floats = npt.NDArray[np.float64]


class Comparison(NamedTuple):
    """The outcome of a drift test.

    Attributes:
        statistic: in the unit of the test.
        p_value: under no drift, two-sided, 0 to 1.
        effect: size of the drift, as the docstring of the test defines it.
        n, m: effective numbers of events of reference and current.
    """

    statistic: float
    p_value: float
    effect: float
    n: float
    m: float


class Distribution(NamedTuple):
    """Weights (of any positive scale) by value, and the number of events that they stand for.

    Attributes:
        values: bucket middles of a number, ascending, or names of categories; shape (k,).
        weights: shape (k,), at least 0.
        n: effective number of events.
    """

    values: tuple[Any, ...]
    weights: tuple[float, ...]
    n: float

    @classmethod
    def from_weights(cls, weights: Mapping[Any, float], n: float | None = None) -> Distribution:
        """Return the distribution of value -> weight; ``n`` is the sum of the weights by default.

        >>> Distribution.from_weights({"stop": 90, "length": 10})
        Distribution(values=('length', 'stop'), weights=(10.0, 90.0), n=100.0)
        """
        values = tuple(sorted(weights))
        ordered = tuple(float(weights[value]) for value in values)
        return cls(values, ordered, float(sum(ordered)) if n is None else n)

    @classmethod
    def from_rate(cls, rate: float, n: float) -> Distribution:
        """Return the distribution of failed or not, of ``n`` events that fail at ``rate`` (0 to 1).

        >>> Distribution.from_rate(0.25, 100)
        Distribution(values=(False, True), weights=(0.75, 0.25), n=100)
        """
        return cls((False, True), (1 - rate, rate), n)


class DriftTest(Protocol):
    """Compares two distributions."""

    def __call__(self, reference: Distribution, current: Distribution) -> Comparison: ...  # noqa: D102


class TextTest(Protocol):
    """Compares two sets of texts."""

    def __call__(self, reference: TextSketch, current: TextSketch) -> Comparison: ...  # noqa: D102


def align(reference: Distribution, current: Distribution) -> tuple[Sequence[Hashable], Floats, Floats]:
    """Return the values of both in order, and the share of each in either: shapes (k,), sums 1.

    Raises:
        ValueError: one of them has no events.
    """
    values = sorted({*reference.values, *current.values})
    indices = {value: index for index, value in enumerate(values)}
    shares = np.zeros((2, len(values)))
    for row, distribution in enumerate((reference, current)):
        for value, weight in zip(distribution.values, distribution.weights, strict=True):
            shares[row, indices[value]] += weight
    totals = shares.sum(axis=1)
    if not (totals > 0).all() or min(reference.n, current.n) <= 0:
        raise ValueError("nothing to compare: one of the two has no events")
    shares /= totals[:, None]
    return values, shares[0], shares[1]


def pool_rare_bins(
    p: Floats, q: Floats, n: float, m: float, least: float = 5.0, ordered: bool = True
) -> tuple[Floats, Floats]:
    """Return the shares in fewer bins, each of which expects ``least`` events on either side without drift.

    Ordered bins are joined with their neighbours; all categories that are too rare become one.

    Args:
        p, q: shares, shape (k,), sums 1; ``n``, ``m``: effective numbers of events.
    """
    both = (n * p + m * q) / (n + m)
    need = least / min(n, m)
    if not ordered:
        rare = both < need
        if not rare.any():
            return p, q
        return np.append(p[~rare], p[rare].sum()), np.append(q[~rare], q[rare].sum())
    starts, total = [0], 0.0
    for index, share in enumerate(both):
        if total >= need:
            starts.append(index)
            total = 0.0
        total += share
    if total < need and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(p, starts), np.add.reduceat(q, starts)


def quantile_bins(p: Floats, q: Floats, bins: int) -> tuple[Floats, Floats]:
    """Return ordered shares in at most ``bins`` bins, each of about an equal share of both together."""
    both = np.cumsum(p + q) / 2
    group = np.minimum((np.maximum(both - (p + q) / 4, 0) * bins).astype(int), bins - 1)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.add.reduceat(p, starts), np.add.reduceat(q, starts)


def harmonic_size(n: float, m: float) -> float:
    """Return nm/(n+m), with which the null distributions of two-sample statistics scale."""
    return n * m / (n + m)
