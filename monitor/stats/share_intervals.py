"""Confidence intervals of a share: Wilson's to show, Clopper and Pearson's to decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

IntervalMethod = Callable[[float, float, float], tuple[float, float]]
"""Observed share, (effective) number of events, standard errors -> low, high.

``wilson_interval`` is for display, ``clopper_pearson_interval`` for decisions.
"""


def wilson_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Return the Wilson score interval of a share at ``z`` standard errors, inside [0, 1].

    Args:
        rate: observed share, 0 to 1.
        n: (effective) number of events, above 0.

    Source: Wilson, JASA 22 (1927) 209; Brown, Cai, DasGupta, Statist. Sci. 16 (2001), eq. 4.

    >>> [round(x, 4) for x in wilson_interval(0.1, 100, 1.96)]
    [0.0552, 0.1744]
    """
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))


@lru_cache(maxsize=16_384)
def clopper_pearson_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Return the Clopper–Pearson interval of a share, inside [0, 1].

    Each side misses the true share at most as often as a normal variate exceeds ``z``. Wilson's interval does
    not keep that far out: at z = 4.8 and a few hundred events of a rate of 1 % it misses hundreds of times
    too often, because the binomial is skewed there. So decisions use this interval.

    Args:
        rate: observed share, 0 to 1.
        n: (effective) number of events, above 0, not necessarily an integer.

    Source: Clopper and Pearson, Biometrika 26 (1934); by the beta distribution as in Brown, Cai, DasGupta,
    Statist. Sci. 16 (2001), 4.2.1; with an effective n: Korn and Graubard, Survey Methodology 24 (1998).

    >>> [round(x, 4) for x in clopper_pearson_interval(0.1, 100, 1.959964)]
    [0.049, 0.1762]
    """
    from scipy.special import betaincinv  # imported here: a command that only counts saves 0.1 s

    side = math.erfc(z / math.sqrt(2)) / 2
    failed, others = rate * n, n - rate * n
    low = float(betaincinv(failed, others + 1, side)) if failed > 0 else 0.0
    high = 1 - float(betaincinv(others, failed + 1, side)) if others > 0 else 1.0
    return max(0.0, min(rate, low)), min(1.0, max(rate, high))


def shift_odds(share: float, factor: float) -> float:
    """Return the share whose odds are ``factor`` times as large.

    >>> round(shift_odds(0.5, 0.01), 4), shift_odds(1.0, 0.01), shift_odds(0.3, 1.0)
    (0.0099, 1.0, 0.3)
    """
    if factor == 1:
        return share
    return share * factor / (share * factor + 1 - share) if share < 1 else 1.0


@lru_cache(maxsize=16_384)
def beta_quantile(a: float, b: float, probability: float) -> float:
    """Return the quantile of the beta distribution with parameters ``a`` and ``b``, both above 0.

    Args:
        probability: 0 to 1.
    """
    from scipy.special import betaincinv  # as above

    return float(betaincinv(a, b, probability))
