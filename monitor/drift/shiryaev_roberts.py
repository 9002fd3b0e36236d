"""Detect a rate that rose: a Shiryaev–Roberts mixture with a learned baseline.

It alarms about as early as the promised run length to a false alarm allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from monitor.drift.block_correlation import event_weight
from monitor.drift.lagging_reference import POOLED_EVENTS, LaggingReference, rescaled
from monitor.drift.likelihood_ratios import (
    ODDS,
    WEIGHTS,
    WeightClass,
    log_likelihood_ratio,
    pooled_log_ratios,
    rounded,
    weighed,
)

DOUBT = 100.0
"""Value of the statistic from which the correlation is not learned: a rise would look like correlation."""

POOLED = 0.75
"""Power of the bound up to which the statistic compares with all events so far; beyond it the reference lags."""


class DetectorReading(NamedTuple):
    """The state of a detector after a block. It alarms if ``statistic`` has reached ``bound``.

    Attributes:
        rate: of the reference, None before it has 100 events; ``n``: its effective events.
        edge: since when (in the edges of the caller) twice the odds of failure are more likely than those of
            the reference. Without an alarm it means little, as do ``since`` and ``events``.
        since: the rate since then, None without evidence for a rise; ``events``: its effective events.
    """

    statistic: float
    bound: float
    rate: float | None
    n: float
    edge: float
    since: float | None
    events: float


class ShiryaevRoberts:
    """Detects a rise of one rate of one series, from one block of events at a time.

    The state is 17 numbers. For each of ``ODDS``, R <- (1 + R) LR; the statistic is their weighted mean. If
    the rate p of the reference were known, the statistic less the number of blocks would be a martingale, and
    the mean number of blocks to a false alarm at least the bound. But p is learned. What is done about that
    depends on the reference:

    - From 2,000 events on, LR compares odds that are so many times as large with the pooled rate of all
      events so far, this block among them. Given the failures so far, those of the newest block are
      hypergeometric, so E LR <= 1 for each block, and backwards in time for each window: the mean of the
      statistic is at most the number of blocks, whatever the rate. From ``bound ** POOLED`` on LR compares
      with the lagging reference, lest a change be learned while it is found.
    - A smaller one would learn a change at once. There LR compares the risen rate p' with a rate between p
      and p', which is nearer to p' the less is known of p over the events that an alarm for p' takes.

    A rate is the mean of the Clopper–Pearson upper confidence distribution, Beta(failures + 1, others), times
    1.05; above one half the rate of the other events is divided by 1.05 instead.

    Events of different weights count in units, failures and other events apart (``step``,
    ``weight_classes``). The share of failures is then that of the sample. A rise of the odds by a factor is
    the same factor in both.

    The reference lags by one or two buckets of half of its events (50 to 500) that last for ``lag`` at least,
    and learns nothing while the statistic is above the root of its bound. A block of n events counts as
    n / (1 + (n - 1) rho); rho, the correlation of outcomes within a block, is learned from Pearson residuals
    and at least 0.005. No block alarms alone.

    Null: the rarer outcome varies by a twentieth at most. Needs 100 events of reference. Measured false
    alarms, power and limits: docs/statistics.md.

    Args:
        run_length: mean number of blocks to a false alarm of this one series, at least 10; it is the bound.

    Raises:
        ValueError: ``run_length`` is below 10.

    Source: Hoeffding, J. Amer. Statist. Assoc. 58 (1963), theorem 4, E LR without replacement;
    Pollak, Ann. Statist. 15 (1987), mixtures of Shiryaev–Roberts statistics; Shin, Ramdas, Rinaldo,
    E-detectors (2023), the bound; Williams, Appl. Statist. 31 (1982), the correlation from Pearson residuals;
    Page, Biometrika 41 (1954), since when.

    >>> detector = ShiryaevRoberts(run_length=1e8)
    >>> for edge in range(60):
    ...     reading = detector.step(100, 3, edge)
    >>> reading.statistic < reading.bound, round(reading.rate, 2)
    (True, 0.03)
    >>> for edge in range(60, 64):
    ...     reading = detector.step(100, 20, edge)
    >>> reading.statistic >= reading.bound, round(reading.edge), round(reading.since, 2)
    (True, 60, 0.2)
    """

    __slots__ = ("bound", "edge", "logs", "reference", "since")

    def __init__(self, run_length: float) -> None:
        if not run_length >= 10:
            raise ValueError(f"run_length is {run_length}; it must be at least 10 blocks")
        self.bound = float(run_length)
        self.reference = LaggingReference()
        self.logs = [0.0] * len(ODDS)  # ln(1 + R)
        self.edge = 0.0
        self.since = (0.0, 0.0)

    def learn(self, n: float, failures: float) -> None:
        """Add a block of ``n`` (effective) events to the reference without weighing it.

        For history, and for a reference that does not span enough time yet.

        Raises:
            ValueError: impossible counts.
        """
        if _checked(n, failures):
            weight = event_weight(n, self.reference.rho)
            self.reference.learn_correlation(n, failures)
            self.reference.learn(n * weight, failures * weight)

    def step(
        self,
        n: float,
        failures: float,
        edge: float = 0.0,
        *,
        frozen: bool = False,
        tolerance: float = 1.0,
        odds_factor: float = 1.0,
        weight_classes: Sequence[WeightClass] | None = None,
        lag: float = 0.0,
        least_correlation: float = 0.0,
    ) -> DetectorReading:
        """Weigh a block, then learn from it.

        Args:
            n: (effective) events of the block, at least 0, with several weights the sum of units;
                ``failures``: how many of them failed.
            edge: end of the block, in any unit.
            frozen: an incident is open: a reference of enough events stays as it is, and pending events are
                dropped.
            tolerance: factor by which the rate may exceed the reference by a cycle of the day or the week, at
                least 1. The rarer outcome may vary by a twentieth in any case.
            odds_factor: true odds of failure divided by those of the sample, c_f/c_s.
            weight_classes: the block by weight; None if each event is one unit.
            lag: least length of a bucket, in the unit of ``edge``.
            least_correlation: assumed when the block is weighed, while too few blocks have shown it.

        Raises:
            ValueError: impossible counts.
        """
        if not _checked(n, failures):
            return self._reading(self._evidence())
        reference = self.reference
        reference.allow(tolerance, odds_factor)
        if not reference.is_known:
            self.edge, self.since = float(edge), (0.0, 0.0)
            self.learn(n, failures)
            return self._reading(0.0)
        weight = event_weight(n, max(reference.rho, least_correlation))
        events, failed = rounded(n * weight), rounded(failures * weight)
        statistic = self._weigh(events, failed, edge, weight, weight_classes)
        reading = self._reading(statistic)
        if frozen:
            reference.drop_queue()
            return reading
        if least_correlation > reference.rho:
            weight = event_weight(n, reference.rho)
            events, failed = rounded(n * weight), rounded(failures * weight)
        if statistic < DOUBT:
            reference.learn_correlation(n, failures)
        reference.enqueue(events, failed, edge, lag, calm=statistic < math.sqrt(self.bound))
        return reading

    def copy(self) -> ShiryaevRoberts:
        """Return another detector with the same state."""
        detector = ShiryaevRoberts(self.bound)
        detector.reference = self.reference.copy()
        detector.logs, detector.edge, detector.since = self.logs, self.edge, self.since  # never changed
        return detector

    def reset_evidence(self) -> None:
        """Drop all evidence and pending events: an incident ended, and nothing of it is normal."""
        self.logs = [0.0] * len(ODDS)
        self.since = (0.0, 0.0)
        self.reference.drop_queue()

    @property
    def is_calm(self) -> bool:
        """Whether there is so little evidence for a rise that a large reference learns."""
        return self._evidence() < math.sqrt(self.bound)

    def rescale(self, failed: float, others: float) -> None:
        """Count in other units: a failure counts ``failed`` times as much as before, another event ``others``
        times.

        The reference, pending events and those that date a change keep their odds, and none of them gains
        events. The evidence stays.
        """
        largest = max(1.0, failed if self.reference.failures else 1.0, others)
        failed, others = failed / largest, others / largest
        self.reference.rescale(failed, others)
        self.since = rescaled(self.since, failed, others)

    def state(self) -> list[float]:
        """Return seventeen plain numbers."""
        reference = self.reference
        return [
            reference.n,
            reference.failures,
            *reference.pending,
            *reference.recent,
            reference.rho,
            *self.logs,
            self.edge,
            *self.since,
            reference.recent_edge,
        ]

    @classmethod
    def from_state(cls, state: Sequence[float], run_length: float) -> ShiryaevRoberts:
        """Restore a detector from ``state``; another run length continues with the same evidence."""
        detector = cls(run_length)
        reference = detector.reference
        reference.n, reference.failures = state[0], state[1]
        reference.pending, reference.recent = (state[2], state[3]), (state[4], state[5])
        reference.rho, reference.recent_edge = state[6], state[16]
        detector.logs, detector.edge, detector.since = list(state[7:13]), state[13], (state[14], state[15])
        return detector

    def _evidence(self) -> float:
        return sum(w * math.expm1(u) for w, u in zip(WEIGHTS, self.logs, strict=True))

    def _weigh(
        self,
        events: float,
        failed: float,
        edge: float,
        event_weight: float,
        weight_classes: Sequence[WeightClass] | None,
    ) -> float:
        others, ratios = events - failed, self._log_ratios(events, failed)
        gains = [
            failed * bad + others * good
            if weight_classes is None
            else event_weight * log_likelihood_ratio(weight_classes, bad, good)
            for bad, good in ratios
        ]
        total, self.logs = weighed(self.logs, gains, self.bound)
        self._date(events, failed, edge)
        return total

    def _log_ratios(self, events: float, failed: float) -> list[tuple[float, float]]:
        """Return for each of ``ODDS`` what a failure and another event of a block add to ln LR."""
        reference = self.reference
        if reference.n < POOLED_EVENTS:
            return reference.log_ratios(self.bound)
        is_doubtful = self._evidence() >= self.bound**POOLED
        return pooled_log_ratios(
            reference.usual_rate if is_doubtful else reference.pooled_rate(events, failed)
        )

    def _date(self, events: float, failed: float, edge: float) -> None:
        """Update Page's change point: where the likelihood ratio of twice the odds was last at most one."""
        n, f = self.since
        if not n:
            self.edge = float(edge)
        n, f = rounded(n + events), rounded(f + failed)
        self.since = (n, f) if f * math.log(2) > n * math.log1p(self.reference.usual_rate) else (0.0, 0.0)

    def _reading(self, statistic: float) -> DetectorReading:
        n, failures = self.reference.n, self.reference.failures
        events, failed = self.since
        return DetectorReading(
            statistic,
            self.bound,
            failures / n if self.reference.is_known else None,
            n,
            self.edge,
            failed / events if events else None,
            events,
        )


def _checked(n: float, failures: float) -> bool:
    """Return whether there is anything to count.

    Raises:
        ValueError: impossible counts.
    """
    if not (math.isfinite(n) and 0 <= failures <= n * (1 + 1e-9)):
        raise ValueError(f"a block of n = {n} with failures = {failures}: give 0 <= failures <= n, finite")
    return n > 0
