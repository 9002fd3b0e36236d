"""Reference of a sequential detector: the usual rate of a series, learned from its earlier events."""

from __future__ import annotations

from monitor.drift.block_correlation import CORRELATION, event_weight, updated_correlation
from monitor.drift.likelihood_ratios import log_ratios, rounded
from monitor.stats.share_intervals import shift_odds

BUCKET_EVENTS = 50.0, 500.0
"""Least and largest length of a bucket, by one or two of which the reference lags: half of its events. Of a
series with low traffic it may be shorter.
"""
MIN_REFERENCE_EVENTS = 100.0
"""Events of reference before anything is weighed, if a series has so many in two days."""
HOLD_BACK_EVENTS = 1000.0
"""Events of reference from which learning pauses in doubt. A smaller one learns on: it may be wrong."""
DOUBTED_EVENTS = 400.0
DOUBTED_BUCKET_EVENTS = 1000.0
"""From so many events of reference on, and below ``HOLD_BACK_EVENTS``, a bucket is longer in doubt."""
POOLED_EVENTS = 2000.0
"""Events of reference from which all events so far are compared with. A smaller one would learn a change."""
HORIZON_EVENTS = 1_000_000.0
"""Events of reference beyond which half is dropped: four days of the largest traffic, so whole days."""
TOLERANCE = 1.05
"""Factor by which the rarer outcome may vary without drift: real rates vary over the day."""


class LaggingReference:
    """Counts of earlier events, and the correlation of outcomes within a block.

    The latest block enters the newest bucket. A bucket that is full becomes pending, and the pending events
    become reference when the next bucket is full. All counts are effective events.

    Attributes:
        n: events of the reference; ``failures``: how many of them failed.
        pending: events and failures that wait to become reference; ``recent``: those of the newest bucket.
        recent_edge: end of the first block of ``recent``.
        rho: correlation of outcomes within a block, within ``CORRELATION``.
        least_events: events of reference before anything is weighed.
        tolerance: factor by which the true rate may exceed the reference by its daily and weekly cycle;
            ``odds_factor``: true odds of failure divided by those of the sample. ``allow`` sets both.
    """

    __slots__ = (
        "_log_ratios",
        "_usual_rate",
        "failures",
        "least_events",
        "n",
        "odds_factor",
        "pending",
        "recent",
        "recent_edge",
        "rho",
        "tolerance",
    )

    def __init__(self) -> None:
        self.n = self.failures = 0.0
        self.pending = self.recent = (0.0, 0.0)
        self.recent_edge = 0.0
        self.rho = CORRELATION[0]
        self.tolerance, self.odds_factor = 1.0, 1.0
        self.least_events = MIN_REFERENCE_EVENTS
        # derived from the reference; None after it or the tolerance changed
        self._usual_rate: float | None = None
        self._log_ratios: list[tuple[float, float]] | None = None

    def copy(self) -> LaggingReference:
        """Return another reference with the same counts."""
        out = LaggingReference()
        out.n, out.failures, out.pending, out.recent = self.n, self.failures, self.pending, self.recent
        out.recent_edge, out.rho, out.least_events = self.recent_edge, self.rho, self.least_events
        out.tolerance, out.odds_factor = self.tolerance, self.odds_factor
        out._usual_rate, out._log_ratios = self._usual_rate, self._log_ratios
        return out

    @property
    def is_known(self) -> bool:
        """Whether there are enough events for anything to be weighed."""
        return self.n >= self.least_events

    @property
    def mean(self) -> float:
        """Mean of the Clopper–Pearson upper confidence distribution of the rate."""
        return _upper_mean(self.n, self.failures)

    @property
    def usual_rate(self) -> float:
        """The rate of the sample that is no rise: ``mean`` with the tolerance."""
        if self._usual_rate is None:
            self._usual_rate = self._tolerated(self.mean)
        return self._usual_rate

    def pooled_rate(self, events: float, failed: float) -> float:
        """Return the rate of the sample that is no rise, by all events so far: reference, queue and a block.

        Given how many of all failed, the failures of the block are a sample of them: under no change a rate
        that is too low by chance is so for the events that are compared with it, too.
        """
        n = self.n + self.pending[0] + self.recent[0] + events
        failures = self.failures + self.pending[1] + self.recent[1] + failed
        return self._tolerated(_upper_mean(n, failures))

    def _tolerated(self, share: float) -> float:
        """Return the share with the tolerance, which is one of the true rate, not of the sample's share."""
        p = shift_odds(share, self.odds_factor)
        usual = min(p * TOLERANCE, 1 - (1 - p) / TOLERANCE)
        of_cycle = min(p * self.tolerance, (1 + p) / 2)
        return shift_odds(max(usual, of_cycle), 1 / self.odds_factor)

    def allow(self, tolerance: float, odds_factor: float) -> None:
        """Set the factor by which the true rate may exceed the reference.

        Args:
            tolerance: the factor that a cycle of the day or the week shows, at least 1. The rarer outcome may
                vary by ``TOLERANCE`` in any case.
            odds_factor: true odds of failure divided by those of the sample.
        """
        if tolerance != self.tolerance or odds_factor != self.odds_factor:
            self.tolerance, self.odds_factor = tolerance, odds_factor
            self._usual_rate = self._log_ratios = None

    def forget_ratios(self) -> None:
        """Note that ``log_ratios`` will be asked for another bound."""
        self._log_ratios = None

    def log_ratios(self, bound: float) -> list[tuple[float, float]]:
        """Return for each of ``ODDS`` what a failure and another event add to ln LR.

        Args:
            bound: value of the statistic that alarms, the same in every call until ``forget_ratios``.
        """
        if self._log_ratios is None:
            self._log_ratios = log_ratios(max(self.n + 1, self.failures + 1.5), self.usual_rate, bound)
        return self._log_ratios

    def learn(self, events: float, failed: float) -> None:
        """Add events to the reference at once."""
        self.n, self.failures = round(self.n + events, 4), round(self.failures + failed, 4)
        if self.n > HORIZON_EVENTS:
            self.n, self.failures = self.n / 2, self.failures / 2
        self._usual_rate = self._log_ratios = None

    def learn_correlation(self, n: float, failures: float) -> None:
        """Learn the correlation of outcomes from a block of ``n`` events before they are made less."""
        if n > 1 and self.n > 0:
            self.rho = updated_correlation(self.rho, self.n, self.usual_rate, n, failures)

    def enqueue(self, events: float, failed: float, edge: float, lag: float, *, calm: bool) -> None:
        """Add a block to the newest bucket. If it is full, make it pending, and the pending events reference.

        Args:
            edge: end of the block, in the unit of ``lag``, the least length of a bucket.
            calm: whether there is little evidence for a rise; else a large reference learns nothing, and a
                smaller one later.
        """
        if not self.recent[0]:
            self.recent_edge = float(edge)
        self.recent = rounded(self.recent[0] + events), rounded(self.recent[1] + failed)
        least, largest = BUCKET_EVENTS
        size = min(max(self.n / 2, min(least, self.least_events / 2)), largest)
        if not calm and DOUBTED_EVENTS <= self.n < HOLD_BACK_EVENTS:
            size = DOUBTED_BUCKET_EVENTS
        if self.recent[0] < size or edge - self.recent_edge < lag:
            return
        if calm or self.n < HOLD_BACK_EVENTS:
            self.learn(*self.pending)
            self.pending = (0.0, 0.0)
        self.pending, self.recent = (
            (round(self.pending[0] + self.recent[0], 4), round(self.pending[1] + self.recent[1], 4)),
            (0.0, 0.0),
        )

    def follow(self, n: float, failures: float, edge: float, lag: float, *, frozen: bool) -> None:
        """Learn from a block of ``n`` events that is weighed elsewhere, as late as from others.

        Args:
            edge: end of the block, in the unit of ``lag``, the least length of a bucket.
            frozen: an incident is open: a reference of enough events stays as it is.
        """
        if frozen and self.is_known:
            self.drop_queue()
            return
        weight = event_weight(n, self.rho)
        events, failed = round(n * weight, 4), round(failures * weight, 4)
        self.learn_correlation(n, failures)
        if not self.is_known:
            self.learn(events, failed)
        else:
            self.enqueue(events, failed, edge, lag, calm=True)

    def drop_queue(self) -> None:
        """Drop all events that are not reference yet."""
        self.pending = self.recent = (0.0, 0.0)

    def rescale(self, failed: float, others: float) -> None:
        """Count a failure ``failed`` times as much as before, another event ``others`` times."""
        self.n, self.failures = rescaled((self.n, self.failures), failed, others)
        self.pending = rescaled(self.pending, failed, others)
        self.recent = rescaled(self.recent, failed, others)
        self._usual_rate = self._log_ratios = None


def _upper_mean(n: float, failures: float) -> float:
    return (failures + 1) / max(n + 1, failures + 1.5)


def rescaled(counts: tuple[float, float], failed: float, others: float) -> tuple[float, float]:
    """Return events and failures in other units.

    >>> rescaled((100.0, 10.0), 0.5, 1.0)
    (95.0, 5.0)
    """
    n, failures = counts
    return round(failures * failed + (n - failures) * others, 4), round(failures * failed, 4)
