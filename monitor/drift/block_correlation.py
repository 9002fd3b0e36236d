"""Correlation of outcomes within a block of events, and how much less such a block weighs.

Events of one minute fail together more often than independent events do.

Source: Williams, Appl. Statist. 31 (1982), the correlation from Pearson residuals.
"""

from __future__ import annotations

import math

CORRELATION = 0.005, 0.2
"""Least and largest correlation of the outcomes within a block."""
PRIOR_EVENTS = 500.0
"""Events of reference that the least correlation counts for."""
CAUTION = 1.3
"""Factor on the learned correlation: tails are heavier than the variance shows."""
CLIP = 6.0
"""Standard deviations at which the residual of a block is cut."""


def event_weight(n: float, rho: float) -> float:
    """Return the weight of each of the ``n`` events of a block: 1 / (1 + (n - 1) rho), with ``CAUTION``.

    >>> event_weight(1, 0.1), round(event_weight(101, 0.005), 3)
    (1.0, 0.606)
    """
    return 1 / (1 + max(n - 1, 0.0) * rho * CAUTION)


def updated_correlation(rho: float, reference_n: float, rate: float, n: float, failures: float) -> float:
    """Return the correlation after one more block.

    Args:
        rho: before the block, within ``CORRELATION``.
        reference_n: effective events of the reference, above 0.
        rate: the usual rate, between 0 and 1.
        n: effective events of the block, above 1; ``failures``: how many of them failed.
    """
    variance = n * rate * (1 - rate)
    spread = 1 + (n - 1) * rho
    squared = min((failures - n * rate) ** 2 / variance, spread * (1 + CLIP * math.sqrt(2 + 1 / variance)))
    weight = (n - 1) / spread / (1 + 1 / (2 * variance))
    learned = rho + weight / (reference_n + weight + PRIOR_EVENTS) * ((squared - 1) / (n - 1) - rho)
    return round(min(max(learned, CORRELATION[0]), CORRELATION[1]), 6)
