"""A rate against its learnt baseline: when it rose, and when it is back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monitor.drift.shiryaev_roberts import DetectorReading, ShiryaevRoberts
from monitor.rules.drift_evidence import Z
from monitor.rules.evidence import RateFinding, rounded
from monitor.rules.low_traffic import LOOKS_A_DAY, adapt_detector
from monitor.rules.unit_counts import count_units
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import shift_odds, wilson_interval
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.segment_series import FINE_RETENTION_US
from schemas.times import rfc3339

RUN_LENGTH = 1.7e8
"""Mean number of edges to a false alarm of one series: a third of one false page in 1,000 feature-days, of 40
series that are read each minute.
"""

LEARNT_US = 5 * 60 * 1_000_000  # least time that a baseline is learnt
LAG_US = 5 * 60 * 1_000_000  # a bucket of events by which the reference lags lasts this long
YOUNG_US = 30 * 60 * 1_000_000  # age from which the correlation of outcomes is known from enough blocks
YOUNG_CORRELATION = 0.02
"""Correlation of outcomes within a block that is assumed before."""
BACK = math.log(1e5)
"""ln of the odds for being back at the baseline, against staying at the raised rate. The mean number of edges to
a false end is at least as large: a page that lasts for a day ends falsely once in 70 days.
Source: Lorden, Ann. Math. Statist. 42 (1971).
"""
LEAST_ODDS = 1.5  # ratio of the odds of the raised rate to those of the baseline

LEAST_RAISED = 1.2  # ratio of the odds from which a rate that rose counts as still raised


class Risen(NamedTuple):
    """A rate that left its baseline.

    Attributes:
        before: failure rate of the baseline; ``before_n``: its effective events.
        after: failure rate since, when it was found; ``events``: effective events until then.
        edge: the edge at which it left.
        back: ln of the odds that it is back.
        raised: events since it left and failures among them, in units; none if they were counted in other
            units before. ``returning``: those of the run for which it may be back, which are not in
            ``raised``.
    """

    before: float
    before_n: float
    after: float
    edge: float
    events: float
    back: float = 0.0
    raised: tuple[float, float] = (0.0, 0.0)
    returning: tuple[float, float] = (0.0, 0.0)


class Baseline:
    """The baseline of one rate of one series. It counts failures; of success rates, those that did not
    succeed. While the rate is risen it learns nothing.

    Events count in ``units``, failures and others apart, so the detector sees the odds of the sample. They
    are the true odds divided by c_f/c_s (``monitor.stats.rate``).
    """

    __slots__ = ("begun_us", "detector", "risen", "twin", "units")

    def __init__(
        self,
        begun_us: int,
        detector: ShiryaevRoberts | None = None,
        risen: Risen | None = None,
        units: Units = NO_UNITS,
    ) -> None:
        self.begun_us = begun_us
        self.detector = detector or ShiryaevRoberts(RUN_LENGTH)
        self.risen = risen
        self.units = units
        self.twin: object = None
        """Baselines with the same object here have the same state; None: it is not known of which others."""

    def take_state(self, twin: Baseline) -> None:
        """Take over the state of a baseline that had the same state and counts at this edge."""
        self.begun_us, self.detector = twin.begun_us, twin.detector.copy()
        self.risen, self.units, self.twin = twin.risen, twin.units, twin.twin

    def feed(
        self,
        rate: Rate,
        edge_us: int,
        pane_us: int,
        *,
        frozen: bool,
        tolerance: float = 1.0,
        known: Units = NO_UNITS,
        is_weighed: bool = True,
        events_a_day: float = LOOKS_A_DAY,
    ) -> None:
        """Add the counts since the last edge.

        The unit of other events rises before the block is weighed. The unit of failures is only changed while
        the statistic is calm: an outage in which failures are sampled differently does not discard the
        reference, and a reference that learns heavier failures is as uncertain as these make it.

        ``frozen``: an incident of its rule is open, so these counts do not become part of the baseline if it
        has enough events already. ``tolerance``: as in ``monitor.references.daily_cycle``. ``known``: the heaviest weights of the series. ``is_weighed``:
        False if another baseline weighs these calls; then they become part of the reference only.
        ``events_a_day``: the most that came in a day (``monitor.rules.low_traffic``).
        """
        self.twin = object()
        if not rate.events:
            return
        units = rate.units(known)
        self._forget_unweighted(rate, units, edge_us)
        adapt_detector(self.detector, RUN_LENGTH, events_a_day, edge_us - self.begun_us)
        if self.risen is not None:
            self._compare_with_rise(self.risen, rate, units)
            return
        self._change_units(Units(units.any, self.units.failed or units.failed))
        n, failures, weight_classes = count_units(rate, self.units)
        if edge_us - self.begun_us < LEARNT_US:
            self.detector.learn(n, failures)
            self._change_units(units)
            return
        if not is_weighed:
            self.detector.reference.allow(tolerance, self._odds_factor)
            self.detector.reference.follow(n, failures, edge_us // pane_us, LAG_US / pane_us, frozen=frozen)
            if self.detector.is_calm and not frozen:
                self._change_units(units)
            return
        alarm = self.detector.step(
            n,
            failures,
            edge_us // pane_us,
            frozen=frozen,
            tolerance=tolerance,
            odds_factor=self._odds_factor,
            weight_classes=weight_classes,
            lag=LAG_US / pane_us,
            least_correlation=YOUNG_CORRELATION if edge_us - self.begun_us < YOUNG_US else 0.0,
        )
        if alarm.statistic < alarm.bound or alarm.rate is None or alarm.since is None:
            if units != self.units and self.detector.is_calm and not frozen:
                self._change_units(units)
            return
        self._rise(alarm, alarm.rate, alarm.since)

    def _compare_with_rise(self, risen: Risen, rate: Rate, units: Units) -> None:
        """Count events after a rise, and show whether the rate is back."""
        if units != self.units:
            self.risen = risen._replace(raised=(0.0, 0.0), returning=(0.0, 0.0))
        self._change_units(units)
        self._recover(*count_units(rate, units)[:2])

    def _rise(self, alarm: DetectorReading, usual: float, since: float) -> None:
        """Note that the rate has risen. ``usual``, ``since``: shares before and after the change, by the detector's
        odds.
        """
        odds = max(
            since / (1 - since) if since < 1 else math.inf,
            LEAST_ODDS * usual / (1 - usual),
        )
        risen = 1.0 if math.isinf(odds) else odds / (1 + odds)
        before, after = (shift_odds(share, self._odds_factor) for share in (usual, risen))
        raised = (alarm.events, since * alarm.events)
        self.risen = Risen(before, alarm.n, after, alarm.edge, alarm.events, raised=raised)

    def take_rise(self, other: Baseline) -> None:
        """Take over the rise of a baseline that counts the rate otherwise, and show whether it is back."""
        assert other.risen is not None
        self.twin, other.twin = object(), object()
        if self.risen is None:
            self.risen = other.risen._replace(events=0.0, back=0.0, raised=(0.0, 0.0), returning=(0.0, 0.0))
        other.risen = None
        other.detector.reset_evidence()

    @property
    def _odds_factor(self) -> float:
        """True odds divided by the odds of the sample."""
        return self.units.failed / self.units.any if self.units.any else 1.0

    @property
    def usual_rate(self) -> float:
        """The failure rate of the reference."""
        return shift_odds(self.detector.reference.mean, self._odds_factor)

    def _forget_unweighted(self, rate: Rate, units: Units, edge_us: int) -> None:
        """Drop a reference that a release without units learnt from events of several weights: it was learnt
        from ratios of single minutes, which are biased.
        """
        is_unweighted = self.units == NO_UNITS and self.detector.reference.n > 0
        if is_unweighted and (units.any != units.failed or len(rate.classes) > 1):
            self.begun_us, self.detector = edge_us, ShiryaevRoberts(RUN_LENGTH)

    def _change_units(self, units: Units) -> None:
        """Count in other units from now on."""
        if units == self.units:
            return
        if self.units != NO_UNITS:
            self.detector.rescale(self.units.failed / units.failed, self.units.any / units.any)
        self.units = units

    def _recover(self, n: float, failures: float) -> None:
        """Weigh the baseline against the raised rate; end the rise when the odds say that it is back.

        The raised rate is that of all events since the rise, without the run in which it may be back. The
        estimate at the alarm is often too high, and against it a rate that stays between the two would count
        as back.
        """
        risen = self.risen
        assert risen is not None
        before, after = self._rates_of_sample(risen)
        gain = failures * math.log(before / after) + (n - failures) * math.log((1 - before) / (1 - after))
        back = max(0.0, risen.back + gain)
        if back >= BACK:
            self.risen = None
            self.detector.reset_evidence()
            return
        returning = _added(risen.returning, (n, failures))
        raised = risen.raised
        if not back:
            raised, returning = _added(raised, returning), (0.0, 0.0)
        self.risen = risen._replace(back=back, raised=raised, returning=returning)

    def _rates_of_sample(self, risen: Risen) -> tuple[float, float]:
        """Return the usual and the raised rate as the sample shows them."""
        before, after = (shift_odds(rate, 1 / self._odds_factor) for rate in (risen.before, risen.after))
        n, failures = risen.raised
        if n:
            least = shift_odds(risen.before, LEAST_RAISED / self._odds_factor)
            after = max(least, failures / n)
        # a few events that all failed do not rule out a lower rate; a single event must not end the rise
        after = max(before, min(after, 1 - 0.5 / (max(n, risen.events) + 1)))
        before, after = (min(1 - 1e-6, max(1e-6, rate)) for rate in (before, after))
        return before, after

    def finding(self, metric: str, edge_us: int, pane_us: int) -> RateFinding:
        """Return the rise as a finding, with the figures of all events since it began; only of a baseline that
        is risen.
        """
        risen = self.risen
        assert risen is not None
        odds_factor = self._odds_factor
        n, share = risen.events, shift_odds(risen.after, 1 / odds_factor)
        since = _added(risen.raised, risen.returning)
        if since[0] > n:  # events since the alarm
            n, share = since[0], since[1] / since[0]
        low, high = (
            shift_odds(bound, odds_factor) for bound in wilson_interval(min(1.0, share), max(1.0, n), Z)
        )
        if odds_factor != 1:  # effective events as in monitor.stats.rate, from units
            n *= (odds_factor * share + 1 - share) ** 2 / odds_factor
        value, reference = shift_odds(share, odds_factor), risen.before
        if metric in SUCCESS_RATES:
            value, reference, low, high = 1 - value, 1 - reference, 1 - high, 1 - low
        odds_ratio = risen.after * (1 - risen.before) / max(1e-9, risen.before * (1 - risen.after))
        began_us = min(edge_us - pane_us, int(risen.edge - 1) * pane_us)
        return RateFinding(
            metric=metric,
            value=rounded(value),
            low=rounded(low),
            high=rounded(high),
            n=float(f"{n:.6g}"),
            reference=rounded(reference),
            reference_n=float(f"{risen.before_n:.6g}"),
            effect=float(f"{min(1e6, odds_ratio):.6g}"),
            test="shiryaev_roberts",
            p_value=None,
            window_s=min(edge_us - began_us, FINE_RETENTION_US * 12) / 1e6,
            began=rfc3339(began_us),
            reference_from=rfc3339(self.begun_us),
        )

    def state(self) -> list[Any]:
        """Return plain values for the state topic."""
        return [
            self.begun_us,
            self.detector.state(),
            None
            if self.risen is None
            else [*self.risen[:6], list(self.risen.raised), list(self.risen.returning)],
            list(self.units),
        ]

    @classmethod
    def from_state(cls, state: Any) -> Baseline:
        """Build a baseline from the values of ``state``."""
        begun_us, detector, risen, units = state
        return cls(
            begun_us,
            ShiryaevRoberts.from_state(detector, RUN_LENGTH),
            None if risen is None else Risen(*risen[:6], *map(tuple, risen[6:])),
            Units(*units),
        )


def _added(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return round(first[0] + second[0], 4), round(first[1] + second[1], 4)
