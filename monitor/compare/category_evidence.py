"""Evidence that two arms have different shares of the values of a category."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

PRIOR = 0.5
"""Of each value: the Dirichlet mixture of Krichevsky and Trofimov."""
RARE = 0.01
"""Values with a smaller share in both arms are taken together."""
REST = "(rare)"


def log_e_categories(
    n_b: float, shares_b: Mapping[str, float], n_a: float, shares_a: Mapping[str, float]
) -> float:
    """Return ln of the e-value against equal shares: a mixture of shares of each arm over the likeliest common ones.

    Args:
        n_b, n_a: effective numbers of events; 0 or more.
        shares_b, shares_a: value -> share; empty without events.

    Source: Wasserman, Ramdas, Balakrishnan, PNAS 117 (2020); Krichevsky and Trofimov, IEEE Trans. Inf. Theory 27
    (1981).

    >>> log_e_categories(500, {"json": 0.9, "text": 0.1}, 500, {"json": 0.6, "text": 0.4}) > 50
    True
    >>> log_e_categories(500, {"json": 0.9, "text": 0.1}, 500, {"json": 0.9, "text": 0.1}) < 0
    True
    """
    if n_b <= 0 or n_a <= 0:
        return 0.0
    names = sorted({*shares_b, *shares_a})
    if len(names) < 2:
        return 0.0
    b = np.array([n_b * shares_b.get(name, 0.0) for name in names])
    a = np.array([n_a * shares_a.get(name, 0.0) for name in names])
    both = a + b
    used = both > 0
    likeliest = float((both[used] * np.log(both[used] / both.sum())).sum())
    return _mixed(b) + _mixed(a) - likeliest


def total_variation(shares_b: Mapping[str, float], shares_a: Mapping[str, float]) -> float:
    """Return the share of events that would have to change their value, 0 to 1.

    >>> round(total_variation({"json": 0.9, "text": 0.1}, {"json": 0.6, "text": 0.4}), 2)
    0.3
    """
    names = {*shares_b, *shares_a}
    return sum(abs(shares_b.get(name, 0.0) - shares_a.get(name, 0.0)) for name in names) / 2


def without_rare(
    shares_b: Mapping[str, float], shares_a: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the shares with values that are rare in both arms taken together."""
    kept = [
        name
        for name in sorted({*shares_b, *shares_a})
        if max(shares_b.get(name, 0.0), shares_a.get(name, 0.0)) >= RARE
    ]
    out = []
    for shares in (shares_b, shares_a):
        some = {name: shares.get(name, 0.0) for name in kept}
        rest = max(0.0, 1 - sum(some.values())) if shares else 0.0
        out.append({**some, REST: rest} if rest > 1e-9 else some)
    return out[0], out[1]


def _mixed(counts: np.ndarray) -> float:
    total, size = float(counts.sum()), len(counts)
    posterior = sum(math.lgamma(count + PRIOR) - math.lgamma(PRIOR) for count in counts.tolist())
    return posterior + math.lgamma(size * PRIOR) - math.lgamma(total + size * PRIOR)
