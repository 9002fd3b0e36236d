"""Read one metric over several panes."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.judge_correction import JudgeCorrection
from monitor.stats.known_calls import Calls, estimate_of_calls
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import IntervalMethod, wilson_interval
from monitor.windows.metric_definitions import SUCCESS_RATES, quantile_of, unit_of
from monitor.windows.pane import Pane

RESPONSES = "error_rate"
"""The rate that counts each response."""


class MetricReader:
    """A metric over the panes that were added, initially none.

    Each pane counts once, even if it is added twice: long windows snap outwards to whole hours, so two
    neighbouring windows may hold the same hour.

    Args:
        metric: as a rule names it: ``pass_rate``, ``evaluator.refusal.fail_rate``, ``duration_s.p90``,
            ``output_tokens.mean``.
        correction: of a failure rate that a judge counts; estimates are of the true rate then.

    >>> pane = Pane(start_us=0)
    >>> pane.rate("error_rate").add(1_000_000, 100, 25)
    >>> MetricReader("error_rate").add([pane]).add([pane]).estimate(z=1.96)[:2]
    (0.25, 100.0)
    """

    def __init__(self, metric: str, correction: JudgeCorrection | None = None) -> None:
        self._metric, self._correction = metric, correction
        self._name, _, self._reading = metric.rpartition(".")
        self._rate: Rate | None = Rate() if metric.endswith("_rate") else None
        self._number = NumberSummary()
        self._ids: set[int] = set()
        self._panes: list[
            Pane
        ] = []  # keeps the panes alive, so that no other pane gets the id of one of them

    def add(self, panes: Iterable[Pane]) -> MetricReader:
        """Add panes, except those that were added before; return the reader."""
        self.extend(panes)
        return self

    def extend(self, panes: Iterable[Pane]) -> bool:
        """``add``, and return whether a new pane has the metric; if not, no estimate changes."""
        new = [pane for pane in panes if id(pane) not in self._ids]
        self._ids.update(map(id, new))
        self._panes += new
        if self._rate is not None:
            rates = [rate for pane in new if (rate := pane.find_rate(self._metric)) is not None]
            self._rate.merge_all(rates)
            return bool(rates)
        numbers = [number for pane in new if (number := pane.find_number(self._name)) is not None]
        for number in numbers:
            self._number.merge(number)
        return bool(numbers)

    def extend_by_rate(self, rate: Rate) -> bool:
        """Add what was counted in other panes, if the metric is a rate; return whether that is anything."""
        if self._rate is None or not rate.classes:
            return False
        self._rate.merge(rate)
        return True

    def estimate(
        self, z: float, interval: IntervalMethod = wilson_interval, known: Units = NO_UNITS
    ) -> Estimate:
        """Estimate the metric in its own unit, with its interval at ``z`` standard errors.

        ``interval`` and ``known`` apply to rates, see ``Rate.estimate``. ``NO_ESTIMATE`` if nothing was
        counted or no such metric exists.
        """
        if self._rate is not None:
            estimate = self._rate.estimate(
                z, inverted=self._metric in SUCCESS_RATES, interval=interval, known=known
            )
            return estimate if self._correction is None else self._correction.corrected(estimate)
        if self._reading == "mean":
            return self._number.mean(z).scaled(unit_of(self._name))
        if (q := quantile_of(self._reading)) is None:
            return NO_ESTIMATE
        return self._number.quantile(q, z).scaled(unit_of(self._name))

    def estimate_of_calls(self, z: float, calls: Calls, known: Units = NO_UNITS) -> Estimate | None:
        """Estimate a rate among a known number of calls, see ``monitor.stats.known_calls``.

        None if the events decide as well by themselves, or the rate does not count every response.
        """
        if self._rate is None:
            return None
        responses = [rate for pane in self._panes if (rate := pane.find_rate(RESPONSES)) is not None]
        if self._rate.events != sum(rate.events for rate in responses):
            return None
        estimate = estimate_of_calls(self._rate, z, calls, known)
        return estimate.inverted() if estimate and self._metric in SUCCESS_RATES else estimate

    @property
    def rate(self) -> Rate | None:
        """The rate that was added so far; None if the metric is no rate."""
        return self._rate

    def clearing_value(self) -> float | None:
        """Return the value by which a page may be cleared: of a rate without the heaviest event that passed.

        None if the metric is no rate, or nothing was counted.
        """
        share = None if self._rate is None else self._rate.share_without_heaviest()
        if share is not None and self._correction is not None:
            return self._correction.corrected(Estimate(share, 0.0, share, share)).value
        return share if share is None or self._metric not in SUCCESS_RATES else 1 - share


def estimate_metric(panes: Iterable[Pane], metric: str, z: float) -> Estimate:
    """Estimate a metric over several panes; see ``MetricReader``."""
    return MetricReader(metric).add(panes).estimate(z)
