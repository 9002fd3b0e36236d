"""Evidence about the difference of two rates at many looks at once, as arrays.

It is the e-value behind ``compare_rates``: a difference lies outside its bounds where the e-value reaches 1/alpha.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.compare.confidence_sequence import INDEPENDENT_WEIGHT, LADDER, PRIOR

Floats = npt.NDArray[np.float64]

_HALVINGS = 50


def log_e_difference(
    n_b: npt.ArrayLike,
    failures_b: npt.ArrayLike,
    n_a: npt.ArrayLike,
    failures_a: npt.ArrayLike,
    difference: npt.ArrayLike = 0.0,
) -> Floats:
    """Return ln of the e-value against the rate of b exceeding that of a by ``difference``.

    By Ville's inequality it ever reaches ln(1/alpha) with probability at most alpha if the rates do differ by that.

    Args:
        n_b, failures_b, n_a, failures_a: counts of both arms, not necessarily whole; evaluated elementwise. Where an
            arm has no events, the e-value is 1.
        difference: above -1, below 1; elementwise, too.

    Source: Wasserman, Ramdas, Balakrishnan, PNAS 117 (2020), a mixture over the likeliest of the null.

    >>> [round(float(log_e_difference(1000, 70, 5000, 150, d)), 2) for d in (0.0, 0.04)]
    [8.85, -7.02]
    """
    n1, f1, n0, f0, gap = np.broadcast_arrays(
        *(np.asarray(value, float) for value in (n_b, failures_b, n_a, failures_a, difference))
    )
    known = (n1 > 0) & (n0 > 0)
    if not gap.any():
        likeliest = _likelihood(n1 + n0, f1 + f0, _share(f1 + f0, n1 + n0))
    else:
        p0 = _likeliest_rate(n1, f1, n0, f0, gap)
        likeliest = _likelihood(n1, f1, p0 + gap) + _likelihood(n0, f0, p0)
    return np.where(known, _log_mixture(n1, f1, n0, f0) - likeliest, 0.0)


def _log_mixture(n1: Floats, f1: Floats, n0: Floats, f0: Floats) -> Floats:
    from scipy.special import betaln  # imported here, as in rate.py

    def mixed(n: Floats, f: Floats, a: float, b: float) -> Floats:
        return np.asarray(betaln(f + a, n - f + b) - betaln(a, b), float)

    log = math.log(INDEPENDENT_WEIGHT) + mixed(n1, f1, PRIOR, PRIOR) + mixed(n0, f0, PRIOR, PRIOR)
    rung = math.log((1 - INDEPENDENT_WEIGHT) / len(LADDER))
    for a, b in LADDER:
        log = np.logaddexp(log, rung + mixed(n1, f1, a, b) + mixed(n0, f0, a, b))
    return np.asarray(log, float)


def _share(failures: Floats, n: Floats) -> Floats:
    return np.divide(failures, n, out=np.zeros_like(n), where=n > 0)


def _likelihood(n: Floats, failures: Floats, p: Floats) -> Floats:
    from scipy.special import xlog1py, xlogy

    p = np.clip(p, 0.0, 1.0)
    return np.asarray(xlogy(failures, p) + xlog1py(n - failures, -p), float)


def _likeliest_rate(n1: Floats, f1: Floats, n0: Floats, f0: Floats, gap: Floats) -> Floats:
    """Return the likeliest rate of a if that of b exceeds it by ``difference``, by halving: the slope falls."""
    low, high = np.maximum(0.0, -gap), np.minimum(1.0, 1.0 - gap)
    for _ in range(_HALVINGS):
        p0 = (low + high) / 2
        p1 = p0 + gap
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = f1 / p1 - (n1 - f1) / (1 - p1) + f0 / p0 - (n0 - f0) / (1 - p0)
        rises = slope > 0
        low, high = np.where(rises, p0, low), np.where(rises, high, p0)
    return np.asarray((low + high) / 2, float)
