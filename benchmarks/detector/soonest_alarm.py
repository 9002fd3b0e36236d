"""The soonest alarm that the promise allows: a detector that knows both rates and how outcomes are correlated.

No detector that has the same run length is sooner on average, but for a constant (Lorden, Ann. Math. Statist.
42, 1971): it needs ln(run length) ÷ information of a minute.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from benchmarks.detector.bank import DEFAULT_RUN

LONGEST = 30  # minutes


def log_likelihood(n: int, failures: np.ndarray, rate: float, rho: float) -> np.ndarray:
    """Return ln of the likelihood of ``n`` outcomes of a minute, beta-binomial with correlation ``rho``."""
    if not rho:
        return failures * np.log(rate) + (n - failures) * np.log1p(-rate)
    size = 1 / rho - 1
    good, bad = (1 - rate) * size, rate * size
    return betaln(bad + failures, good + n - failures) - betaln(bad, good)


def rate_before(calls: int, minutes: int) -> float:
    """Return the usual rate that the detector takes: half a failure in all calls before."""
    return 0.5 / (calls * minutes)


def minutes_of_information(risen: float, calls: int, before: int, rho: float) -> float:
    """Return ln(run length) ÷ information of a minute: about the mean delay, of looks at every event."""
    failures = np.arange(calls + 1)
    ways = np.cumsum(np.log(np.maximum(1, failures)))
    chance = np.exp(
        ways[-1] - ways - ways[::-1] + failures * np.log(risen) + (calls - failures) * np.log1p(-risen)
    )
    usual = rate_before(calls, before)
    gain = log_likelihood(calls, failures, risen, rho) - log_likelihood(calls, failures, usual, rho)
    return float(np.log(DEFAULT_RUN) / (chance * gain).sum())


def soonest_minutes(
    risen: float, calls: int, before: int, rho: float, looks: int, streams: int, seed: int
) -> np.ndarray:
    """Return sorted delays in minutes of a Shiryaev–Roberts statistic that knows both rates.

    Failures begin in the middle of a minute and are independent.

    Args:
        risen: failure rate since.
        calls: a minute.
        before: minutes without a failure before.
        rho: correlation of the outcomes of a minute that the detector must expect.
        looks: a minute; the run length is in minutes, whatever they are. An even number, or 1.
        streams: how many delays.
        seed: of the failures.
    """
    usual, total, size = rate_before(calls, before), LONGEST * looks, calls // looks
    failures = np.random.default_rng(seed).binomial(size, risen, (streams, total))
    failures[:, : looks // 2] = 0
    if looks == 1:
        failures[:, 0] = np.random.default_rng(seed + 1).binomial(size // 2, risen, streams)
    sums = np.concatenate([np.zeros((streams, 1)), np.cumsum(failures, 1)], 1)

    def gain(start: int, end: int) -> np.ndarray:
        """ln LR of a rise at look ``start`` against none, by the looks of one minute up to ``end``."""
        first = start // looks * looks
        n, then = (start - first) * size, (end - start) * size
        good, bad = sums[:, start] - sums[:, first], sums[:, end] - sums[:, start]
        none = log_likelihood(n + then, good + bad, usual, rho)
        return log_likelihood(n, good, usual, rho) + log_likelihood(then, bad, risen, rho) - none

    delays = np.full(streams, np.inf)
    closed: list[np.ndarray] = []  # ln LR up to the end of the minute before, by start
    for look in range(1, total + 1):
        minute = (look - 1) // looks * looks
        logs = [known + gain(minute, look) for known in closed]
        logs += [gain(start, look) for start in range(minute, look)]
        delays[(np.logaddexp.reduce(logs) >= np.log(DEFAULT_RUN * looks)) & np.isinf(delays)] = (
            look / looks - 0.5
        )
        if look % looks == 0:
            closed = logs
    return np.sort(delays)
