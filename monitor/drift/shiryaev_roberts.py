"""Detect a rate that rose: a Shiryaev–Roberts mixture with a learned baseline.

It alarms about as early as the promised run length to a false alarm allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from monitor.stats.share_intervals import shift_odds

ODDS = (1.5, 2.0, 3.0, 5.0, 15.0, 200.0)
"""Factors by which the odds of failure may have risen.

The first is about the least rise of interest, the last an outage of something that never failed.
"""

WEIGHTS = (0.22, 0.28, 0.3, 0.12, 0.04, 0.04)
"""Weight of each factor in the mixture, sum 1.

Small rises, which take long to show, have most; a large rise makes up for its weight with one more event.
"""

MIN_REFERENCE_EVENTS = 500.0
"""Events of reference before anything is weighed; also the length of a bucket by which the reference lags."""
HOLD_BACK_EVENTS = 1000.0
"""Events of reference from which learning pauses in doubt. A smaller one learns on: it may be wrong."""
HORIZON_EVENTS = 1_000_000.0
"""Events of reference beyond which half is dropped: four days of the largest traffic, so whole days."""
TOLERANCE = 1.05
"""Factor by which the rate may exceed the reference without drift: real rates vary over the day."""
CORRELATION = 0.005, 0.2
"""Least and largest correlation of the outcomes within a block."""
PRIOR_EVENTS = 500.0
"""Events of reference that the least correlation counts for."""
CAUTION = 1.3
"""Factor on the learned correlation: tails are heavier than the variance shows."""
CLIP = 6.0
"""Standard deviations at which the residual of a block is cut."""
DOUBT = 100.0
"""Value of the statistic from which the correlation is not learned: a rise would look like correlation."""
RESTING = 4.0
"""ln of the statistic before a change: an alarm needs less evidence by that."""
OVER = 2.0
"""ln by which the evidence of a factor may exceed what alarms alone: a cap, so that recovery shows soon."""

WeightClass = tuple[float, float, float, float]
"""Failures and the units that each of them counts; other events and the units that each of these counts."""


class DetectorReading(NamedTuple):
    """The state of a detector after a block. It alarms if ``statistic`` has reached ``bound``.

    Attributes:
        rate: of the reference, None before it has 500 events; ``n``: its effective events.
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

    The state is 16 numbers. For each of ``ODDS``, R <- (1 + R) LR; the statistic is their weighted mean. If
    the rate p of the reference were known, the statistic less the number of blocks would be a martingale, and
    the mean number of blocks to a false alarm at least the bound. But p is learned. So LR compares the risen
    rate p' with a rate between p and p', which is nearer to p' the less is known of p over the events that an
    alarm for p' takes. p is the mean of the Clopper–Pearson upper confidence distribution, Beta(failures + 1,
    others), times 1.05.

    Events of different weights count in units, failures and other events apart (``step``,
    ``weight_classes``). The share of failures is then that of the sample. A rise of the odds by a factor is
    the same factor in both.

    The reference lags by 500 to 1,000 events, and learns nothing while the statistic is above the root of its
    bound. A block of n events counts as n / (1 + (n - 1) rho); rho, the correlation of outcomes within a
    block, is learned from Pearson residuals and at least 0.005. No block alarms alone.

    Null: the rate does not rise by more than a twentieth. Needs 500 events of reference. Measured false
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
        "rho",
        "since",
    )

    def __init__(self, run_length: float) -> None:
        if not run_length >= 10:
            raise ValueError(f"run_length is {run_length}; it must be at least 10 blocks")
        self.bound = float(run_length)
        self.n = self.failures = 0.0
        self.pending = self.recent = (0.0, 0.0)
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
            weight = self._event_weight(n)
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
    ) -> DetectorReading:
        """Weigh a block, then learn from it.

        Args:
            n: (effective) events of the block, at least 0, with several weights the sum of units;
                ``failures``: how many of them failed.
            edge: end of the block, in any unit.
            frozen: an incident is open: the reference stays as it is, and pending events are dropped.
            tolerance: factor by which the rate may exceed the reference, at least ``TOLERANCE``.
            odds_factor: true odds of failure divided by those of the sample, c_f/c_s.
            weight_classes: the block by weight; None if each event is one unit.

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
            if not frozen:
                self.learn(n, failures)
            return self._reading(0.0)
        weight = self._event_weight(n)
        events, failed = round(n * weight, 4), round(failures * weight, 4)
        statistic = self._weigh(events, failed, edge, weight, weight_classes)
        reading = self._reading(statistic)
        if frozen:
            self.pending = self.recent = (0.0, 0.0)
            return reading
        if statistic < DOUBT:
            self._learn_correlation(n, failures)
        self._queue(events, failed, calm=statistic < math.sqrt(self.bound))
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
        """Return sixteen plain numbers."""
        return [
            self.n,
            self.failures,
            *self.pending,
            *self.recent,
            self.rho,
            *self.logs,
            self.edge,
            *self.since,
        ]

    @classmethod
    def from_state(cls, state: Sequence[float], run_length: float) -> ShiryaevRoberts:
        """Restore a detector from ``state``; another run length continues with the same evidence."""
        detector = cls(run_length)
        detector.n, detector.failures = state[0], state[1]
        detector.pending, detector.recent = (state[2], state[3]), (state[4], state[5])
        detector.rho, detector.logs, detector.edge = state[6], list(state[7:13]), state[13]
        detector.since = (state[14], state[15])
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
        block_cap, caps = _limits(self.bound)
        others, total, logs = events - failed, 0.0, []
        for weight, cap, before, (bad, good) in zip(WEIGHTS, caps, self.logs, self._ratios(), strict=True):
            gain = (
                failed * bad + others * good
                if weight_classes is None
                else event_weight * _log_likelihood_ratio(weight_classes, bad, good)
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
            needed = max(1.0, math.log(self.bound) - RESTING)
            self._log_ratios = []
            for odds in ODDS:
                risen = odds * p / (1 + (odds - 1) * p)
                information = risen * math.log(risen / p) + (1 - risen) * math.log((1 - risen) / (1 - p))
                q = p + (1 - 1 / math.sqrt(1 + needed / information / n)) * (risen - p)
                self._log_ratios.append((math.log(risen / q), math.log((1 - risen) / (1 - q))))
        return self._log_ratios

    def _event_weight(self, n: float) -> float:
        return 1 / (1 + max(n - 1, 0.0) * self.rho * CAUTION)

    def _learn_correlation(self, n: float, failures: float) -> None:
        if n <= 1 or self.n <= 0:
            return
        p = self._rate()
        variance = n * p * (1 - p)
        spread = 1 + (n - 1) * self.rho
        squared = min((failures - n * p) ** 2 / variance, spread * (1 + CLIP * math.sqrt(2 + 1 / variance)))
        weight = (n - 1) / spread / (1 + 1 / (2 * variance))
        rho = self.rho + weight / (self.n + weight + PRIOR_EVENTS) * ((squared - 1) / (n - 1) - self.rho)
        self.rho = round(min(max(rho, CORRELATION[0]), CORRELATION[1]), 6)

    def _queue(self, events: float, failed: float, *, calm: bool) -> None:
        self.recent = round(self.recent[0] + events, 4), round(self.recent[1] + failed, 4)
        if self.recent[0] < MIN_REFERENCE_EVENTS:
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


@cache
def _limits(bound: float) -> tuple[float, list[float]]:
    """Return the most that a block adds to ln LR, half of an alarm, and the most that each factor gathers."""
    return math.log(bound / WEIGHTS[-1]) / 2, [math.log(bound / weight) + OVER for weight in WEIGHTS]


def _checked(n: float, failures: float) -> bool:
    """Return whether there is anything to count.

    Raises:
        ValueError: impossible counts.
    """
    if not (math.isfinite(n) and 0 <= failures <= n * (1 + 1e-9)):
        raise ValueError(f"a block of n = {n} with failures = {failures}: give 0 <= failures <= n, finite")
    return n > 0


def _log_likelihood_ratio(weight_classes: Sequence[WeightClass], bad: float, good: float) -> float:
    """Return ln of the product of 1 + u (factor - 1) over events of u units each.

    Its expectation is that of whole units, whatever the weights: with Poisson counts, m_F expected units of
    failures and m_S of others, E LR = exp(m_F (a - 1) + m_S (b - 1)), which is at most 1 where
    m_F / (m_F + m_S) is at most the rate that the factors a > 1 > b are taken against. It needs u <= 1 for
    events that passed.

    Source: Waudby-Smith, Ramdas, J. R. Statist. Soc. B 86 (2024), betting factors 1 + u (x - m).
    """
    failure_gain, other_gain = math.expm1(bad), math.expm1(good)
    total = 0.0
    for failures, failure_units, others, other_units in weight_classes:
        if failures:
            total += failures * (bad if failure_units == 1 else math.log1p(failure_units * failure_gain))
        if others:
            total += others * (good if other_units == 1 else math.log1p(other_units * other_gain))
    return total
