"""The G test on categories."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import chdtrc, rel_entr

from monitor.drift.interface import Comparison, Distribution, Floats, align, pool_rare_bins


def g_test(reference: Distribution, current: Distribution) -> Comparison:
    """G test: the likelihood ratio of a 2 × B table, G = 2 Σ O ln(O/E).

    Categories that expect fewer than five events on either side are joined into one. Null: both have the same
    shares. Needs n, m ≥ 20. Effect: as Cramér's V, sqrt(G/(n+m)), 0 equal to 1 disjoint.

    Raises:
        ValueError: one of them has no events.

    Source: Wilks, Ann. Math. Statist. 9 (1938); Sokal and Rohlf, Biometry, 17.4; Cochran, Biometrics 10
    (1954), at least five expected; Cramér (1946), 21.9.
    """
    p, q, expected = _table(reference, current)
    n, m = reference.n, current.n
    return _comparison(2 * float(np.sum(n * rel_entr(p, expected) + m * rel_entr(q, expected))), len(p), n, m)


def g_upper_bound(reference: Mapping[str, float], n: float, current: Mapping[str, float], m: float) -> float:
    """Return G without joining rare categories, which is never less than the statistic of ``g_test``.

    If it is too small for any number of categories, the test need not run.

    Args:
        reference, current: weights by name, neither empty; ``n``, ``m``: their effective numbers of events.

    Source: Cover, Thomas, Elements of Information Theory, 2.7.1, the log sum inequality.
    """
    p_scale, q_scale, total = n / sum(reference.values()), m / sum(current.values()), 0.0
    for name in {**reference, **current}:
        p, q = reference.get(name, 0.0) * p_scale, current.get(name, 0.0) * q_scale
        expected = (p + q) / (n + m)
        total += (p * math.log(p / n / expected) if p else 0.0) + (
            q * math.log(q / m / expected) if q else 0.0
        )
    return 2 * total


def _table(reference: Distribution, current: Distribution) -> tuple[Floats, Floats, Floats]:
    _, p, q = align(reference, current)
    n, m = reference.n, current.n
    p, q = pool_rare_bins(p, q, n, m, ordered=False)
    expected = (n * p + m * q) / (n + m)
    positive = expected > 0
    return p[positive], q[positive], expected[positive]


def _comparison(statistic: float, bins: int, n: float, m: float) -> Comparison:
    if bins < 2:
        return Comparison(0.0, 1.0, 0.0, n, m)
    return Comparison(
        statistic, float(chdtrc(bins - 1, statistic)), float(np.sqrt(max(0.0, statistic) / (n + m))), n, m
    )
