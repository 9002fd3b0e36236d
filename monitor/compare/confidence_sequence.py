"""Rates of samples that grow and are looked at at any time: confidence sequences of one rate and of the
difference of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION

PRIOR = 0.5
"""Both parameters of the beta mixture (Krichevsky and Trofimov's): alike, so that failures and successes may be swapped; below 1, for failures are rare."""

# the lesser parameter of each of these: the ln odds of the two rates then differ by a standard deviation of
# 0.9
_FIRM = 3.0
LADDER = tuple(
    (_FIRM * max(1.0, math.exp(rung)), _FIRM * max(1.0, math.exp(-rung))) for rung in range(-9, 10)
)
"""Of the mixture of two rates: beta distributions, one of which is that of both, for a new version is seldom far from the old."""

INDEPENDENT_WEIGHT = 0.1
"""The weight in that mixture of two rates that have nothing to do with each other."""

_HALVINGS = 45
_STEEPEST = 690.0  # ln of a slope at which a rate is as good as 0 or 1; beyond it floats overflow


class Bounds(NamedTuple):
    """A value with the ends of its confidence sequence. It says nothing of better or worse: that is the
    rule's.
    """

    value: float
    low: float
    high: float


class Counts(NamedTuple):
    """How many events there were, and how many of them failed; not whole where events have weights."""

    n: float
    failures: float

    @classmethod
    def from_rate(cls, rate: Rate, least: float = 1.0) -> Counts:
        """The counts of a rate, an event kept with probability p counting least/p: so weighted, the bounds
        hold exactly. (0, 0) if nothing was counted.

        Why not the effective n: until rare classes have shown what they hold it is too large
        (docs/statistics.md: 6 to 62 % of streams miss at an alpha of 5 %). A likelihood ratio to the power u
        ≤ 1 is at most 1 + u (ratio - 1), whose mean is 1 where u is least/p.

        Args:
            least: the least probability with which any event may have been kept, above 0 to 1, known before
                the sample. Where it is far below those of most events, the bounds are wide. If an event was
                kept with a lesser one, that is taken, and the promise is broken until it comes.

        Raises:
            ValueError: ``least`` is no probability.

        >>> rate = Rate()
        >>> rate.add(1_000_000, 100, 3)
        >>> rate.add(500_000, 100, 1)
        >>> Counts.from_rate(rate, least=0.5)
        Counts(n=150.0, failures=2.5)
        """
        if not 0 < least <= 1:
            raise ValueError(f"least is {least}; it must be a probability above 0")
        rarest = min([least * MILLION, *rate.classes])
        n = sum(n * rarest / ppm for ppm, (n, _) in rate.classes.items())
        return cls(n, min(n, sum(f * rarest / ppm for ppm, (_, f) in rate.classes.items())))


def rate_bounds(counts: Counts, alpha: float) -> Bounds:
    """The share of failures with bounds that hold at all n at once: those rates p against which ``log_e_value``
    stays below ln(1/alpha).

    Null: every event fails with probability p, independently. Least n: none; with few events it is wide.
    False alarms: p is outside at *any* n, however often one looks and whenever one stops, with probability at
    most ``alpha``, by Ville's inequality. Under weights that holds for the counts of ``Counts.from_rate``; with an
    effective n it is approximate, and poor at first. Rates that vary by block or hour miss oftener: multiply
    n and failures by what an event is worth. No running intersection is taken, though one would be valid and
    a little narrower: its state would be more than the counts, so that a restart, or panes merged in another
    order, would tell otherwise.

    Args:
        counts: n above 0, failures 0 to n, of all that came since the sample began: not of a sliding window.
        alpha: between 0 and 1.

    Raises:
        ValueError: counts or an alpha that cannot be.

    Source: Robbins, Ann. Math. Statist. 41 (1970); Howard, Ramdas, McAuliffe, Sekhon, Ann. Statist. 49
    (2021), 3.2, the beta-binomial mixture; Krichevsky and Trofimov, IEEE Trans. Inf. Theory 27 (1981),
    Beta(1/2, 1/2).

    >>> [round(x, 4) for x in rate_bounds(Counts(1000, 30), alpha=0.05)]
    [0.03, 0.0143, 0.054]
    """
    _check(alpha, counts)
    room = _room(alpha, _mixed(counts, PRIOR, PRIOR), counts)
    (low,), (high,) = _ends((counts,), room, 1.0), _ends((counts,), room, -1.0)
    value = counts.failures / counts.n
    return Bounds(value, min(value, low), max(value, high))


def compare_rates(new: Counts, old: Counts, alpha: float) -> Bounds:
    """The rate of failures of the new less that of the old, with bounds that hold at all sizes of both at
    once, whichever of them grows.

    A difference lies outside where a mixture of pairs of rates is 1/alpha times as likely as any pair that
    differs by it. Why this one: two sequences at alpha / 2 each are as safe but take 1.6 to 1.8 times as many
    events (docs/statistics.md). The 2x2 safe test takes a quarter to a half fewer, but holds only for blocks
    of new and old in a ratio fixed beforehand, with their order for a state: a version that replaces another
    gives it no blocks.

    Null: the rates differ by d; events fail independently. Least n: one of each. False alarms: d is outside
    at any look with probability at most ``alpha``; weights, and why nothing is intersected: ``rate_bounds``.
    A caller answers *worse* where ``low`` is above 0 (or its margin), *not worse by more than the margin*
    where ``high`` is below the margin, and otherwise *undecided*.

    Args:
        new, old: n above 0, failures 0 to n, of all that came.
        alpha: between 0 and 1.

    Raises:
        ValueError: counts or an alpha that cannot be.

    Source: Wasserman, Ramdas, Balakrishnan, PNAS 117 (2020), a mixture over the likeliest of the null;
    Robbins, Ann. Math. Statist. 41 (1970). Not kept: Turner, Ly, Grünwald, Generic E-variables for exact
    sequential k-sample tests (2021).

    >>> [round(x, 4) for x in compare_rates(Counts(1000, 70), Counts(5000, 150), alpha=0.05)]
    [0.04, 0.0071, 0.083]
    """
    _check(alpha, new, old)
    logs = [math.log(INDEPENDENT_WEIGHT) + _mixed(new, PRIOR, PRIOR) + _mixed(old, PRIOR, PRIOR)]
    logs += [
        math.log((1 - INDEPENDENT_WEIGHT) / len(LADDER)) + _mixed(new, a, b) + _mixed(old, a, b)
        for a, b in LADDER
    ]
    top = max(logs)
    room = _room(alpha, top + math.log(sum(math.exp(log - top) for log in logs)), new, old)
    least, most = (a - b for a, b in (_ends((new, old), room, sign) for sign in (1.0, -1.0)))
    value = new.failures / new.n - old.failures / old.n
    return Bounds(value, min(value, least), max(value, most))


def log_e_value(n: npt.ArrayLike, failures: npt.ArrayLike, p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """ln of the e-value against a rate ``p``, strictly between 0 and 1: the mixture's likelihood over p's. Of
    arrays too, elementwise.

    Source: Howard et al. (2021), 3.2.

    >>> round(float(log_e_value(100, 20, 0.1)), 2)
    1.91
    """
    from scipy.special import betaln, xlog1py, xlogy  # here, as in rate.py: who only counts need not pay

    good = np.asarray(n, float) - failures
    mixed = betaln(np.asarray(failures, float) + PRIOR, good + PRIOR) - betaln(PRIOR, PRIOR)
    return np.asarray(mixed - xlogy(failures, p) - xlog1py(good, -np.asarray(p, float)), float)


def _check(alpha: float, *several: Counts) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    for n, failures in several:
        if not (0 < n < math.inf and 0 <= failures <= n):
            raise ValueError(
                f"{failures} failures of {n} events cannot be; n must be above 0, and failures from 0 to n"
            )


def _mixed(counts: Counts, a: float, b: float) -> float:
    """ln of the likelihood of the counts in their order, mixed over rates by Beta(a, b)."""
    n, failures = counts
    held = math.lgamma(failures + a) + math.lgamma(n - failures + b) - math.lgamma(n + a + b)
    return held - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)


def _room(alpha: float, mixture: float, *several: Counts) -> float:
    """By how much a likelihood may fall short of the greatest: below that the mixture, given as ln, is less
    than 1/alpha times as likely.
    """
    return math.log(1 / alpha) - mixture + sum(_likelihood(n, f, f / n, 1 - f / n) for n, f in several)


def _ends(several: Sequence[Counts], room: float, sign: float) -> tuple[float, ...]:
    """The rates on the edge of the joint confidence region where the first less the second is as small (sign
    1) or as large (-1) as can be.

    The region is convex, and there the log likelihoods have slopes s and -s: one number to look for, by
    halving on a logarithmic scale, instead of two.
    """

    def rates(slope: float) -> list[tuple[float, float]]:
        return [
            (_rate(n, f, s), _rate(n, n - f, -s)) for (n, f), s in zip(several, (slope, -slope), strict=False)
        ]

    def lost(slope: float) -> float:
        return sum(
            _likelihood(n, f, f / n, 1 - f / n) - _likelihood(n, f, p, q)
            for (n, f), (p, q) in zip(several, rates(slope), strict=True)
        )

    inside, outside = -_STEEPEST, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if lost(sign * math.exp(middle)) < room else (inside, middle)
    return tuple(p for p, _ in rates(sign * math.exp(outside)))


def _rate(n: float, failures: float, slope: float) -> float:
    """The rate at which the log likelihood less slope times the rate is largest: a root of slope p² - (n +
    slope) p + failures, the one in [0, 1].
    """
    along = n + slope
    legs = (n - slope, slope, n - failures) if slope > 0 else (along, -slope, failures)
    root = math.hypot(legs[0], 2 * math.sqrt(legs[1]) * math.sqrt(legs[2]))  # not squared: it would overflow
    found = 2 * failures / (along + root) if along > 0 else (along - root) / (2 * slope)
    return min(1.0, max(0.0, found))


def _likelihood(n: float, failures: float, p: float, q: float) -> float:
    """ln p^failures q^(n - failures); q = 1 - p is given, for it may be too small to be told from 1 - p."""
    if (failures > 0 and p <= 0) or (n > failures and q <= 0):
        return -math.inf
    return (failures * math.log(p) if failures > 0 else 0.0) + (
        (n - failures) * math.log(q) if n > failures else 0.0
    )
