"""A rate against its learnt baseline: when it rose, and when it is back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.references.daily_cycle import no_interval
from monitor.rules.drift_evidence import Z
from monitor.rules.evidence import RateFinding, rounded
from monitor.stats.rate import Rate, wilson_interval
from monitor.windows.feature_series import FINE_RETENTION_US
from monitor.windows.metric_definitions import SUCCESS_RATES
from schemas.times import rfc3339

RUN_LENGTH = 1.7e8
"""Mean number of edges to a false alarm of one series: a third of one false page in 1,000 feature-days, of 40
series that are read each minute.
"""

LEARNT_US = 30 * 60 * 1_000_000  # least time that a baseline is learnt
BACK = math.log(1000)  # ln of the odds for being back at the baseline, against staying at the raised rate
LEAST_ODDS = 1.5  # ratio of the odds of the raised rate to those of the baseline


class Risen(NamedTuple):
    """A rate that left its baseline: failure rate before (with its effective events) and after, the edge at
    which it left, effective events since then, and ln of the odds that it is back.
    """

    before: float
    before_n: float
    after: float
    edge: float
    events: float
    back: float = 0.0


class Baseline:
    """The baseline of one rate of one series. It counts failures; of success rates, those that did not
    succeed. While the rate is risen it learns nothing.
    """

    __slots__ = ("begun_us", "detector", "risen")

    def __init__(
        self, begun_us: int, detector: ShiryaevRoberts | None = None, risen: Risen | None = None
    ) -> None:
        self.begun_us = begun_us
        self.detector = detector or ShiryaevRoberts(RUN_LENGTH)
        self.risen = risen

    def feed(self, rate: Rate, edge_us: int, pane_us: int, *, frozen: bool, tolerance: float = 1.0) -> None:
        """Add the counts since the last edge.

        ``frozen``: an incident is open, so these counts do not become part of the baseline. ``tolerance``: as
        in ``monitor.references.daily_cycle``.
        """
        counted = rate.estimate(0.0, interval=no_interval)
        if not counted.n or counted.value is None:
            return
        n, failures, edge = counted.n, counted.n * counted.value, edge_us // pane_us
        if self.risen is not None:
            self._recover(n, failures)
            return
        if edge_us - self.begun_us < LEARNT_US:
            if not frozen:
                self.detector.learn(n, failures)
            return
        alarm = self.detector.step(n, failures, edge, frozen=frozen, tolerance=tolerance)
        if alarm.statistic < alarm.bound or alarm.rate is None or alarm.since is None:
            return
        odds = max(
            alarm.since / (1 - alarm.since) if alarm.since < 1 else math.inf,
            LEAST_ODDS * alarm.rate / (1 - alarm.rate),
        )
        after = 1.0 if math.isinf(odds) else odds / (1 + odds)
        self.risen = Risen(alarm.rate, alarm.n, after, alarm.edge, alarm.events)

    def _recover(self, n: float, failures: float) -> None:
        """Weigh the baseline against the raised rate; end the rise when the odds say that it is back."""
        risen = self.risen
        assert risen is not None
        before, after = (min(1 - 1e-6, max(1e-6, rate)) for rate in (risen.before, risen.after))
        gain = failures * math.log(before / after) + (n - failures) * math.log((1 - before) / (1 - after))
        back = max(0.0, risen.back + gain)
        self.risen = None if back >= BACK else risen._replace(back=back)
        if self.risen is None:
            self.detector.reset_evidence()

    def finding(self, metric: str, edge_us: int, pane_us: int) -> RateFinding:
        """Return the rise as a finding; only of a baseline that is risen."""
        risen = self.risen
        assert risen is not None
        low, high = wilson_interval(min(1.0, risen.after), max(1.0, risen.events), Z)
        value, reference = risen.after, risen.before
        if metric in SUCCESS_RATES:
            value, reference, low, high = 1 - value, 1 - reference, 1 - high, 1 - low
        odds_ratio = risen.after * (1 - risen.before) / max(1e-9, risen.before * (1 - risen.after))
        began_us = min(edge_us - pane_us, int(risen.edge - 1) * pane_us)
        return RateFinding(
            metric=metric,
            value=rounded(value),
            low=rounded(low),
            high=rounded(high),
            n=float(f"{risen.events:.6g}"),
            reference=rounded(reference),
            reference_n=float(f"{risen.before_n:.6g}"),
            effect=float(f"{min(1e6, odds_ratio):.6g}"),
            test="shiryaev_roberts",
            p_value=None,
            window_s=min(edge_us - began_us, FINE_RETENTION_US * 12) / 1e6,
            began=rfc3339(began_us),
        )

    def state(self) -> list[Any]:
        """Return plain values for the state topic."""
        return [self.begun_us, self.detector.state(), None if self.risen is None else list(self.risen)]

    @classmethod
    def from_state(cls, state: Any) -> Baseline:
        """Build a baseline from the values of ``state``."""
        begun_us, detector, risen = state
        return cls(
            begun_us,
            ShiryaevRoberts.from_state(detector, RUN_LENGTH),
            None if risen is None else Risen(*risen),
        )
