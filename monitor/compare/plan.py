"""Plan a comparison: how many events and days two versions need until a difference is seen."""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.compare.confidence_sequence import Counts, compare_rates

POWER_Z = 0.8416
"""Standard errors for a power of 80 %."""
MOST_EVENTS = 1e9


class Plan(NamedTuple):
    """What a comparison needs.

    Attributes:
        fixed: independent events of the new version, for one look at the end of a planned time.
        sequential: independent events of the new version, for bounds that may be looked at any time.
        inflation: how many calls say as much as one independent call.
        new_calls, all_calls: calls until then, by the bounds of any time; of the new version, and of both.
        days: until then; None if the traffic is not known.
    """

    fixed: int
    sequential: int
    inflation: float
    new_calls: int
    all_calls: int
    days: float | None


def plan_rates(
    baseline: float,
    detect: float,
    *,
    share: float = 0.5,
    alpha: float = 0.05,
    inflation: float = 1.0,
    calls_a_day: float | None = None,
) -> Plan:
    """Return what it takes to see a change of a rate in 80 % of the comparisons.

    Args:
        baseline: the rate of the stable version, 0 to 1, exclusive.
        detect: the change to see, for the worse; the rate of the new version is ``baseline - detect``.
        share: of the calls that the new version gets, 0 to 1, exclusive.
        alpha: probability of a false alarm.
        inflation: design effect, at least 1 (``design_effect``, or 1 + (m - 1) rho for sessions of m calls).
        calls_a_day: of the feature; None: not known.

    Raises:
        ValueError: an argument is out of range.

    Source: Fleiss, Statistical Methods for Rates and Proportions, 4.14 (one look); docs/statistics.md, growing samples.

    >>> plan_rates(0.95, 0.02, share=0.5)[:2]
    (2210, 8511)
    """
    if not 0 < baseline < 1:
        raise ValueError(f"baseline is {baseline}; it must lie between 0 and 1")
    if not 0 < detect < baseline:
        raise ValueError(f"detect is {detect}; it must be above 0 and below the baseline, {baseline}")
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must lie between 0 and 1")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    if inflation < 1:
        raise ValueError(f"inflation is {inflation}; it must be at least 1")
    p, q = 1 - baseline, 1 - baseline + detect
    ratio = (1 - share) / share
    fixed = _fixed(p, q, ratio, alpha)
    sequential = _sequential(p, q, ratio, alpha)
    new_calls = math.ceil(sequential * inflation)
    all_calls = math.ceil(new_calls / share)
    return Plan(
        fixed,
        sequential,
        inflation,
        new_calls,
        all_calls,
        None if not calls_a_day else all_calls / calls_a_day,
    )


def session_inflation(calls: float, rho: float) -> float:
    """Return the design effect of sessions.

    Args:
        calls: of a session, at least 1.
        rho: correlation of the calls of a session, 0 to 1.

    Raises:
        ValueError: an argument is out of range.

    Source: Kish, Survey Sampling (1965), 5.4.

    >>> session_inflation(5, 0.1)
    1.4
    """
    if calls < 1 or not 0 <= rho <= 1:
        raise ValueError(f"calls {calls}, rho {rho}: calls must be at least 1, rho 0 to 1")
    return 1 + (calls - 1) * rho


def _fixed(p: float, q: float, ratio: float, alpha: float) -> int:
    """Return the events of the new version for the two-proportion test, looked at once."""
    z = _normal_quantile(1 - alpha / 2) + POWER_Z
    return math.ceil(z**2 * (q * (1 - q) + p * (1 - p) / ratio) / (q - p) ** 2)


def _sequential(p: float, q: float, ratio: float, alpha: float) -> int:
    """Return the events of the new version at which the bounds exclude 0 in 80 % of the comparisons.

    At that size the difference, less 0.84 standard errors, still has a lower bound above 0.
    """

    def sees(n: float) -> bool:
        error = math.sqrt(q * (1 - q) / n + p * (1 - p) / (n * ratio))
        unlucky = q - POWER_Z * error
        if unlucky <= p:
            return False
        return compare_rates(Counts(n, n * unlucky), Counts(n * ratio, n * ratio * p), alpha).low > 0

    low, high = 1.0, 64.0
    while not sees(high):
        low, high = high, high * 2
        if high > MOST_EVENTS:
            raise ValueError(f"more than {MOST_EVENTS:,.0f} events would be needed; detect a larger change")
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if sees(middle) else (middle, high)
    return math.ceil(high)


def _normal_quantile(q: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(q)
