"""The paired test of two runs over the same cases, and bounds of the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from monitor.stats.share_intervals import wilson_interval

_LOG_2 = float(np.log(2.0))


def sign_flip_p_value(rises: Sequence[int]) -> float:
    """Return the exact one-sided p-value of the null hypothesis that the two runs are exchangeable.

    Under it the rise of each case is as likely as its negative, so all signs are equally likely. With rises of
    -1, 0 and 1 this is the exact test of McNemar. The whole distribution is computed, for any number of cases.

    Args:
        rises: by how much the failures of each case rose, in whole units.

    Returns:
        P(sum of the rises with random signs >= their sum); 1 without a rise other than 0.

    Source: Fisher, The Design of Experiments (1935), section 21; McNemar, Psychometrika 12 (1947).

    >>> sign_flip_p_value([1, 1, 1, 1, 1]), sign_flip_p_value([0, 0]), sign_flip_p_value([3, -3])
    (0.03125, 1.0, 0.75)
    """
    counts = Counter(abs(rise) for rise in rises if rise)
    if not counts:
        return 1.0
    distribution = np.ones(1)
    for size, count in sorted(counts.items()):
        # the sum of `count` random signs times `size` lies at -size * count, ..., in steps of 2 * size
        spread = np.zeros(2 * size * count + 1)
        spread[:: 2 * size] = _half_binomial(count)
        distribution = np.convolve(distribution, spread)
    middle = len(distribution) // 2
    return float(min(1.0, distribution[middle + sum(rises) :].sum()))


def _half_binomial(count: int) -> npt.NDArray[np.float64]:
    """Return the probabilities of 0, ..., ``count`` heads of a fair coin."""
    heads = np.arange(count + 1)
    logs = gammaln(count + 1) - gammaln(heads + 1) - gammaln(count - heads + 1) - count * _LOG_2
    probabilities: npt.NDArray[np.float64] = np.exp(logs)
    return probabilities


class RiseBounds(NamedTuple):
    """The rise of the failure rate, and its one-sided bounds."""

    rise: float
    low: float
    high: float


def rise_bounds(rises: Sequence[float], z: float) -> RiseBounds:
    """Bound the mean rise of failures over cases.

    The rise is the mean part that got worse minus the mean part that got better. Each part has a Wilson interval;
    both are joined as for paired proportions, with their correlation. It is never empty where no case changed: of
    n cases it then reaches to z² / (n + z²).

    Args:
        rises: of each case, [-1, 1].
        z: quantile of the normal distribution for one side.

    Returns:
        The rise and its bounds, [-1, 1]; (0, -1, 1) without cases.

    Source: Newcombe, Statistics in Medicine 17 (1998) 2635, method 10; Zou and Donner, ibid. 27 (2008) 1693.

    >>> [round(number, 3) for number in rise_bounds([1.0] * 12 + [0.0] * 188, 1.645)]
    [0.06, 0.034, 0.094]
    """
    n = len(rises)
    if not n:
        return RiseBounds(0.0, -1.0, 1.0)
    values = np.asarray(rises, float)
    worse, better = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    up, down = float(worse.mean()), float(better.mean())
    up_low, up_high = wilson_interval(up, _effective_n(worse), z)
    down_low, down_high = wilson_interval(down, _effective_n(better), z)
    # the two parts exclude each other: a case cannot get worse and better
    correlation = -sqrt(up * down / ((1 - up) * (1 - down))) if 0 < up < 1 and 0 < down < 1 else 0.0
    low = _joined(up - up_low, down_high - down, correlation)
    high = _joined(up_high - up, down - down_low, correlation)
    return RiseBounds(up - down, max(-1.0, up - down - low), min(1.0, up - down + high))


def _joined(first: float, second: float, correlation: float) -> float:
    return sqrt(max(0.0, first * first - 2 * correlation * first * second + second * second))


def _effective_n(parts: npt.NDArray[np.float64]) -> float:
    """Return the number of cases that would give this variance if each part were 0 or 1.

    Parts of cases that failed only some of their answers vary less. At most three times as many cases, so that
    few of them do not look sure.
    """
    mean, variance = float(parts.mean()), float(parts.var())
    if not variance or mean in (0.0, 1.0):
        return float(len(parts))
    return len(parts) * min(3.0, max(1.0, mean * (1 - mean) / variance))


def smallest_visible(rises: Sequence[int], unit: int, alpha: float) -> int:
    """Return how many cases that newly fail this run could have shown, with the noise that it has.

    The noise are the cases that got better: as many are taken to have got worse by chance.

    Args:
        rises: of each case, in whole units.
        unit: the rise of a case that always passed and now always fails.
        alpha: level of the test.

    >>> smallest_visible([0] * 50, 1, 0.05), smallest_visible([-1] * 5 + [0] * 45, 1, 0.05)
    (5, 8)
    """
    noise = [abs(rise) for rise in rises if rise < 0]
    mirrored = noise + [-size for size in noise]
    least, most = 1, len(rises) + 20
    while least < most:  # the p-value falls with each further case
        middle = (least + most) // 2
        if sign_flip_p_value(mirrored + [unit] * middle) <= alpha:
            most = middle
        else:
            least = middle + 1
    return least


def enough_cases(bounds: RiseBounds, cases: int, margin: float, z: float) -> int | None:
    """Return about how many cases would have shown that the rise is below a margin.

    Args:
        bounds: of the run.
        cases: that it compared.
        margin: greatest rise that does not matter.
        z: of the bounds.

    Returns:
        The number, if the rise and the noise stay; None if the rise itself is not below the margin.

    >>> enough_cases(rise_bounds([0.0] * 5, 1.645), 5, 0.05, 1.645)
    52
    """
    if bounds.rise >= margin or not cases:
        return None
    least = z * z * (1 / margin - 1)
    scaled = cases * ((bounds.high - bounds.rise) / (margin - bounds.rise)) ** 2
    return ceil(least if not bounds.rise and bounds.low == -bounds.high else max(least, scaled))
