"""Sum paired cells to the counts of two arms, as if all of them had happened in one population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.compare.confidence_sequence import Counts
from monitor.compare.confidence_sequence_means import Moments
from monitor.compare.pairing import Pair
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.exponential_buckets import bucket_middle
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION


class WeightedValues(NamedTuple):
    """Values of a number over all cells.

    Attributes:
        moments: in integer units; n is the effective number of events.
        values: of the buckets, ascending; ``shares``: of the events in each.
    """

    moments: Moments
    values: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]


def rate_counts(pairs: Sequence[Pair[Rate]], design_effect: float = 1.0) -> tuple[Counts, Counts]:
    """Return the effective counts of a and b. (0, 0) without pairs.

    The rate of an arm is that of its cells, each weighted by its factor g: p = sum(g f w) / sum(g n w). With the
    heaviest weights of a failure (c_f) and of any event (c_s) the effective number of events is
    T^2 / (A ((1 - p) c_f + p c_s)), T = sum(g n w), A = sum(g^2 n w): the linearised variance with the weights of
    each outcome replaced by the heaviest. With one weight and a constant split it is the number of events.

    Args:
        pairs: of ``pair_cells``.
        design_effect: how many events of a session are worth one, at least 1.

    Source: docs/decisions/0030-units-of-the-heaviest-weight.md; Kish, Survey Sampling (1965), 11.7.
    """
    a = _effective([(pair.a, pair.a_factor) for pair in pairs], design_effect)
    return a, _effective([(pair.b, pair.b_factor) for pair in pairs], design_effect)


def _effective(cells: Sequence[tuple[Rate, float]], design_effect: float) -> Counts:
    total = failed = squares = 0.0
    heaviest = heaviest_failure = 0.0
    for rate, factor in cells:
        f, n = rate.weighted_counts()
        total += factor * n
        failed += factor * f
        squares += factor**2 * n
        for ppm, (_, failures) in rate.classes.items():
            heaviest = max(heaviest, MILLION / ppm)
            if failures:
                heaviest_failure = max(heaviest_failure, MILLION / ppm)
    if total <= 0:
        return Counts(0.0, 0.0)
    share = min(1.0, failed / total)
    unit = (1 - share) * (heaviest_failure or heaviest) + share * heaviest
    n = total**2 / (squares * unit) / design_effect
    return Counts(n, n * share)


def number_values(
    pairs: Sequence[Pair[NumberSummary]], design_effect: float = 1.0
) -> tuple[WeightedValues, WeightedValues]:
    """Return the values of a and b over all cells; n is 0 without pairs.

    The effective number of events is that with which a plain mean would have the linearised variance
    sum(g^2 w^2 (v - m)^2) / T^2, and at most Kish's T^2 / sum(g^2 w^2): values that are rarely sampled may not have
    been seen yet.
    """
    a = _values([(pair.a, pair.a_factor) for pair in pairs], design_effect)
    return a, _values([(pair.b, pair.b_factor) for pair in pairs], design_effect)


def _values(cells: Sequence[tuple[NumberSummary, float]], design_effect: float) -> WeightedValues:
    middles: list[float] = []
    weights: list[float] = []
    squares: list[float] = []
    total = weighted_sum = 0.0
    cached: dict[tuple[int, int], float] = {}
    for number, factor in cells:
        weighted_sum += factor * number.weighted_sum()
        for ppm, histogram in sorted(number.classes.items()):
            weight = factor * MILLION / ppm
            total += weight * histogram.n
            for code, count in histogram.buckets.items():
                middle = cached.get((number.scale, code))
                if middle is None:
                    middle = cached[number.scale, code] = bucket_middle(code, number.scale)
                middles.append(middle)
                weights.append(weight * count)
                squares.append(weight**2 * count)
    if total <= 0:
        empty = np.zeros(0)
        return WeightedValues(Moments(0.0, 0.0, 0.0), empty, empty)
    mean = weighted_sum / total
    values, rows = np.unique(np.array(middles), return_inverse=True)
    shares = np.bincount(rows, np.array(weights)) / total
    square_sums = np.bincount(rows, np.array(squares))
    variance = float(shares @ (values - mean) ** 2)
    of_mean = float(square_sums @ (values - mean) ** 2) / total**2
    n = total**2 / float(square_sums.sum())
    if of_mean > 0:
        n = min(n, variance / of_mean)
    return WeightedValues(Moments(n / design_effect, mean, variance), values, shares)


def category_shares(
    pairs: Sequence[Pair[CategoryCounts]], design_effect: float = 1.0
) -> tuple[tuple[float, dict[str, float]], tuple[float, dict[str, float]]]:
    """Return the effective number of events of a and of b, each with the share of each value."""
    a = _shares([(pair.a, pair.a_factor) for pair in pairs], design_effect)
    return a, _shares([(pair.b, pair.b_factor) for pair in pairs], design_effect)


def _shares(
    cells: Sequence[tuple[CategoryCounts, float]], design_effect: float
) -> tuple[float, dict[str, float]]:
    sums: dict[str, float] = {}
    total = squares = 0.0
    for categories, factor in cells:
        for name, count in categories.weighted_counts().items():
            sums[name] = sums.get(name, 0.0) + factor * count
        for ppm, counts in sorted(categories.classes.items()):
            n, weight = sum(counts.values()), factor * MILLION / ppm
            total += weight * n
            squares += weight**2 * n
    if total <= 0:
        return 0.0, {}
    return total**2 / squares / design_effect, {name: value / total for name, value in sorted(sums.items())}
