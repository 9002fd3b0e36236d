"""How soon a feature that never failed is found to fail a little, from the first failure to the alarm."""

from __future__ import annotations

import numpy as np

from benchmarks.detector.bank import DEFAULT_RUN
from monitor.drift.block_correlation import CAUTION
from monitor.drift.shiryaev_roberts import ShiryaevRoberts

LAG = 5.0  # blocks that a bucket of the reference lasts, as in production
LONGEST = 60  # blocks


def blocks_to_alarm(risen: float, block: int, before: int, streams: int, seed: int) -> list[int]:
    """Return the sorted numbers of blocks until softfail's detector alarms; the first block is half bad.

    Args:
        risen: failure rate.
        block: events a block.
        before: blocks without a failure before.
        streams: how many numbers.
        seed: of the failures.
    """
    healthy = ShiryaevRoberts(DEFAULT_RUN)
    for edge in range(before):
        healthy.step(block, 0, edge, lag=LAG)
    state, rng, found = healthy.state(), np.random.default_rng(seed), []
    for _ in range(streams):
        detector = ShiryaevRoberts.from_state(state, DEFAULT_RUN)
        for number in range(1, LONGEST):
            failures = int(rng.binomial(block // 2 if number == 1 else block, risen))
            reading = detector.step(block, failures, before + number, lag=LAG)
            if reading.statistic >= reading.bound:
                break
        found.append(number)
    return sorted(found)


def informed_blocks_to_alarm(
    risen: float, block: int, before: int, rho: float, streams: int, seed: int
) -> list[int]:
    """Return the same of a Shiryaev–Roberts statistic that knows the rate since, and takes half a failure in
    all events before for the rate before. ``rho``: by which a block counts for less.
    """
    rng, found = np.random.default_rng(seed), []
    rate, weight = 0.5 / (before * block), 1 / (1 + (block - 1) * rho * CAUTION)
    for _ in range(streams):
        log = 0.0
        for number in range(1, LONGEST):
            failures = int(rng.binomial(block // 2 if number == 1 else block, risen))
            good = (block - failures) * np.log((1 - risen) / (1 - rate))
            log = np.logaddexp(0.0, log) + weight * (failures * np.log(risen / rate) + good)
            if log >= np.log(DEFAULT_RUN):
                break
        found.append(number)
    return sorted(found)
