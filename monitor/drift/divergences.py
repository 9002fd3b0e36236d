"""Jensen–Shannon distance: a bounded distance between two distributions over the same bins."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, rel_entr

from monitor.drift.interface import (
    Comparison,
    Distribution,
    Floats,
    align,
    harmonic_size,
    pool_rare_bins,
    quantile_bins,
)

BINS = 20
EXPECTED = 10.0  # events of a bin under no drift


def jensen_shannon(reference: Distribution, current: Distribution) -> Comparison:
    """Compare by the Jensen–Shannon distance, the root of the divergence in bits: 0 equal, 1 disjoint.

    Null: both have one distribution; then the divergence weighed by n/(n+m) and m/(n+m), in nats, times
    2(n+m) is the G statistic: about chi-square with B − 1 degrees of freedom over bins that expect ten
    events. Needs n, m ≥ 50. Effect: the distance, less the mean that chance gives.

    Source: Lin, IEEE Trans. Inf. Theory 37 (1991), eq. 4.1; Grosse et al., Phys. Rev. E 65 (2002), eq. 12.
    """
    p, q, n, m = _binned(reference, current)
    half = (p + q) / 2
    # Rounding may give a negative sum.
    divergence = max(0.0, float(np.sum(rel_entr(p, half) + rel_entr(q, half)) / 2 / np.log(2)))
    share = n / (n + m)
    mixed = share * p + (1 - share) * q
    g = 2 * (n + m) * float(np.sum(share * rel_entr(p, mixed) + (1 - share) * rel_entr(q, mixed)))
    chance = (len(p) - 1) / (8 * np.log(2)) / harmonic_size(n, m)
    return Comparison(
        float(np.sqrt(divergence)), _p(g, len(p)), float(np.sqrt(max(0.0, divergence - chance))), n, m
    )


def _binned(reference: Distribution, current: Distribution) -> tuple[Floats, Floats, float, float]:
    values, p, q = align(reference, current)
    ordered = not isinstance(values[0], str)
    # With a bin for each small bucket the expected counts are too low for the chi-square distribution.
    if ordered:
        p, q = quantile_bins(p, q, BINS)
    return (
        *pool_rare_bins(p, q, reference.n, current.n, least=EXPECTED, ordered=ordered),
        reference.n,
        current.n,
    )


def _p(statistic: float, bins: int) -> float:
    return float(chdtrc(bins - 1, statistic)) if bins > 1 else 1.0
