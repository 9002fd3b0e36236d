"""A rate that rose, found about as soon as a promised run length to a false alarm allows: a Shiryaev–Roberts
mixture with a learnt baseline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

ODDS = (1.5, 2.0, 3.0, 5.0, 15.0, 200.0)
"""By how much the odds of failure are taken to have risen. The first is about the least rise looked for, the last an outage of what never failed."""

WEIGHTS = (0.22, 0.28, 0.3, 0.12, 0.04, 0.04)
"""Of each in the mixture, sums to 1: most to what is slow to show; a large rise makes up for its weight with one more event."""

# events of reference before anything is weighed; also the length of a bucket by which the reference lags
MIN_REFERENCE_EVENTS = 500.0
# events of reference from which it is held back while in doubt; a smaller one learns on, for it may be what
# is wrong
HOLD_BACK_EVENTS = 1000.0
# events of reference beyond which half is forgotten: four days of the largest traffic, so that the day's
# cycle is inside
HORIZON_EVENTS = 1_000_000.0
# the reference's rate may rise by so much for nothing: real rates go up and down over the day
TOLERANCE = 1.05
CORRELATION = 0.005, 0.2  # of the outcomes within one block: the least and the most
PRIOR_EVENTS = 500.0  # events of reference that the least of them counts for
CAUTION = 1.3  # what is learnt of it is multiplied by: tails are heavier than a variance tells
CLIP = 6.0  # standard deviations beyond which a block's residual is cut
# of the statistic, from which on nothing is learnt of the correlation: a rise would pass for it
DOUBT = 100.0
RESTING = 4.0  # ln of what the statistic is worth before a change: so much less is gathered after it
OVER = 2.0  # ln by which a multiplier may exceed what it needs to alarm alone, so that recovery is seen soon


class DetectorReading(NamedTuple):
    """What a detector says. It alarms where ``statistic`` has reached ``bound``; whether that makes a finding
    is the rule's.

    ``rate``: of the reference, None before it has 500 events; ``n``: its effective events. ``edge``: since
    when (as the caller counts edges) twice the odds of failure are likelier than the reference's; ``since``:
    the rate since then, None where nothing speaks for it; ``events``: of how many (effective). Without an
    alarm they say little.
    """

    statistic: float
    bound: float
    rate: float | None
    n: float
    edge: float
    since: float | None
    events: float


class ShiryaevRoberts:
    """Watches one rate of one series for a rise, fed a block of events at a time. Its state is 16 numbers.

    For each of ``ODDS``, R <- (1 + R) LR; the statistic is their weighted mean. Were the reference's rate p
    known, the statistic less the number of blocks would be a martingale, and the mean number of blocks to a
    false alarm at least the bound. It is learnt, so LR weighs the risen rate p' not against p but against a
    rate between the two: as much nearer as one loses by not knowing p over the events that an alarm for p'
    takes. p is the mean of the Clopper–Pearson upper confidence distribution, Beta(failures + 1, others),
    times 1.05.

    The reference lags by 500 to 1,000 events, and is held back while the statistic is above the root of its
    bound. A block of n events is worth n / (1 + (n - 1) rho); rho, the correlation of outcomes within a
    block, is learnt from Pearson residuals and at least 0.005. No block alarms alone.

    Null: the rate does not rise, a twentieth aside. Needs 500 events of reference. False alarms, power and
    limits as measured: docs/statistics.md.

    Args:
        run_length: mean number of blocks to a false alarm of this one series, at least 10; it is the bound.

    Raises:
        ValueError: ``run_length`` is less.

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
        "_risen",
        "_tolerance",
        "_usual",
        "bound",
        "edge",
        "failures",
        "held",
        "logs",
        "n",
        "recent",
        "rho",
        "since",
    )

    def __init__(self, run_length: float) -> None:
        if not run_length >= 10:
            raise ValueError(f"run_length is {run_length}; it must be at least 10 blocks")
        self.bound = float(run_length)
        self.n = self.failures = 0.0
        self.held = self.recent = (0.0, 0.0)
        self.rho = CORRELATION[0]
        self.logs = [0.0] * len(ODDS)  # ln(1 + R)
        self.edge = 0.0
        self.since = (0.0, 0.0)
        self._tolerance = TOLERANCE
        self._usual: float | None = None  # what follows from the reference, until it or the tolerance changes
        self._risen: list[tuple[float, float]] | None = None

    def learn(self, n: float, failures: float) -> None:
        """Take a block into the reference without weighing it: history, or a reference that has not yet
        lasted as long as it must.
        """
        if _checked(n, failures):
            worth = self._worth(n)
            self._disperse(n, failures)
            self._take(n * worth, failures * worth)

    def step(
        self,
        n: float,
        failures: float,
        edge: float = 0.0,
        *,
        frozen: bool = False,
        tolerance: float = TOLERANCE,
    ) -> DetectorReading:
        """Weigh a block of ``n`` (effective) events, at least 0, of which ``failures`` failed, that came
        before ``edge``; then learn from it.

        ``frozen``: an incident is open; the reference stays as it is, and what waits to enter it is thrown
        away.

        Raises:
            ValueError: counts that cannot be.
        """
        if not _checked(n, failures):
            return self._reading(sum(w * math.expm1(u) for w, u in zip(WEIGHTS, self.logs, strict=True)))
        if (least := max(TOLERANCE, tolerance)) != self._tolerance:
            self._tolerance, self._usual, self._risen = least, None, None
        if self.n < MIN_REFERENCE_EVENTS:
            self.edge, self.since = float(edge), (0.0, 0.0)
            if not frozen:
                self.learn(n, failures)
            return self._reading(0.0)
        worth = self._worth(n)
        events, failed = round(n * worth, 4), round(failures * worth, 4)
        statistic = self._weigh(events, failed, edge)
        reading = self._reading(statistic)
        if frozen:
            self.held = self.recent = (0.0, 0.0)
            return reading
        if statistic < DOUBT:
            self._disperse(n, failures)
        self._queue(events, failed, calm=statistic < math.sqrt(self.bound))
        return reading

    def reset_evidence(self) -> None:
        """Forget all evidence, and the events that wait to enter the reference: an incident is over, and none
        of it shall be taken for normal.
        """
        self.logs = [0.0] * len(ODDS)
        self.held = self.recent = self.since = (0.0, 0.0)

    def state(self) -> list[float]:
        """Sixteen plain numbers."""
        return [self.n, self.failures, *self.held, *self.recent, self.rho, *self.logs, self.edge, *self.since]

    @classmethod
    def from_state(cls, state: Sequence[float], run_length: float) -> ShiryaevRoberts:
        """Back from ``state``; another run length goes on from the same evidence."""
        self = cls(run_length)
        self.n, self.failures = state[0], state[1]
        self.held, self.recent, self.rho = (state[2], state[3]), (state[4], state[5]), state[6]
        self.logs, self.edge, self.since = list(state[7:13]), state[13], (state[14], state[15])
        return self

    def _weigh(self, events: float, failed: float, edge: float) -> float:
        cut, tops = _limits(self.bound)
        others, total, logs = events - failed, 0.0, []
        for weight, top, before, (bad, good) in zip(WEIGHTS, tops, self.logs, self._steps(), strict=True):
            after = before + min(failed * bad + others * good, cut)
            likelihood = math.exp(after)
            total += weight * likelihood
            after = after + math.log1p(math.exp(-after)) if after > 0 else math.log1p(likelihood)
            logs.append(round(min(after, top), 4))  # rounded: a state is kept for each series and pane
        self.logs = logs
        self._date(events, failed, edge)
        return total

    def _date(self, events: float, failed: float, edge: float) -> None:
        """Page's change point: where the likelihood ratio of twice the odds was last no more than one."""
        n, f = self.since
        if not n:
            self.edge = float(edge)
        n, f = round(n + events, 4), round(f + failed, 4)
        self.since = (n, f) if f * math.log(2) > n * math.log1p(self._rate()) else (0.0, 0.0)

    def _rate(self) -> float:
        """The cautious rate of the reference."""
        if self._usual is None:
            p = (self.failures + 1) / max(self.n + 1, self.failures + 1.5)
            self._usual = min(p * self._tolerance, (1 + p) / 2)
        return self._usual

    def _steps(self) -> list[tuple[float, float]]:
        """For each multiplier what a failure and a success add to ln LR."""
        if self._risen is None:
            n, p = max(self.n + 1, self.failures + 1.5), self._rate()
            needed = max(1.0, math.log(self.bound) - RESTING)
            self._risen = []
            for odds in ODDS:
                risen = odds * p / (1 + (odds - 1) * p)
                information = risen * math.log(risen / p) + (1 - risen) * math.log((1 - risen) / (1 - p))
                q = p + (1 - 1 / math.sqrt(1 + needed / information / n)) * (risen - p)
                self._risen.append((math.log(risen / q), math.log((1 - risen) / (1 - q))))
        return self._risen

    def _worth(self, n: float) -> float:
        return 1 / (1 + max(n - 1, 0.0) * self.rho * CAUTION)

    def _disperse(self, n: float, failures: float) -> None:
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
            self._take(*self.held)
            self.held = (0.0, 0.0)
        self.held, self.recent = (
            (round(self.held[0] + self.recent[0], 4), round(self.held[1] + self.recent[1], 4)),
            (0.0, 0.0),
        )

    def _take(self, events: float, failed: float) -> None:
        self.n, self.failures = round(self.n + events, 4), round(self.failures + failed, 4)
        if self.n > HORIZON_EVENTS:
            self.n, self.failures = self.n / 2, self.failures / 2
        self._usual = self._risen = None

    def _reading(self, statistic: float) -> DetectorReading:
        known = self.n >= MIN_REFERENCE_EVENTS
        events, failed = self.since
        return DetectorReading(
            statistic,
            self.bound,
            self.failures / self.n if known else None,
            self.n,
            self.edge,
            failed / events if events else None,
            events,
        )


@cache
def _limits(bound: float) -> tuple[float, list[float]]:
    """The most that a block adds to ln LR, two of them to an alarm at least; and the most that each
    multiplier gathers.
    """
    return math.log(bound / WEIGHTS[-1]) / 2, [math.log(bound / weight) + OVER for weight in WEIGHTS]


def _checked(n: float, failures: float) -> bool:
    """Whether there is anything to count.

    Raises:
        ValueError: counts that cannot be.
    """
    if not (math.isfinite(n) and 0 <= failures <= n * (1 + 1e-9)):
        raise ValueError(f"a block of n = {n} with failures = {failures}: give 0 <= failures <= n, finite")
    return n > 0
