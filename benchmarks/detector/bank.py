"""The sequential detector over many streams at once, in numpy."""

from __future__ import annotations

import numpy as np

from benchmarks.baseline_bank import bucket_sizes
from monitor.drift import block_correlation, lagging_reference, likelihood_ratios, shiryaev_roberts
from monitor.rules.learned_baseline import YOUNG_CORRELATION

DEFAULT_RUN = 1.7e8
LAG, YOUNG = 5, 30  # blocks of a minute that a bucket lasts; until which a baseline is young


class Bank:
    """``ShiryaevRoberts`` over many streams at once, in numpy; ``assert_same`` compares the two."""

    def __init__(self, streams: int, run_length: float, horizon: float | None = None) -> None:
        self.bound = run_length
        self.horizon = horizon or lagging_reference.HORIZON_EVENTS
        self.odds, self.weights = (
            np.array(likelihood_ratios.ODDS)[:, None],
            np.array(likelihood_ratios.WEIGHTS)[:, None],
        )
        self.n, self.f, self.pending_n, self.pending_f, self.recent_n, self.recent_f = np.zeros((6, streams))
        self.rho = np.full(streams, block_correlation.CORRELATION[0])
        self.logs = np.zeros((len(self.odds), streams))
        self.age, self.since = YOUNG, np.zeros(streams)  # blocks seen; blocks in the newest bucket
        self.refresh()

    def refresh(self) -> None:
        n = np.maximum(self.n + 1, self.f + 1.5)
        p = (self.f + 1) / n
        self.p = p = self.tolerated(p)
        risen = self.odds * p / (1 + (self.odds - 1) * p)
        information = risen * np.log(risen / p) + (1 - risen) * np.log((1 - risen) / (1 - p))
        needed = max(1.0, np.log(self.bound) - likelihood_ratios.RESTING)
        q = p + (1 - 1 / np.sqrt(1 + needed / information / n)) * (risen - p)
        self.bad, self.good = np.log(risen / q), np.log((1 - risen) / (1 - q))

    def ratios(self, events: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what a failure and another event of a block add to ln LR, for each multiplier."""
        calm = (self.weights * np.expm1(self.logs)).sum(0) < self.bound**shiryaev_roberts.POOLED
        n = self.n + calm * (self.pending_n + self.recent_n + events)
        failures = self.f + calm * (self.pending_f + self.recent_f + failed)
        p = self.tolerated((failures + 1) / np.maximum(n + 1, failures + 1.5))
        small, passed = self.n < lagging_reference.POOLED_EVENTS, -np.log1p((self.odds - 1) * p)
        return np.where(small, self.bad, np.log(self.odds) + passed), np.where(small, self.good, passed)

    def tolerated(self, p: np.ndarray) -> np.ndarray:
        """Return the rate that counts as no rise."""
        return np.minimum(p * lagging_reference.TOLERANCE, 1 - (1 - p) / lagging_reference.TOLERANCE)

    def log_ratio(self, events: np.ndarray, failed: np.ndarray, event_weight: np.ndarray) -> np.ndarray:
        """Return ln LR of a block for each multiplier."""
        bad, good = self.ratios(events, failed)
        return failed * bad + (events - failed) * good

    def step(self, n: np.ndarray | float, failures: np.ndarray, learn: bool = False) -> np.ndarray:
        n = np.broadcast_to(np.asarray(n, float), self.n.shape)
        rho = np.maximum(self.rho, YOUNG_CORRELATION if self.age < YOUNG else 0)
        event_weight = 1 / (1 + np.maximum(n - 1, 0) * rho * block_correlation.CAUTION)
        self.age += 1
        events, failed = n * event_weight, failures * event_weight
        reference_weight = 1 / (1 + np.maximum(n - 1, 0) * self.rho * block_correlation.CAUTION)
        new = np.ones(len(n), bool) if learn else self.n < lagging_reference.MIN_REFERENCE_EVENTS
        ratio = np.minimum(
            self.log_ratio(events, failed, event_weight),
            np.log(self.bound / likelihood_ratios.WEIGHTS[-1]) / 2,
        )
        statistic = np.where(new, 0.0, (self.weights * np.exp(self.logs + ratio)).sum(0))
        self.logs = np.where(
            new,
            0.0,
            np.minimum(
                np.logaddexp(0, self.logs + ratio), np.log(self.bound / self.weights) + likelihood_ratios.OVER
            ),
        )
        self.learn_correlation(n, failures, statistic < shiryaev_roberts.DOUBT)
        events, failed = n * reference_weight, failures * reference_weight
        self.learn(events, failed, new)
        self.recent_n, self.recent_f = (
            np.where(new, 0, self.recent_n + events),
            np.where(new, 0, self.recent_f + failed),
        )
        self.since = np.where(new, 0, self.since + 1)
        size = bucket_sizes(self.n, statistic >= np.sqrt(self.bound))
        full = (self.recent_n >= size) & (self.since > LAG)
        if full.any() or new.any():
            enter = full & ((statistic < np.sqrt(self.bound)) | (self.n < lagging_reference.HOLD_BACK_EVENTS))
            self.learn(self.pending_n, self.pending_f, enter)
            self.pending_n, self.pending_f = (
                np.where(enter, 0, self.pending_n),
                np.where(enter, 0, self.pending_f),
            )
            self.pending_n, self.pending_f = (
                self.pending_n + full * self.recent_n,
                self.pending_f + full * self.recent_f,
            )
            self.recent_n, self.recent_f = np.where(full, 0, self.recent_n), np.where(full, 0, self.recent_f)
            self.since = np.where(full, 0, self.since)
            self.refresh()
        return statistic >= self.bound

    def learn_correlation(self, n: np.ndarray, failures: np.ndarray, calm: np.ndarray) -> None:
        calm = calm & (n > 1) & (self.n > 0)
        more, variance = np.maximum(n - 1, 1e-9), n * self.p * (1 - self.p)
        spread = 1 + more * self.rho
        squared = np.minimum(
            (failures - n * self.p) ** 2 / variance,
            spread * (1 + block_correlation.CLIP * np.sqrt(2 + 1 / variance)),
        )
        weight = more / spread / (1 + 1 / (2 * variance))
        rho = self.rho + weight / (self.n + weight + block_correlation.PRIOR_EVENTS) * (
            (squared - 1) / more - self.rho
        )
        self.rho = np.where(calm, np.clip(rho, *block_correlation.CORRELATION), self.rho)

    def learn(self, events: np.ndarray, failed: np.ndarray, chosen: np.ndarray) -> None:
        self.n, self.f = self.n + chosen * events, self.f + chosen * failed
        over = self.n > self.horizon
        self.n, self.f = np.where(over, self.n / 2, self.n), np.where(over, self.f / 2, self.f)


def assert_same(blocks: int = 400) -> None:
    """Assert that the bank and the class have the same state after the same blocks of one stream."""
    rng = np.random.default_rng(5)
    bank, detector = Bank(1, 1e6), shiryaev_roberts.ShiryaevRoberts(1e6)
    for index in range(blocks):
        n = int(rng.integers(1, 200))
        f = rng.binomial(n, 0.03 if index < 300 else 0.08)
        bank.step(n, np.array([float(f)]))
        detector.step(n, f, index, lag=LAG)
    state = detector.state()
    assert np.allclose(
        [bank.n[0], bank.f[0], bank.pending_n[0], bank.recent_n[0], bank.rho[0], *bank.logs[:, 0]],
        [state[0], state[1], state[2], state[4], *state[6:13]],
        rtol=0.02,
        atol=0.02,
    ), (bank.logs[:, 0], state)
