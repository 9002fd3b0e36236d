"""Normalised Wasserstein distance on bins: the oracle of ``monitor.drift.histogram_distance``."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincc

from monitor.drift.interface import Comparison, Distribution, Floats, align, harmonic_size

POINTS = 200  # at which the null is worked out; more change nothing in the third digit


def wasserstein(reference: Distribution, current: Distribution) -> Comparison:
    """The area between the two cumulative shares, over the reference's standard deviation.

    Null: both have one distribution F. Then sqrt(nm/(n+m))·W is about the area under |B(F(x))|, B a Brownian
    bridge; its mean and variance are worked out on the bins and a gamma distribution of that mean and
    variance is taken. Needs n, m ≥ 50. Effect: the distance, less the mean that chance gives; 0.1 is a tenth
    of a standard deviation.

    Source: del Barrio, Giné, Matrán, Ann. Probab. 27 (1999), Theorem 2.1 (the limit); Nabeya, Ann. Inst.
    Statist. Math. 3 (1951), E|XY|.
    """
    values, p, q = align(reference, current)
    n, m = reference.n, current.n
    x = np.asarray(values, float)
    if len(x) < 2:
        return Comparison(0.0, 1.0, 0.0, n, m)
    spread = float(np.sqrt(p @ (x - p @ x) ** 2)) or float(np.sqrt(q @ (x - q @ x) ** 2))
    if not spread > 0:  # weights so small beside the others that the squares vanish
        return Comparison(0.0, 1.0, 0.0, n, m)
    gaps = np.diff(x) / spread
    distance = float(np.abs(np.cumsum(p - q))[:-1] @ gaps)
    cumulative = np.cumsum((n * p + m * q) / (n + m))[:-1]
    if len(gaps) > POINTS:  # fewer points of about equal weight
        groups = np.array_split(np.arange(len(gaps)), POINTS)
        cumulative = np.array([np.average(cumulative[group], weights=gaps[group]) for group in groups])
        gaps = np.array([gaps[group].sum() for group in groups])
    mean, variance = _area_of_bridge(cumulative, gaps)
    root = np.sqrt(harmonic_size(n, m))
    p_value = (
        1.0
        if mean <= 0 or variance <= 0
        else float(gammaincc(mean**2 / variance, root * distance / (variance / mean)))
    )
    return Comparison(distance, p_value, max(0.0, distance - mean / root), n, m)


def _area_of_bridge(position: Floats, gaps: Floats) -> tuple[float, float]:
    """Mean and variance of the area under |B(t)| taken at ``at`` with widths ``gaps``."""
    position = np.clip(position, 0, 1)
    sd = np.sqrt(position * (1 - position))
    is_interior = sd > 1e-9
    position, sd, gaps = position[is_interior], sd[is_interior], gaps[is_interior]
    mean = float(np.sqrt(2 / np.pi) * (sd @ gaps))
    low, high = np.minimum.outer(position, position), np.maximum.outer(position, position)
    r = np.clip(low * (1 - high) / np.outer(sd, sd), -1, 1)
    # E|XY| of two normals with correlation r
    product = 2 / np.pi * (np.sqrt(1 - r**2) + r * np.arcsin(r)) * np.outer(sd, sd)
    return mean, float(gaps @ product @ gaps) - mean**2
