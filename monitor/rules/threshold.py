"""A threshold on a metric: it breaches when the whole interval lies beyond it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from statistics import NormalDist
from typing import Protocol

from monitor.rules.evidence import ThresholdEvidence, no_evidence, rounded
from monitor.rules.reading import Reading, State
from monitor.rules.weighted_sample import weighted_sample_of
from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import clopper_pearson_interval
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR_US
from schemas.config.rules import FixedThreshold, Rule

LADDER_S = (300, 1800, 7200, 21_600, 86_400)
"""Windows to try in turn where there are too few events: 5 m, 30 m, 2 h, 6 h, 1 d."""

BUDGET_Z = 4.8
"""At most one false page in 1,000 feature-days over all default rules, levels and segments, for windows that
are read each minute.
"""

WHOLE_EVENTS = 1 - 1e-9
"""Effective events are computed in floats: fifty events may be 49.99999999999999."""


class Series(Protocol):
    """A series of panes: a segment, or a feature as a whole."""

    def window(self, start_us: int, end_us: int) -> Iterable[Pane]:
        """Return the panes that overlap [start, end)."""


def read(
    rule: Rule,
    threshold: FixedThreshold | None,
    series: Series,
    edge_us: int,
    cleared_us: int | None = None,
    known: Units = NO_UNITS,
) -> Reading:
    """Read a rule at a pane edge, over the shortest window that has enough events.

    Args:
        rule: what is measured, and how.
        threshold: of the rule on this feature (``monitor.rules.threshold_resolution``); without one nothing
            is known.
        series: of which windows are read.
        edge_us: the pane edge, microseconds since 1970.
        cleared_us: the edge at which the rule was last good again here. No window begins before the one that
            showed it: an outage that is over would be found again when traffic becomes thin and windows grow.
        known: the heaviest weights of the series, if the metric is a rate.
    """
    if threshold is None:
        return Reading("unknown", no_evidence(rule.on, rule.window))
    oldest_us = -(2**62) if cleared_us is None else cleared_us - round(rule.window * 1e6)
    if edge_us - oldest_us > FINE_RETENTION_US:
        oldest_us = -(-oldest_us // HOUR_US) * HOUR_US  # inwards: the hour around it may hold what is over
    reader, estimate, window_s = _estimate(rule, series, edge_us, oldest_us, known)
    evidence = ThresholdEvidence(
        metric=rule.on,
        value=rounded(estimate.value),
        n=float(f"{estimate.n:.6g}"),
        low=rounded(estimate.low),
        high=rounded(estimate.high),
        above=threshold.value if threshold.side == "above" else None,
        below=threshold.value if threshold.side == "below" else None,
        window_s=window_s,
        weighted_sample=weighted_sample_of(reader, window_s, known),
    )
    return Reading(_state(rule, threshold, estimate, reader.clearing_value()), evidence)


def _estimate(
    rule: Rule, series: Series, edge_us: int, oldest_us: int, known: Units
) -> tuple[MetricReader, Estimate, float]:
    """Estimate the metric over the shortest window with enough events; also return the reader of that window,
    and its length, seconds.
    """
    estimate, window_s = NO_ESTIMATE, rule.window
    z, reader, until_us = z_of(rule.confidence), MetricReader(rule.on), edge_us
    for window_s in (rule.window, *(step for step in LADDER_S if step > rule.window)):
        since_us = max(oldest_us, edge_us - round(window_s * 1e6))
        # each window contains the one before it: only the panes that it adds are read
        if since_us < until_us:
            reader.add(series.window(since_us, until_us))
            estimate = reader.estimate(z, clopper_pearson_interval, known)
            until_us = since_us
        if estimate.n >= rule.min_events * WHOLE_EVENTS:
            break
    return reader, estimate, window_s


def _state(rule: Rule, threshold: FixedThreshold, estimate: Estimate, clearing: float | None) -> State:
    """Return the state of a rule. ``clearing``: a value that must be good as well, if there is one."""
    if estimate.n < rule.min_events * WHOLE_EVENTS or estimate.value is None:
        return "unknown"
    clearing = estimate.value if clearing is None else clearing
    clear = threshold.value if rule.clear is None else rule.clear
    if threshold.side == "above":
        if estimate.low is not None and estimate.low > threshold.value:
            return "breach"
        return "good" if max(estimate.value, clearing) <= clear else "between"
    if estimate.high is not None and estimate.high < threshold.value:
        return "breach"
    return "good" if min(estimate.value, clearing) >= clear else "between"


@cache
def z_of(confidence: float | None) -> float:
    """Return the standard errors of a one-sided confidence; None: those of the false-page budget.

    >>> z_of(None), round(z_of(0.975), 2)
    (4.8, 1.96)
    """
    return BUDGET_Z if confidence is None else NormalDist().inv_cdf(confidence)
