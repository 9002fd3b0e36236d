"""Detect a rate that rose: a Shiryaev–Roberts mixture with a learned baseline.

It alarms about as early as the promised run length to a false alarm allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from monitor.drift.block_correlation import CORRELATION, event_weight, updated_correlation
from monitor.drift.likelihood_ratios import (
    ODDS,
    WEIGHTS,
    WeightClass,
    evidence_caps,
    log_likelihood_ratio,
    log_ratios,
)
from monitor.stats.share_intervals import shift_odds

MIN_REFERENCE_EVENTS = 100.0
"""Events of reference before anything is weighed."""
BUCKET_EVENTS = 50.0, 500.0
"""Least and largest length of a bucket, by one or two of which the reference lags: half of its events."""
HOLD_BACK_EVENTS = 1000.0
"""Events of reference from which learning pauses in doubt. A smaller one learns on: it may be wrong."""
HORIZON_EVENTS = 1_000_000.0
"""Events of reference beyond which half is dropped: four days of the largest traffic, so whole days."""
TOLERANCE = 1.05
"""Factor by which the rate may exceed the reference without drift: real rates vary over the day."""
DOUBT = 100.0
"""Value of the statistic from which the correlation is not learned: a rise would look like correlation."""


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
    the mean number of blocks to a false alarm at least the bound. But p is learned. So LR compares the risen
    rate p' with a rate between p and p', which is nearer to p' the less is known of p over the events that an
    alarm for p' takes. p is the mean of the Clopper–Pearson upper confidence distribution, Beta(failures + 1,
    others), times 1.05.

    Events of different weights count in units, failures and other events apart (``step``,
    ``weight_classes``). The share of failures is then that of the sample. A rise of the odds by a factor is
    the same factor in both.

    The reference lags by one or two buckets of half of its events (50 to 500) that last for ``lag`` at least,
    and learns nothing while the statistic is above the root of its bound. A block of n events counts as
    n / (1 + (n - 1) rho); rho, the correlation of outcomes within a block, is learned from Pearson residuals
    and at least 0.005. No block alarms alone.

    Null: the rate does not rise by more than a twentieth. Needs 100 events of reference. Measured false
    alarms, power and limits: docs/statistics.md.

    Args:
        run_length: mean number of blocks to a false alarm of this one series, at least 10; it is the bound.

    Raises:
        ValueError: ``run_length`` is below 10.

    Source: Pollak, Ann. Statist. 15 (1987), mixtures of Shiryaev–Roberts statistics; Shin, Ramdas, Rinaldo,
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

    __slots__ = (
        "_log_ratios",
        "_odds_factor",
        "_tolerance",
        "_usual_rate",
        "bound",
        "edge",
        "failures",
        "logs",
        "n",
        "pending",
        "recent",
        "recent_edge",
        "rho",
        "since",
    )

    def __init__(self, run_length: float) -> None:
        if not run_length >= 10:
            raise ValueError(f"run_length is {run_length}; it must be at least 10 blocks")
        self.bound = float(run_length)
        self.n = self.failures = 0.0
        self.pending = self.recent = (0.0, 0.0)
        self.recent_edge = 0.0  # end of the first block of `recent`
        self.rho = CORRELATION[0]
        self.logs = [0.0] * len(ODDS)  # ln(1 + R)
        self.edge = 0.0
        self.since = (0.0, 0.0)
        self._tolerance, self._odds_factor = TOLERANCE, 1.0
        self._usual_rate: float | None = (
            None  # derived from the reference; None after it or the tolerance changed
        )
        self._log_ratios: list[tuple[float, float]] | None = None

    def learn(self, n: float, failures: float) -> None:
        """Add a block of ``n`` (effective) events to the reference without weighing it.

        For history, and for a reference that does not span enough time yet.

        Raises:
            ValueError: impossible counts.
        """
        if _checked(n, failures):
            weight = event_weight(n, self.rho)
            self._learn_correlation(n, failures)
            self._learn(n * weight, failures * weight)

    def step(
        self,
        n: float,
        failures: float,
        edge: float = 0.0,
        *,
        frozen: bool = False,
        tolerance: float = TOLERANCE,
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
            tolerance: factor by which the rate may exceed the reference, at least ``TOLERANCE``.
            odds_factor: true odds of failure divided by those of the sample, c_f/c_s.
            weight_classes: the block by weight; None if each event is one unit.
            lag: least length of a bucket, in the unit of ``edge``.
            least_correlation: assumed when the block is weighed, while too few blocks have shown it.

        Raises:
            ValueError: impossible counts.
        """
        if not _checked(n, failures):
            return self._reading(self._evidence())
        if (least := max(TOLERANCE, tolerance)) != self._tolerance or odds_factor != self._odds_factor:
            self._tolerance, self._odds_factor = least, odds_factor
            self._usual_rate, self._log_ratios = None, None
        if self.n < MIN_REFERENCE_EVENTS:
            self.edge, self.since = float(edge), (0.0, 0.0)
            self.learn(n, failures)
            return self._reading(0.0)
        weight = event_weight(n, max(self.rho, least_correlation))
        statistic = self._weigh(
            round(n * weight, 4), round(failures * weight, 4), edge, weight, weight_classes
        )
        reading = self._reading(statistic)
        if frozen:
            self.pending = self.recent = (0.0, 0.0)
            return reading
        weight = event_weight(n, self.rho)
        events, failed = round(n * weight, 4), round(failures * weight, 4)
        if statistic < DOUBT:
            self._learn_correlation(n, failures)
        self._queue(events, failed, edge, lag, calm=statistic < math.sqrt(self.bound))
        return reading

    def reset_evidence(self) -> None:
        """Drop all evidence and pending events: an incident ended, and nothing of it is normal."""
        self.logs = [0.0] * len(ODDS)
        self.pending = self.recent = self.since = (0.0, 0.0)

    @property
    def is_calm(self) -> bool:
        """Whether there is next to no evidence for a rise."""
        return self._evidence() < DOUBT

    def rescale(self, failed: float, others: float) -> None:
        """Count in other units: a failure counts ``failed`` times as much as before, another event ``others``
        times.

        The reference, pending events and those that date a change keep their odds, and none of them gains
        events. The evidence stays.
        """
        largest = max(1.0, failed if self.failures else 1.0, others)
        failed, others = failed / largest, others / largest

        def rescaled(n: float, failures: float) -> tuple[float, float]:
            return round(failures * failed + (n - failures) * others, 4), round(failures * failed, 4)

        self.n, self.failures = rescaled(self.n, self.failures)
        self.pending, self.recent, self.since = (
            rescaled(*counts) for counts in (self.pending, self.recent, self.since)
        )
        self._usual_rate = self._log_ratios = None

    def state(self) -> list[float]:
        """Return seventeen plain numbers."""
        return [
            self.n,
            self.failures,
            *self.pending,
            *self.recent,
            self.rho,
            *self.logs,
            self.edge,
            *self.since,
            self.recent_edge,
        ]

    @classmethod
    def from_state(cls, state: Sequence[float], run_length: float) -> ShiryaevRoberts:
        """Restore a detector from ``state``; another run length continues with the same evidence."""
        detector = cls(run_length)
        detector.n, detector.failures = state[0], state[1]
        detector.pending, detector.recent = (state[2], state[3]), (state[4], state[5])
        detector.rho, detector.logs, detector.edge = state[6], list(state[7:13]), state[13]
        detector.since, detector.recent_edge = (state[14], state[15]), state[16]
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
        block_cap, caps = evidence_caps(self.bound)
        others, total, logs = events - failed, 0.0, []
        for weight, cap, before, (bad, good) in zip(WEIGHTS, caps, self.logs, self._ratios(), strict=True):
            gain = (
                failed * bad + others * good
                if weight_classes is None
                else event_weight * log_likelihood_ratio(weight_classes, bad, good)
            )
            after = before + min(gain, block_cap)
            likelihood = math.exp(after)
            total += weight * likelihood
            after = after + math.log1p(math.exp(-after)) if after > 0 else math.log1p(likelihood)
            logs.append(round(min(after, cap), 4))  # rounded, since each series keeps a state for each pane
        self.logs = logs
        self._date(events, failed, edge)
        return total

    def _date(self, events: float, failed: float, edge: float) -> None:
        """Update Page's change point: where the likelihood ratio of twice the odds was last at most one."""
        n, f = self.since
        if not n:
            self.edge = float(edge)
        n, f = round(n + events, 4), round(f + failed, 4)
        self.since = (n, f) if f * math.log(2) > n * math.log1p(self._rate()) else (0.0, 0.0)

    def _rate(self) -> float:
        """Return the rate of the reference with its tolerance."""
        if self._usual_rate is None:
            p = (self.failures + 1) / max(self.n + 1, self.failures + 1.5)
            # the true rate may rise by the tolerance, not the share of the sample
            p = shift_odds(p, self._odds_factor)
            self._usual_rate = shift_odds(min(p * self._tolerance, (1 + p) / 2), 1 / self._odds_factor)
        return self._usual_rate

    def _ratios(self) -> list[tuple[float, float]]:
        """Return for each of ``ODDS`` what a failure and a success add to ln LR."""
        if self._log_ratios is None:
            n, p = max(self.n + 1, self.failures + 1.5), self._rate()
            self._log_ratios = log_ratios(n, p, self.bound)
        return self._log_ratios

    def _learn_correlation(self, n: float, failures: float) -> None:
        if n > 1 and self.n > 0:
            self.rho = updated_correlation(self.rho, self.n, self._rate(), n, failures)

    def _queue(self, events: float, failed: float, edge: float, lag: float, *, calm: bool) -> None:
        """Add a block to the newest bucket. A bucket that is full becomes pending, and a pending one becomes
        reference.
        """
        if not self.recent[0]:
            self.recent_edge = float(edge)
        self.recent = round(self.recent[0] + events, 4), round(self.recent[1] + failed, 4)
        least, largest = BUCKET_EVENTS
        is_full = self.recent[0] >= min(max(self.n / 2, least), largest)
        if not is_full or edge - self.recent_edge < lag:
            return
        if calm or self.n < HOLD_BACK_EVENTS:
            self._learn(*self.pending)
            self.pending = (0.0, 0.0)
        self.pending, self.recent = (
            (round(self.pending[0] + self.recent[0], 4), round(self.pending[1] + self.recent[1], 4)),
            (0.0, 0.0),
        )

    def _learn(self, events: float, failed: float) -> None:
        self.n, self.failures = round(self.n + events, 4), round(self.failures + failed, 4)
        if self.n > HORIZON_EVENTS:
            self.n, self.failures = self.n / 2, self.failures / 2
        self._usual_rate = self._log_ratios = None

    def _reading(self, statistic: float) -> DetectorReading:
        has_rate = self.n >= MIN_REFERENCE_EVENTS
        events, failed = self.since
        return DetectorReading(
            statistic,
            self.bound,
            self.failures / self.n if has_rate else None,
            self.n,
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
