"""The test of two proportions."""

from __future__ import annotations

import math

from scipy.special import ndtr

from monitor.drift.interface import Comparison, Distribution


def two_proportions(reference: Distribution, current: Distribution) -> Comparison:
    """Compare two shares, current less reference: z with the pooled variance.

    The distributions are over False (or "") and True. Null: both have one share. Needs n, m ≥ 20 and five
    expected events of either outcome, so that the normal distribution holds. Effect: Cohen's h, 2 asin √q −
    2 asin √p; 0.2 is small, 0.5 medium.

    Raises:
        ValueError: one of them has no events.

    Source: Agresti, Categorical Data Analysis, 3.1.3; Cohen, Statistical Power Analysis (1988), 6.2.
    """
    n, m = reference.n, current.n
    p, q = _share(reference), _share(current)
    pooled = (n * p + m * q) / (n + m)
    variance = pooled * (1 - pooled) * (1 / n + 1 / m)
    z = (q - p) / math.sqrt(variance) if variance > 0 else 0.0
    return Comparison(
        z, float(2 * ndtr(-abs(z))), 2 * math.asin(math.sqrt(q)) - 2 * math.asin(math.sqrt(p)), n, m
    )


def _share(distribution: Distribution) -> float:
    total = sum(distribution.weights)
    if total <= 0:
        raise ValueError("nothing to compare: one of the two has no events")
    pairs = zip(distribution.values, distribution.weights, strict=True)
    return sum(weight for value, weight in pairs if value) / total
