"""Detectors that know more than softfail's can: how soon a change could be found at the promised run length."""

from __future__ import annotations

import numpy as np

from benchmarks.detector.bank import DEFAULT_RUN
from benchmarks.detector.streams import draw_failures
from monitor.drift.block_correlation import CAUTION


def informed_delay(
    p: float,
    risen: float,
    block: int,
    reference: int | None,
    rho: float = 0.0,
    events: int = 3600,
    streams: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the median delay in events, and the share not found within ``events``.

    The detector is a Shiryaev–Roberts statistic of independent events that knows the odds ratio of the change.

    Args:
        reference: events before the change, from which it learns the rate with those that follow; None: it
            knows the rate.
        rho: correlation by which a block counts for less, as softfail assumes it; the events have none.
    """
    rng, odds = np.random.default_rng(19 + seed), risen * (1 - p) / (p * (1 - risen))
    weight = 1 / (1 + (block - 1) * rho * CAUTION)
    n = np.full(streams, float(reference or 0))
    failures = draw_failures(rng, reference or 0, p, streams)
    logs, detected = np.zeros(streams), np.full(streams, np.inf)
    for seen in range(block, events + block, block):
        failed = draw_failures(rng, block, risen, streams) * weight
        n, failures = n + block * weight, failures + failed
        rate = np.full(streams, p) if reference is None else (failures + 0.5) / (n + 1)
        evidence = logs + failed * np.log(odds) - block * weight * np.log1p((odds - 1) * rate)
        detected[(evidence >= np.log(DEFAULT_RUN)) & np.isinf(detected)] = seen
        logs = np.logaddexp(0, evidence)
    return float(np.sort(detected)[streams // 2]), float(np.isinf(detected).mean())
