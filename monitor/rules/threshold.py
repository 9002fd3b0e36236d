"""A threshold on a metric: it breaches when the whole interval lies beyond it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from statistics import NormalDist
from typing import NamedTuple, Protocol

from monitor.rules.evidence import ThresholdEvidence, no_evidence, rounded
from monitor.rules.low_traffic import z_of_days
from monitor.rules.reading import Reading, State
from monitor.rules.weighted_sample import weighted_sample_of
from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.judge_correction import JudgeCorrection
from monitor.stats.known_calls import Calls
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import clopper_pearson_interval
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR_US
from schemas.config.rules import FixedThreshold, Rule

LADDER_S = (300, 1800, 7200, 21_600, 86_400, 259_200, 432_000, 604_800)
"""Windows to try in turn where there are too few events: 5 m, 30 m, 2 h, 6 h, 1 d; of rates also 3, 5, 7 d."""
SHORT_US = 300_000_000
"""Panes of so short a part of a window are merged one by one."""
DAY_S, WEEK_S = 86_400, 604_800
BUSY_S = 7200
"""Window in which a busy series has enough events. A rate that needs a longer one clears by likelihood."""
BACK = math.log(1000)  # ln of the odds for being back at the threshold

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


CallsWithin = Callable[[int, int], Calls | None]


class RateHistory(NamedTuple):
    """The past of a rate of one series.

    Attributes:
        born_us: start of the first pane, microseconds since 1970.
        hours: start and end of whole hours -> the rate over their panes.
        recent: start and end, at most two hours ago -> the rate over the panes between; None where it is not
            known without merging them.
    """

    born_us: int
    hours: Callable[[int, int], Rate]
    recent: Callable[[int, int], Rate | None] = lambda start_us, end_us: None


class _View(NamedTuple):
    """A metric over one window. ``reader`` holds the window until the next view is taken.

    ``calls``: how many there were, if the estimate is a share of them.
    """

    window_s: float
    estimate: Estimate
    reader: MetricReader
    calls: Calls | None = None

    @property
    def clearing(self) -> float | None:
        """A value that must be good as well before an incident ends, if there is one."""
        return self.reader.clearing_value() if self.calls is None else None


def read(
    rule: Rule,
    threshold: FixedThreshold | None,
    series: Series,
    edge_us: int,
    cleared_us: int | None = None,
    known: Units = NO_UNITS,
    history: RateHistory | None = None,
    firing_value: float | None = None,
    brief: bool = False,
    calls_within: CallsWithin | None = None,
    correction: JudgeCorrection | None = None,
) -> Reading:
    """Read a rule at a pane edge, over the shortest window that has enough events.

    A rate also breaches over a shorter window, if its whole interval is beyond the threshold: an exact
    interval decides at any n.

    Args:
        rule: what is measured, and how.
        threshold: of the rule on this feature (``monitor.rules.threshold_resolution``); without one nothing
            is known.
        series: of which windows are read.
        edge_us: the pane edge, microseconds since 1970.
        cleared_us: the edge at which the rule was last good again here. No window begins before the one that
            showed it: an outage that is over would be found again when traffic becomes thin and windows grow.
        known: the heaviest weights of the series, if the metric is a rate.
        history: of the rate; without it no window is longer than a day.
        firing_value: the value of the incident that fires, None if none does.
        brief: the evidence is only needed if the rule is breached.
        calls_within: start and end of a window -> how many calls it had, sampled or not, where meters say it.
        correction: of the judge that counts the metric: the true rate decides.
    """
    if threshold is None:
        return Reading("unknown", no_evidence(rule.on, rule.window))
    oldest_us = -(2**62) if cleared_us is None else cleared_us - round(rule.window * 1e6)
    if edge_us - oldest_us > FINE_RETENTION_US:
        oldest_us = -(-oldest_us // HOUR_US) * HOUR_US  # inwards: the hour around it may hold what is over
    state: State = "unknown"
    view = _View(rule.window, NO_ESTIMATE, MetricReader(rule.on, correction))
    recovered: ThresholdEvidence | None = None
    for view in _views(rule, series, edge_us, oldest_us, known, history, calls_within, correction):
        has_enough = view.estimate.n >= rule.min_events * WHOLE_EVENTS
        if has_enough or (rule.is_rate and _state(rule, threshold, view) == "breach"):
            state = _state(rule, threshold, view)
            break
        # the odds are those of counts, not of a rate that was corrected
        if (
            recovered is None
            and firing_value is not None
            and correction is None
            and _is_back(rule, threshold, view, firing_value)
        ):
            recovered = _evidence(rule, threshold, view, known)
    else:
        # few events are all that comes in a week; of a younger series it is not known what is usual
        if rule.is_rate and history is not None and history.born_us <= edge_us - round(WEEK_S * 1e6):
            state = _state(rule, threshold, view)
    if recovered is not None and view.window_s > BUSY_S:
        return Reading("good", recovered)
    if brief and state != "breach":
        return Reading(state, no_evidence(rule.on, view.window_s))
    return Reading(state, _evidence(rule, threshold, view, known))


def _views(
    rule: Rule,
    series: Series,
    edge_us: int,
    oldest_us: int,
    known: Units,
    history: RateHistory | None,
    calls_within: CallsWithin | None,
    correction: JudgeCorrection | None,
) -> Iterator[_View]:
    """Yield the metric over longer and longer windows: the shortest, those that add something to the one
    before, and the longest.
    """
    z, reader, until_us, estimate = (
        z_of(rule.confidence),
        MetricReader(rule.on, correction),
        edge_us,
        NO_ESTIMATE,
    )
    longest_s = WEEK_S if history is not None and rule.is_rate else DAY_S
    windows_s = (rule.window, *(step for step in LADDER_S if rule.window < step <= longest_s))
    for window_s in windows_s:
        since_us = max(oldest_us, edge_us - round(window_s * 1e6))
        # each window contains the one before it: only the panes that it adds are read
        grows = False
        if since_us < until_us:
            if window_s > max(DAY_S, rule.window) and history is not None:
                first_us, last_us = since_us // HOUR_US * HOUR_US, until_us // HOUR_US * HOUR_US
                grows = reader.extend_by_rate(history.hours(max(oldest_us, first_us), last_us))
            else:
                recent = None
                is_long = until_us - since_us > SHORT_US and window_s <= BUSY_S
                if history is not None and rule.is_rate and is_long and calls_within is None:
                    recent = history.recent(since_us, until_us)
                grows = (
                    reader.extend(series.window(since_us, until_us))
                    if recent is None
                    else reader.extend_by_rate(recent)
                )
            until_us = since_us
        calls = None if calls_within is None else calls_within(since_us, edge_us)
        if calls is not None and (shares := reader.estimate_of_calls(z, calls, known)) is not None:
            yield _View(window_s, shares, reader, calls)
            continue
        if grows:
            z_of_view = z
            if window_s > DAY_S and rule.confidence is None and reader.rate is not None:
                z_of_view = z_of_days(z, len(LADDER_S), reader.rate.events, window_s / DAY_S)
            estimate = reader.estimate(z_of_view, clopper_pearson_interval, known)
        if grows or window_s in (windows_s[0], windows_s[-1]):
            yield _View(window_s, estimate, reader)


def _evidence(rule: Rule, threshold: FixedThreshold, view: _View, known: Units) -> ThresholdEvidence:
    return ThresholdEvidence(
        metric=rule.on,
        value=rounded(view.estimate.value),
        n=float(f"{view.estimate.n:.6g}"),
        low=rounded(view.estimate.low),
        high=rounded(view.estimate.high),
        above=threshold.value if threshold.side == "above" else None,
        below=threshold.value if threshold.side == "below" else None,
        window_s=view.window_s,
        weighted_sample=weighted_sample_of(view.reader, view.window_s, known, view.calls),
    )


def _state(rule: Rule, threshold: FixedThreshold, view: _View) -> State:
    estimate = view.estimate
    if estimate.value is None:
        return "unknown"
    clear = threshold.value if rule.clear is None else rule.clear
    if threshold.side == "above":
        if estimate.low is not None and estimate.low > threshold.value:
            return "breach"
        return "good" if estimate.value <= clear and (view.clearing or 0.0) <= clear else "between"
    if estimate.high is not None and estimate.high < threshold.value:
        return "breach"
    clearing = view.clearing if estimate.value >= clear else None
    return "good" if estimate.value >= clear and (clearing is None or clearing >= clear) else "between"


def _is_back(rule: Rule, threshold: FixedThreshold, view: _View, firing_value: float) -> bool:
    """Return whether a window with too few events for a point estimate shows that a rate is back: the odds
    for the threshold, against the value that fires, are 1,000 to 1.

    Source: Wald, Ann. Math. Statist. 16 (1945), the likelihood ratio of two rates.
    """
    n = view.estimate.n
    if not rule.is_rate or _state(rule, threshold, view) != "good" or n <= 0:
        return False
    clearing = view.clearing
    value = view.estimate.value if clearing is None else clearing
    clear = threshold.value if rule.clear is None else rule.clear
    share, usual, raised = (
        rate if threshold.side == "above" else 1 - rate for rate in (value or 0.0, clear, firing_value)
    )
    # a few events that all failed do not rule out a lower rate
    usual, raised = max(usual, 1e-6), min(raised, 1 - 0.5 / (n + 1))
    if raised <= usual:
        return False
    gain = share * math.log(usual / raised) + (1 - share) * math.log((1 - usual) / (1 - raised))
    return n * gain >= BACK


@cache
def z_of(confidence: float | None) -> float:
    """Return the standard errors of a one-sided confidence; None: those of the false-page budget.

    >>> z_of(None), round(z_of(0.975), 2)
    (4.8, 1.96)
    """
    return BUDGET_Z if confidence is None else NormalDist().inv_cdf(confidence)
