"""Two shares."""

from __future__ import annotations

import math

from scipy.special import ndtr

from monitor.drift.interface import Comparison, Distribution


def two_proportions(reference: Distribution, current: Distribution) -> Comparison:
    """The difference of two shares, current less reference, of distributions over False (or "") and True: z
    with the pooled variance.

    Null: both have one share. Needs n, m ≥ 20 and five expected of either outcome for the normal to hold.
    Effect: Cohen's h, 2 asin √q − 2 asin √p; 0.2 is small, 0.5 medium.

    Source: Agresti, Categorical Data Analysis, 3.1.3; Cohen, Statistical Power Analysis (1988), 6.2.
    """
    n, m = reference.n, current.n
    p, q = (_share(one) for one in (reference, current))
    pooled = (n * p + m * q) / (n + m)
    variance = pooled * (1 - pooled) * (1 / n + 1 / m)
    z = (q - p) / math.sqrt(variance) if variance > 0 else 0.0
    return Comparison(
        z, float(2 * ndtr(-abs(z))), 2 * math.asin(math.sqrt(q)) - 2 * math.asin(math.sqrt(p)), n, m
    )


def _share(some: Distribution) -> float:
    total = sum(some.weights)
    if total <= 0:
        raise ValueError("nothing to compare: one of the two has no events")
    return sum(weight for value, weight in zip(some.values, some.weights, strict=True) if value) / total
