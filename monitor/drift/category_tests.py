"""The G test on categories."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import chdtrc, rel_entr

from monitor.drift.interface import Comparison, Distribution, Floats, align, pool_rare_bins


def g_test(reference: Distribution, current: Distribution) -> Comparison:
    """The likelihood ratio of a 2 × B table, G = 2 Σ O ln(O/E), pooled as for chi-square.

    Null: both have the same shares. Needs n, m ≥ 20. Effect: sqrt(G/(n+m)), as Cramér's V.

    Source: Wilks, Ann. Math. Statist. 9 (1938); Sokal and Rohlf, Biometry, 17.4.
    """
    p, q, expected = _table(reference, current)
    n, m = reference.n, current.n
    return _told(2 * float(np.sum(n * rel_entr(p, expected) + m * rel_entr(q, expected))), len(p), n, m)


def g_upper_bound(reference: Mapping[str, float], n: float, current: Mapping[str, float], m: float) -> float:
    """G before rare categories are pooled, which is never less than ``g_test`` has it: where it is too small for
    any number of categories, so is that.

    Args:
        reference, current: weights by name, neither empty; n, m: what events they are worth.

    Source: Cover, Thomas, Elements of Information Theory, 2.7.1, the log sum inequality.
    """
    share, other, found = n / sum(reference.values()), m / sum(current.values()), 0.0
    for name in {**reference, **current}:
        p, q = reference.get(name, 0.0) * share, current.get(name, 0.0) * other
        expected = (p + q) / (n + m)
        found += (p * math.log(p / n / expected) if p else 0.0) + (
            q * math.log(q / m / expected) if q else 0.0
        )
    return 2 * found


def _table(reference: Distribution, current: Distribution) -> tuple[Floats, Floats, Floats]:
    _, p, q = align(reference, current)
    n, m = reference.n, current.n
    p, q = pool_rare_bins(p, q, n, m, ordered=False)
    expected = (n * p + m * q) / (n + m)
    some = expected > 0
    return p[some], q[some], expected[some]


def _told(statistic: float, bins: int, n: float, m: float) -> Comparison:
    if bins < 2:
        return Comparison(0.0, 1.0, 0.0, n, m)
    return Comparison(
        statistic, float(chdtrc(bins - 1, statistic)), float(np.sqrt(max(0.0, statistic) / (n + m))), n, m
    )
