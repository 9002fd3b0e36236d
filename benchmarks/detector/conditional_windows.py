"""A detector that compares each recent window with all events before it: what learning the usual rate must cost.

It is a sketch for docs/statistics.md, not a part of softfail: it keeps the counts of every window, and its run
length has no proof.
"""

from __future__ import annotations

import numpy as np

from benchmarks.detector.streams import BLOCK, match_false_alarms
from monitor.drift.likelihood_ratios import ODDS, WEIGHTS

WINDOWS = np.arange(2, 161, 2)  # lengths, blocks


class ConditionalWindows:
    """For each window and factor of the odds, the likelihood ratio of the failures inside it, given those inside
    and before: factor^f / (1 + (factor − 1) share)^(f + F). The statistic is their weighted sum.

    ``lag``: blocks before the present that the events before a window exclude, as softfail's reference does.
    """

    def __init__(self, streams: int, blocks: int, lag: int = 0) -> None:
        self.sums, self.lag, self.block = np.zeros((blocks + 1, streams)), lag, 0
        self.restarted = np.zeros(streams, int)

    def step(self, failures: np.ndarray) -> np.ndarray:
        """Add a block; return the statistic of each stream."""
        self.block += 1
        now = self.sums[self.block] = self.sums[self.block - 1] + failures
        lengths = WINDOWS[self.block > WINDOWS]
        if not len(lengths):
            return np.zeros(len(now))
        begins = self.block - lengths
        before = np.minimum(begins, max(1, self.block - self.lag) if self.lag else begins)
        inside = now - self.sums[begins]
        total, share = inside + self.sums[before], (lengths / (lengths + before))[:, None]
        ratio = sum(
            weight * np.exp(np.log(odds) * inside - np.log1p((odds - 1) * share) * total)
            for odds, weight in zip(ODDS, WEIGHTS, strict=True)
        )
        return np.where(begins[:, None] >= self.restarted, ratio, 0).sum(0)


def conditional_delay(
    p: float, risen: float, reference: int = 5000, lag: int = 0, streams: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the median delay in events at one false alarm in 100,000 events, and the share not found."""
    learnt = reference // BLOCK

    def events_to_alarm(bound: float) -> float:
        rng, blocks, count = np.random.default_rng(31 + seed), 2000, 0
        detector = ConditionalWindows(streams // 2, learnt + blocks, lag)
        for index in range(learnt + blocks):
            alarm = detector.step(rng.binomial(BLOCK, p, streams // 2)) >= bound
            detector.restarted[alarm] = index + 1
            count += int(alarm.sum()) if index >= learnt else 0
        return streams // 2 * blocks * BLOCK / max(1, count)

    bound = match_false_alarms(events_to_alarm, 300, 30_000, rounds=6)
    rng, longest = np.random.default_rng(32 + seed), 600
    detector, detected = ConditionalWindows(streams, learnt + longest, lag), np.full(streams, np.inf)
    for index in range(learnt + longest):
        alarm = detector.step(rng.binomial(BLOCK, risen if index >= learnt else p, streams)) >= bound
        if index < learnt:
            detector.restarted[alarm] = index + 1
        else:
            detected[alarm & np.isinf(detected)] = (index - learnt + 1) * BLOCK
    return float(np.sort(detected)[streams // 2]), float(np.isinf(detected).mean())
