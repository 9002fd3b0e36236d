"""A threshold on a metric: it breaches when the whole interval lies beyond it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from statistics import NormalDist
from typing import Protocol

from monitor.rules.evidence import ThresholdEvidence, rounded
from monitor.rules.reading import Reading, State
from monitor.stats.rate import NO_ESTIMATE, Estimate, clopper_pearson_interval
from monitor.windows.feature_series import FINE_RETENTION_US, HOUR_US
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from schemas.config.rules import Rule

LADDER_S = (300, 1800, 7200, 21_600, 86_400)
"""Windows to try in turn where there are too few events: 5 m, 30 m, 2 h, 6 h, 1 d."""

BUDGET_Z = 4.8
"""At most one false page in 1,000 feature-days over all default rules, levels and segments, for windows looked
at each minute.
"""

WHOLE_EVENTS = 1 - 1e-9
"""Effective events are computed in floats: fifty events may be 49.99999999999999."""

BUDGETS_S: dict[str, dict[str, float]] = {
    "duration_s": {"sync": 1.0, "progressive": 5.0, "async": 20.0},
    "time_to_first_token_s": {"progressive": 0.5},
}


class Series(Protocol):
    """A series of panes: a segment, or a feature as a whole."""

    def window(self, start_us: int, end_us: int) -> Iterable[Pane]:
        """Return the panes that overlap [start, end)."""


def read(
    rule: Rule, series: Series, edge_us: int, interaction: str | None, cleared_us: int | None = None
) -> Reading:
    """Read a rule at a pane edge, over the shortest window that has enough events.

    Args:
        rule: with a fixed threshold or a latency budget.
        series: of which windows are read.
        edge_us: the pane edge, microseconds since 1970.
        interaction: of the feature's configuration, for `above: budget`.
        cleared_us: the edge at which the rule was last good again here. No window begins before the one that
            showed it: an outage that is over would be found again when traffic becomes thin and windows grow.
    """
    oldest_us = -(2**62) if cleared_us is None else cleared_us - round(rule.window * 1e6)
    if edge_us - oldest_us > FINE_RETENTION_US:
        oldest_us = -(-oldest_us // HOUR_US) * HOUR_US  # inwards: the hour around it may hold what is over
    above, below = _threshold(rule, interaction), None if rule.below == "baseline" else rule.below
    if above is None and below is None:
        return Reading("unknown", _evidence(rule, NO_ESTIMATE, rule.window, None, None))
    estimate, window_s = _estimate(rule, series, edge_us, oldest_us)
    return Reading(_state(rule, estimate, above, below), _evidence(rule, estimate, window_s, above, below))


def _estimate(rule: Rule, series: Series, edge_us: int, oldest_us: int) -> tuple[Estimate, float]:
    """Estimate the metric over the shortest window with enough events; also return its length, seconds."""
    estimate, window_s = NO_ESTIMATE, rule.window
    z, figure, until_us = z_of(rule.confidence), MetricReader(rule.on), edge_us
    for window_s in (rule.window, *(step for step in LADDER_S if step > rule.window)):
        since_us = max(oldest_us, edge_us - round(window_s * 1e6))
        # each window contains the one before it: only the panes that it adds are read
        if since_us < until_us:
            estimate = figure.add(series.window(since_us, until_us)).estimate(z, clopper_pearson_interval)
            until_us = since_us
        if estimate.n >= rule.min_events * WHOLE_EVENTS:
            break
    return estimate, window_s


def _state(rule: Rule, estimate: Estimate, above: float | None, below: float | None) -> State:
    if estimate.n < rule.min_events * WHOLE_EVENTS or estimate.value is None:
        return "unknown"
    if above is not None:
        if estimate.low is not None and estimate.low > above:
            return "breach"
        return "good" if estimate.value <= _clear(rule, above) else "between"
    assert below is not None
    if estimate.high is not None and estimate.high < below:
        return "breach"
    return "good" if estimate.value >= _clear(rule, below) else "between"


@cache
def z_of(confidence: float | None) -> float:
    """Return the standard errors of a one-sided confidence; None: the ones of the false-page budget.

    >>> z_of(None), round(z_of(0.975), 2)
    (4.8, 1.96)
    """
    return BUDGET_Z if confidence is None else NormalDist().inv_cdf(confidence)


def _threshold(rule: Rule, interaction: str | None) -> float | None:
    if rule.above == "baseline":
        return None  # monitor.rules.learned_baseline reads those
    if rule.above != "budget":
        return rule.above
    return BUDGETS_S.get(rule.on.rpartition(".")[0], {}).get(interaction or "")


def _clear(rule: Rule, threshold: float) -> float:
    return threshold if rule.clear is None else rule.clear


def _evidence(
    rule: Rule, estimate: Estimate, window_s: float, above: float | None, below: float | None
) -> ThresholdEvidence:
    return ThresholdEvidence(
        metric=rule.on,
        value=rounded(estimate.value),
        n=float(f"{estimate.n:.6g}"),
        low=rounded(estimate.low),
        high=rounded(estimate.high),
        above=above,
        below=below,
        window_s=window_s,
    )
