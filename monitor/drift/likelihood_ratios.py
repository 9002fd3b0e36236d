"""Likelihood ratios of risen odds: how much evidence each event adds to a Shiryaev–Roberts mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from math import exp, floor, log1p

ODDS = (1.5, 2.0, 3.0, 5.0, 15.0, 200.0)
"""Factors by which the odds of failure may have risen.

The first is about the least rise of interest, the last an outage of something that never failed.
"""

_LOG_ODDS = tuple(math.log(odds) for odds in ODDS)

WEIGHTS = (0.22, 0.28, 0.3, 0.12, 0.04, 0.04)
"""Weight of each factor in the mixture, sum 1.

Small rises, which take long to show, have most; a large rise makes up for its weight with one more event.
"""

RESTING = 4.0
"""ln of the statistic before a change: an alarm needs less evidence by that."""
OVER = 2.0
"""ln by which the evidence of a factor may exceed what alarms alone: a cap, so that recovery shows soon."""

WeightClass = tuple[float, float, float, float]
"""Failures and the units that each of them counts; other events and the units that each of these counts."""


def log_ratios(n: float, rate: float, bound: float) -> list[tuple[float, float]]:
    """Return for each of ``ODDS`` what a failure and another event add to ln LR.

    The risen rate is compared with a rate between it and the usual one. That rate is nearer to the risen one,
    the less the reference shows of the usual rate over the events that an alarm takes.

    Args:
        n: effective events of the reference, above 0.
        rate: the usual rate, between 0 and 1.
        bound: value of the statistic that alarms, at least 10.
    """
    needed = max(1.0, math.log(bound) - RESTING)
    ratios = []
    for odds in ODDS:
        risen = odds * rate / (1 + (odds - 1) * rate)
        information = risen * math.log(risen / rate) + (1 - risen) * math.log((1 - risen) / (1 - rate))
        compared = rate + (1 - 1 / math.sqrt(1 + needed / information / n)) * (risen - rate)
        ratios.append((math.log(risen / compared), math.log((1 - risen) / (1 - compared))))
    return ratios


def pooled_log_ratios(rate: float) -> list[tuple[float, float]]:
    """Return for each of ``ODDS`` what a failure and another event add to ln LR against ``rate`` itself.

    Args:
        rate: the rate that is no rise, between 0 and 1.
    """
    return [
        (log_odds - (passed := math.log1p((odds - 1) * rate)), -passed)
        for odds, log_odds in zip(ODDS, _LOG_ODDS, strict=True)
    ]


def log_likelihood_ratio(weight_classes: Sequence[WeightClass], bad: float, good: float) -> float:
    """Return ln of the product of 1 + u (factor - 1) over events of u units each.

    Its expectation is that of whole units, whatever the weights: with Poisson counts, m_F expected units of
    failures and m_S of others, E LR = exp(m_F (a - 1) + m_S (b - 1)), which is at most 1 where
    m_F / (m_F + m_S) is at most the rate that the factors a > 1 > b are taken against. It needs u <= 1 for
    events that passed.

    Source: Waudby-Smith, Ramdas, J. R. Statist. Soc. B 86 (2024), betting factors 1 + u (x - m).
    """
    failure_gain, other_gain = math.expm1(bad), math.expm1(good)
    total = 0.0
    for failures, failure_units, others, other_units in weight_classes:
        if failures:
            total += failures * (bad if failure_units == 1 else math.log1p(failure_units * failure_gain))
        if others:
            total += others * (good if other_units == 1 else math.log1p(other_units * other_gain))
    return total


@cache
def evidence_caps(bound: float) -> tuple[float, list[float]]:
    """Return the most that a block adds to ln LR, half of an alarm, and the most that each factor gathers."""
    return math.log(bound / WEIGHTS[-1]) / 2, [math.log(bound / weight) + OVER for weight in WEIGHTS]


def weighed(logs: Sequence[float], gains: Sequence[float], bound: float) -> tuple[float, list[float]]:
    """Return the statistic after a block, and ln(1 + R) of each factor, rounded to four digits.

    Args:
        logs: ln(1 + R) of each of ``ODDS`` before the block, at least 0.
        gains: what the block adds to ln LR of each.
        bound: value of the statistic that alarms.
    """
    block_cap, caps = evidence_caps(bound)
    total, updated = 0.0, []
    for weight, cap, before, gain in zip(WEIGHTS, caps, logs, gains, strict=True):
        after = before + (gain if gain < block_cap else block_cap)
        likelihood = exp(after)
        total += weight * likelihood
        after = after + log1p(exp(-after)) if after > 0 else log1p(likelihood)
        updated.append(rounded(after if after < cap else cap))
    return total, updated


def rounded(value: float) -> float:
    """Return ``round(value, 4)`` of a value from 0 to 1e9, faster.

    >>> rounded(1.23456), rounded(2.0), rounded(0.00005) == round(0.00005, 4)
    (1.2346, 2.0, True)
    """
    tens = value * 10_000
    nearest = floor(tens + 0.5)
    # near the middle of two, rounding depends on the last bit
    return nearest / 10_000 if -0.499 < tens - nearest < 0.499 else round(value, 4)
