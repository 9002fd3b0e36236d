"""Learnt baselines (``monitor.rules.learned_baseline``) of many series at once, in numpy.

It weighs, learns and changes units as the product does; ``tests/benchmarks/test_baseline_bank.py`` compares
the two. Incidents are not simulated: after an alarm the evidence is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from monitor.drift import block_correlation, lagging_reference, likelihood_ratios
from monitor.drift import shiryaev_roberts as law
from monitor.rules.learned_baseline import LAG_US, LEARNT_US, RUN_LENGTH, YOUNG_CORRELATION, YOUNG_US
from monitor.stats.sampling_weights import FORGET_FACTOR

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Indices = np.ndarray[Any, np.dtype[np.intp]]

MINUTE_US = 60_000_000
_ODDS, _SHARES = np.array(likelihood_ratios.ODDS), np.array(likelihood_ratios.WEIGHTS)


def shift_odds(share: Floats, factor: Floats | float) -> Floats:
    """Return the shares whose odds are ``factor`` times as large."""
    return np.where(share < 1, share * factor / (share * factor + 1 - share), 1.0)


class WeightMemories:
    """``WeightMemory`` of many series. ``any``, ``failed``: shape (streams, 3), as in the product."""

    def __init__(self, streams: int, weights: Floats) -> None:
        self.weights = weights
        self.any, self.failed = np.zeros((2, streams, 3))

    def observe(self, rows: Indices, events: Floats, failed: Floats, present: Bools) -> None:
        """Add one block of the series ``rows``, shape (rows, classes)."""
        self._remember(self.any, rows, events, present)
        self._remember(self.failed, rows, failed, failed > 0)

    def _remember(self, column: Floats, rows: Indices, counts: Floats, present: Bools) -> None:
        heaviest = np.where(present, self.weights, 0.0).max(1)
        known = column[rows]
        some = heaviest > 0
        renewed = some & (heaviest >= known[:, 0])
        calls = known[:, 1] + np.where(some & ~renewed, counts @ self.weights, 0.0)
        since = np.where(some & ~renewed, np.maximum(known[:, 2], heaviest), known[:, 2])
        forgotten = some & ~renewed & (calls >= FORGET_FACTOR * known[:, 0])
        top = np.where(renewed, heaviest, np.where(forgotten, since, known[:, 0]))
        gone = renewed | forgotten
        column[rows] = np.stack([top, np.where(gone, 0, calls), np.where(gone, 0, since)], 1)


class BaselineBank:
    """Baselines of many series, fed minute by minute.

    Args:
        streams: how many series.
        weights: of the classes, in any order; the counts of ``feed`` have one column for each.
    """

    def __init__(self, streams: int, weights: Sequence[float], run_length: float = RUN_LENGTH) -> None:
        self.weights, self.bound = np.array(weights, float), run_length
        self.memory = WeightMemories(streams, self.weights)
        self.n, self.failures, self.rho = np.zeros((3, streams))
        self.rho[:] = block_correlation.CORRELATION[0]
        self.pending, self.recent = np.zeros((2, streams, 2))
        self.recent_edge = np.zeros(streams)
        self.begun = np.full(streams, np.nan)  # edge of the first block
        self.unit_any, self.unit_failed = np.zeros((2, streams))
        self.odds_factor = np.ones(
            streams
        )  # of the last block that the detector was given after five minutes
        self.logs = np.zeros((streams, len(_ODDS)))
        self.tolerance = np.ones(streams)
        self._rate = np.zeros(streams)
        self._gains = np.zeros((streams, 2 * len(self.weights), len(_ODDS)))
        self._stale = np.ones(streams, bool)
        self._caps = np.log(self.bound / _SHARES) + likelihood_ratios.OVER
        self._block_cap = math.log(self.bound / _SHARES[-1]) / 2

    def feed(
        self,
        edge: int,
        events: Floats,
        failed: Floats,
        present: Bools | None = None,
        is_weighed: Bools | None = None,
    ) -> tuple[Indices, Floats]:
        """Weigh a block of each series and learn from it.

        Args:
            edge: end of the block, minutes.
            events: by series and class; ``failed``: how many of them failed.
            present: which classes the block names, also without events; None: those with events.
            is_weighed: by series; a block that is not weighed is only learned from. None: all are.

        Returns:
            The series whose block was weighed, and the statistic of each. Those at the bound begin anew.
        """
        rows = np.flatnonzero(events.any(1))
        events, failed = events[rows].astype(float), failed[rows].astype(float)
        self.memory.observe(rows, events, failed, events > 0 if present is None else present[rows])
        any_unit = self.memory.any[rows, 0]
        failed_unit = np.where(self.memory.failed[rows, 0] > 0, self.memory.failed[rows, 0], any_unit)
        own = self.unit_failed[rows]
        self._change_units(rows, any_unit, np.where(own > 0, own, failed_unit))
        self.begun[rows] = np.where(np.isnan(self.begun[rows]), edge, self.begun[rows])
        failures = (failed @ self.weights) / self.unit_failed[rows]
        n = failures + ((events - failed) @ self.weights) / self.unit_any[rows]
        age = (edge - self.begun[rows]) * MINUTE_US
        early = age < LEARNT_US
        factor = np.where(early, self.odds_factor[rows], self.unit_failed[rows] / self.unit_any[rows])
        self._stale[rows] |= factor != self.odds_factor[rows]
        self.odds_factor[rows] = factor
        learns = early | (self.n[rows] < lagging_reference.MIN_REFERENCE_EVENTS)
        if learns.any():
            self._learn_block(rows[learns], n[learns], failures[learns])
        follows = np.zeros(len(rows), bool) if is_weighed is None else ~learns & ~is_weighed[rows]
        if follows.any():
            self._follow(edge, rows[follows], n[follows], failures[follows])
        weighed = np.flatnonzero(~learns & ~follows)
        statistic = self._step(
            edge, rows[weighed], n[weighed], failures[weighed], events[weighed], failed[weighed]
        )
        calm = np.expm1(self.logs[rows]) @ _SHARES < math.sqrt(self.bound)
        calm[weighed] &= statistic < self.bound
        self._change_units(rows[calm], any_unit[calm], failed_unit[calm])
        alarms = rows[weighed[statistic >= self.bound]]
        self.logs[alarms], self.pending[alarms], self.recent[alarms] = 0, 0, 0
        return rows[weighed], statistic

    def _step(
        self, edge: int, rows: Indices, n: Floats, failures: Floats, events: Floats, failed: Floats
    ) -> Floats:
        self._refresh(rows)
        young = (edge - self.begun[rows]) * MINUTE_US < YOUNG_US
        known_rho = self.rho[rows]
        weight = event_weights(n, np.where(young, np.maximum(known_rho, YOUNG_CORRELATION), known_rho))
        counts = np.concatenate([failed, events - failed], 1)
        gain = np.einsum("sc,sco->so", counts, self._gains[rows]) * weight[:, None]
        large = np.flatnonzero(self.n[rows] >= lagging_reference.POOLED_EVENTS)
        if len(large):
            block = np.round(np.stack([n[large], failures[large]], 1) * weight[large, None], 4)
            gain[large] = self._pooled_gain(rows[large], block, counts[large]) * weight[large, None]
        after = self.logs[rows] + np.minimum(gain, self._block_cap)
        likelihood = np.exp(after)
        statistic = likelihood @ _SHARES
        self.logs[rows] = np.round(np.minimum(np.log1p(likelihood), self._caps), 4)
        sure = statistic < law.DOUBT
        self._learn_correlation(rows[sure], n[sure], failures[sure])
        weight = event_weights(n, known_rho)
        self._queue(edge, rows, np.stack([n * weight, failures * weight], 1), statistic)
        return statistic

    def _follow(self, edge: int, rows: Indices, n: Floats, failures: Floats) -> None:
        """Learn from blocks that are weighed elsewhere, as late as from others."""
        self._refresh(rows)
        weight = event_weights(n, self.rho[rows])
        self._learn_correlation(rows, n, failures)
        self._queue(edge, rows, np.stack([n * weight, failures * weight], 1), np.zeros(len(rows)))

    def _pooled_gain(self, rows: Indices, block: Floats, counts: Floats) -> Floats:
        """Return ln LR of the blocks of series with a large reference, before they are weighed less."""
        calm = np.expm1(self.logs[rows]) @ _SHARES < self.bound**law.POOLED
        queued = (self.pending[rows] + self.recent[rows] + block) * calm[:, None]
        rate = self._no_rise(rows, self.n[rows] + queued[:, 0], self.failures[rows] + queued[:, 1])
        passed = -np.log1p((_ODDS - 1) * rate[:, None])
        bad, good = np.expm1(np.log(_ODDS) + passed), np.expm1(passed)
        failed_units = self.weights / self.unit_failed[rows, None]
        other_units = np.minimum(1.0, self.weights / self.unit_any[rows, None])
        gains = [
            np.log1p(failed_units[:, :, None] * bad[:, None]),
            np.log1p(other_units[:, :, None] * good[:, None]),
        ]
        return np.einsum("sc,sco->so", counts, np.concatenate(gains, 1))

    def _queue(self, edge: int, rows: Indices, block: Floats, statistic: Floats) -> None:
        first = self.recent[rows, 0] == 0
        self.recent_edge[rows[first]] = edge
        self.recent[rows] = np.round(self.recent[rows] + np.round(block, 4), 4)
        size = bucket_sizes(self.n[rows], statistic >= math.sqrt(self.bound))
        full = self.recent[rows, 0] >= size
        full &= (edge - self.recent_edge[rows]) * MINUTE_US >= LAG_US
        if not full.any():
            return
        rows, statistic = rows[full], statistic[full]
        enters = (statistic < math.sqrt(self.bound)) | (self.n[rows] < lagging_reference.HOLD_BACK_EVENTS)
        entering = rows[enters]
        self._learn(entering, self.pending[entering])
        self.pending[entering] = 0
        self.pending[rows] = np.round(self.pending[rows] + self.recent[rows], 4)
        self.recent[rows] = 0

    def _learn_block(self, rows: Indices, n: Floats, failures: Floats) -> None:
        weight = event_weights(n, self.rho[rows])
        old = self.n[rows] > 0
        self._refresh(rows[old])
        self._learn_correlation(rows[old], n[old], failures[old])
        self._learn(rows, np.stack([n * weight, failures * weight], 1))

    def _learn(self, rows: Indices, counts: Floats) -> None:
        self.n[rows], self.failures[rows] = np.round(
            (self.n[rows] + counts[:, 0], self.failures[rows] + counts[:, 1]), 4
        )
        over = rows[self.n[rows] > lagging_reference.HORIZON_EVENTS]
        self.n[over], self.failures[over] = self.n[over] / 2, self.failures[over] / 2
        self._stale[rows] = True

    def _learn_correlation(self, rows: Indices, n: Floats, failures: Floats) -> None:
        some = n > 1
        rows, n, failures = rows[some], n[some], failures[some]
        rate, rho, more = self._rate[rows], self.rho[rows], n - 1
        variance, spread = n * rate * (1 - rate), 1 + more * rho
        squared = np.minimum(
            (failures - n * rate) ** 2 / variance,
            spread * (1 + block_correlation.CLIP * np.sqrt(2 + 1 / variance)),
        )
        weight = more / spread / (1 + 1 / (2 * variance))
        share = weight / (self.n[rows] + weight + block_correlation.PRIOR_EVENTS)
        learned = rho + share * ((squared - 1) / more - rho)
        self.rho[rows] = np.round(np.clip(learned, *block_correlation.CORRELATION), 6)

    def _change_units(self, rows: Indices, any_unit: Floats, failed_unit: Floats) -> None:
        differs = (self.unit_any[rows] != any_unit) | (self.unit_failed[rows] != failed_unit)
        if not differs.any():
            return
        rows, any_unit, failed_unit = rows[differs], any_unit[differs], failed_unit[differs]
        old = self.unit_any[rows] > 0
        kept = rows[old]
        by_failed, by_other = self.unit_failed[kept] / failed_unit[old], self.unit_any[kept] / any_unit[old]
        largest = np.maximum(np.maximum(1.0, np.where(self.failures[kept] > 0, by_failed, 1.0)), by_other)
        by_failed, by_other = by_failed / largest, by_other / largest

        def rescaled(n: Floats, failures: Floats) -> tuple[Floats, Floats]:
            return np.round(failures * by_failed + (n - failures) * by_other, 4), np.round(
                failures * by_failed, 4
            )

        self.n[kept], self.failures[kept] = rescaled(self.n[kept], self.failures[kept])
        for counts in (self.pending, self.recent):
            counts[kept] = np.stack(rescaled(counts[kept, 0], counts[kept, 1]), 1)
        self.unit_any[rows], self.unit_failed[rows] = any_unit, failed_unit
        self._stale[rows] = True

    def set_tolerance(self, tolerance: Floats) -> None:
        """Set by which factor the rate of each series may exceed its reference by a cycle, at least 1."""
        self._stale |= tolerance != self.tolerance
        self.tolerance = tolerance

    def _no_rise(self, rows: Indices, n: Floats, failures: Floats) -> Floats:
        """Return the rate of the sample that is no rise, of so many events and failures."""
        factor = self.odds_factor[rows]
        p = shift_odds((failures + 1) / np.maximum(n + 1, failures + 1.5), factor)
        least = lagging_reference.TOLERANCE
        usual = np.minimum(p * least, 1 - (1 - p) / least)
        of_cycle = np.minimum(p * self.tolerance[rows], (1 + p) / 2)
        return shift_odds(np.maximum(usual, of_cycle), 1 / factor)

    def _refresh(self, rows: Indices) -> None:
        """Compute what a failure and another event of each class add, where the reference has changed."""
        rows = rows[self._stale[rows]]
        if not len(rows):
            return
        n = np.maximum(self.n[rows] + 1, self.failures[rows] + 1.5)
        self._rate[rows] = p = self._no_rise(rows, self.n[rows], self.failures[rows])
        p = p[:, None]
        risen = _ODDS * p / (1 + (_ODDS - 1) * p)
        information = risen * np.log(risen / p) + (1 - risen) * np.log((1 - risen) / (1 - p))
        needed = max(1.0, math.log(self.bound) - likelihood_ratios.RESTING)
        compared = p + (1 - 1 / np.sqrt(1 + needed / information / n[:, None])) * (risen - p)
        bad, good = risen / compared - 1, (1 - risen) / (1 - compared) - 1
        classes = len(self.weights)
        for column, weight in enumerate(self.weights):
            self._gains[rows, column] = np.log1p((weight / self.unit_failed[rows])[:, None] * bad)
            others = np.minimum(1.0, weight / self.unit_any[rows])[:, None] * good
            self._gains[rows, classes + column] = np.log1p(others)
        self._stale[rows] = False


def bucket_sizes(n: Floats, is_doubtful: Bools) -> Floats:
    """Return the sizes of the newest buckets of references of ``n`` events."""
    is_held = is_doubtful & (n >= lagging_reference.DOUBTED_EVENTS) & (n < lagging_reference.HOLD_BACK_EVENTS)
    usual = np.clip(n / 2, *lagging_reference.BUCKET_EVENTS)
    return np.where(is_held, lagging_reference.DOUBTED_BUCKET_EVENTS, usual)


def event_weights(n: Floats, rho: Floats) -> Floats:
    """Return the weight of each event of blocks of ``n`` events with correlation ``rho``."""
    return 1 / (1 + np.maximum(n - 1, 0.0) * rho * block_correlation.CAUTION)
