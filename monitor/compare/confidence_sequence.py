"""Confidence sequences of a rate and of the difference of two rates.

Their bounds hold at all sample sizes at once, so a growing sample may be evaluated at any time.
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
"""Both parameters of the beta mixture (Krichevsky and Trofimov).

They are equal, so that failures and successes may be swapped, and below 1, because failures are rare.
"""

# The lesser parameter of each: the ln odds of the two rates then differ by a standard deviation of 0.9.
_FIRM = 3.0
LADDER = tuple(
    (_FIRM * max(1.0, math.exp(rung)), _FIRM * max(1.0, math.exp(-rung))) for rung in range(-9, 10)
)
"""Beta distributions of the mixture of two rates; each is a distribution of both rates.

A new version is rarely far from the old.
"""

INDEPENDENT_WEIGHT = 0.1
"""Weight in that mixture of two independent rates."""

_HALVINGS = 45
_STEEPEST = 690.0  # ln of a slope at which a rate is almost 0 or 1; beyond it floats overflow


class Bounds(NamedTuple):
    """A value with the bounds of its confidence sequence. The caller decides what is better or worse."""

    value: float
    low: float
    high: float


class Counts(NamedTuple):
    """Numbers of events and of failures; not integers if events have weights."""

    n: float
    failures: float

    @classmethod
    def from_rate(cls, rate: Rate, least: float = 1.0) -> Counts:
        """Return the counts of a rate; an event of sampling probability p counts least/p.

        With these weights the bounds hold exactly. (0, 0) if nothing was counted.

        The effective n is not used: it is too large until events of rare classes have occurred
        (docs/statistics.md: 6 to 62 % of streams miss at an alpha of 5 %). A likelihood ratio to the power u
        ≤ 1 is at most 1 + u (ratio - 1), whose mean is 1 if u is least/p.

        Args:
            least: the least sampling probability of any event, above 0 to 1, known before the sample. If it
                is far below that of most events, the bounds are wide. If an event has a lesser one, that is
                used, and the bounds do not hold before that event.

        Raises:
            ValueError: ``least`` is not a probability.

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
    """Return the share of failures with bounds that hold at all n at once.

    Inside are the rates p against which ``log_e_value`` stays below ln(1/alpha).

    Null: every event fails with probability p, independently. Least n: none; with few events the bounds are
    wide. False alarms: p is outside at *any* n, however often one looks and whenever one stops, with
    probability at most ``alpha``, by Ville's inequality. With weights that holds for the counts of
    ``Counts.from_rate``; with an effective n it is approximate, and poor at first. Rates that vary by block
    or hour are missed more often: multiply n and failures by the effective size of an event.

    No running intersection is used, although it would be valid and a little narrower. Its state would be more
    than the counts, so a restart, or panes merged in another order, would change the result.

    Args:
        counts: n above 0, failures 0 to n, of all events since the sample began: not of a sliding window.
        alpha: between 0 and 1, exclusive.

    Raises:
        ValueError: impossible counts or alpha.

    Source: Robbins, Ann. Math. Statist. 41 (1970); Howard, Ramdas, McAuliffe, Sekhon, Ann. Statist. 49
    (2021), 3.2, the beta-binomial mixture; Krichevsky and Trofimov, IEEE Trans. Inf. Theory 27 (1981),
    Beta(1/2, 1/2).

    >>> [round(x, 4) for x in rate_bounds(Counts(1000, 30), alpha=0.05)]
    [0.03, 0.0143, 0.054]
    """
    _check(alpha, counts)
    margin = _margin(alpha, _mixed(counts, PRIOR, PRIOR), counts)
    (low,), (high,) = _ends((counts,), margin, 1.0), _ends((counts,), margin, -1.0)
    value = counts.failures / counts.n
    return Bounds(value, min(value, low), max(value, high))


def compare_rates(new: Counts, old: Counts, alpha: float) -> Bounds:
    """Return the failure rate of the new less that of the old, with bounds that hold at all sizes of both.

    A difference lies outside where a mixture of pairs of rates is 1/alpha times as likely as any pair that
    differs by it. Two sequences at alpha / 2 each are as safe but take 1.6 to 1.8 times as many events
    (docs/statistics.md). The 2x2 safe test takes a quarter to a half fewer, but holds only for blocks of new
    and old in a ratio fixed beforehand, with their order as state. A version that replaces another gives no
    such blocks.

    Null: the rates differ by d; events fail independently. Least n: one of each. False alarms: d is outside
    at any look with probability at most ``alpha``; for weights, and why nothing is intersected, see
    ``rate_bounds``. A caller decides *worse* if ``low`` is above 0 (or its tolerance), *not worse by more
    than the tolerance* if ``high`` is below the tolerance, and otherwise *undecided*.

    Args:
        new, old: n above 0, failures 0 to n, of all events.
        alpha: between 0 and 1, exclusive.

    Raises:
        ValueError: impossible counts or alpha.

    Source: Wasserman, Ramdas, Balakrishnan, PNAS 117 (2020), a mixture over the likeliest of the null;
    Robbins, Ann. Math. Statist. 41 (1970). Not used: Turner, Ly, Grünwald, Generic E-variables for exact
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
    margin = _margin(alpha, top + math.log(sum(math.exp(log - top) for log in logs)), new, old)
    least, most = (a - b for a, b in (_ends((new, old), margin, sign) for sign in (1.0, -1.0)))
    value = new.failures / new.n - old.failures / old.n
    return Bounds(value, min(value, least), max(value, most))


def log_e_value(n: npt.ArrayLike, failures: npt.ArrayLike, p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return ln of the e-value against a rate ``p``: the likelihood of the mixture over that of p.

    Args:
        n, failures: counts; ``p``: between 0 and 1, exclusive. Arrays are evaluated elementwise.

    Source: Howard et al. (2021), 3.2.

    >>> round(float(log_e_value(100, 20, 0.1)), 2)
    1.91
    """
    from scipy.special import betaln, xlog1py, xlogy  # imported here, as in rate.py

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
    """Return ln of the likelihood of the counts in their order, mixed over rates by Beta(a, b)."""
    n, failures = counts
    posterior = math.lgamma(failures + a) + math.lgamma(n - failures + b) - math.lgamma(n + a + b)
    return posterior - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)


def _margin(alpha: float, mixture: float, *several: Counts) -> float:
    """Return by how much a ln likelihood may fall short of the largest one.

    Up to that the mixture, given as ln, is less than 1/alpha times as likely.
    """
    return math.log(1 / alpha) - mixture + sum(_likelihood(n, f, f / n, 1 - f / n) for n, f in several)


def _ends(several: Sequence[Counts], margin: float, sign: float) -> tuple[float, ...]:
    """Return the rates at which the first less the second is as small (sign 1) or large (-1) as possible.

    They lie on the edge of the joint confidence region, which is convex. There the log likelihoods have the
    slopes s and -s: one number to find, by halving on a logarithmic scale, instead of two.
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
        inside, outside = (middle, outside) if lost(sign * math.exp(middle)) < margin else (inside, middle)
    return tuple(p for p, _ in rates(sign * math.exp(outside)))


def _rate(n: float, failures: float, slope: float) -> float:
    """Return the rate at which the log likelihood less slope times the rate is largest.

    It is the root in [0, 1] of slope p² - (n + slope) p + failures.
    """
    along = n + slope
    legs = (n - slope, slope, n - failures) if slope > 0 else (along, -slope, failures)
    root = math.hypot(legs[0], 2 * math.sqrt(legs[1]) * math.sqrt(legs[2]))  # not squared: it would overflow
    root_rate = 2 * failures / (along + root) if along > 0 else (along - root) / (2 * slope)
    return min(1.0, max(0.0, root_rate))


def _likelihood(n: float, failures: float, p: float, q: float) -> float:
    """Return ln p^failures q^(n - failures). q is 1 - p, which may be too small for that difference."""
    if (failures > 0 and p <= 0) or (n > failures and q <= 0):
        return -math.inf
    return (failures * math.log(p) if failures > 0 else 0.0) + (
        (n - failures) * math.log(q) if n > failures else 0.0
    )
