"""A threshold on a metric: it breaches when the whole interval lies beyond it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from statistics import NormalDist
from typing import Any, Protocol

from monitor.rules.reading import Reading
from monitor.stats.rate import NO_ESTIMATE, Estimate, clopper_pearson_interval
from monitor.windows.feature_series import FINE_RETENTION_US, HOUR_US
from monitor.windows.pane import MetricReader, Pane
from schemas.config.rules import Rule

LADDER_S = (300, 1800, 7200, 21_600, 86_400)
"""Where a window has too few events, the next of these is looked at: 5 m, 30 m, 2 h, 6 h, 1 d."""

BUDGET_Z = 4.8
"""At most one false page in 1,000 feature-days over all default rules, levels and segments, for windows looked at each minute."""

WHOLE_EVENTS = 1 - 1e-9
"""Effective events are worked out in floats: fifty events may be 49.99999999999999."""

BUDGETS_S: dict[str, dict[str, float]] = {
    "duration_s": {"sync": 1.0, "progressive": 5.0, "async": 20.0},
    "time_to_first_token_s": {"progressive": 0.5},
}


class Series(Protocol):
    """What a rule looks at: a segment, or a feature as a whole."""

    def window(self, start_us: int, end_us: int) -> Iterable[Pane]:
        """Panes that overlap [start, end)."""


def read(
    rule: Rule, series: Series, edge_us: int, interaction: str | None, cleared_us: int | None = None
) -> Reading:
    """What the rule says at an edge, over the least window that has enough events.

    Args:
        interaction: of the feature's configuration, for `above: budget`.
        cleared_us: the edge at which the rule was last found well again here: no window reaches further back
            than the one that showed it, or an outage that is over would be found once more when traffic thins
            out and the windows grow.
    """
    oldest_us = -(2**62) if cleared_us is None else cleared_us - round(rule.window * 1e6)
    if edge_us - oldest_us > FINE_RETENTION_US:
        oldest_us = -(-oldest_us // HOUR_US) * HOUR_US  # inwards: the hour around it may hold what is over
    above, below = _threshold(rule, interaction), None if rule.below == "baseline" else rule.below
    z, found, window_s = z_of(rule.confidence), NO_ESTIMATE, rule.window
    if above is None and below is None:
        return Reading("unknown", _evidence(rule, found, window_s, None, None))
    figure, until_us = MetricReader(rule.on), edge_us
    for window_s in (rule.window, *(step for step in LADDER_S if step > rule.window)):
        since_us = max(oldest_us, edge_us - round(window_s * 1e6))
        # each window holds the one before it: only what it reaches further back is read
        if since_us < until_us:
            found = figure.add(series.window(since_us, until_us)).estimate(z, clopper_pearson_interval)
            until_us = since_us
        if found.n >= rule.min_events * WHOLE_EVENTS:
            break
    evidence = _evidence(rule, found, window_s, above, below)
    if found.n < rule.min_events * WHOLE_EVENTS or found.value is None:
        return Reading("unknown", evidence)
    if above is not None:
        if found.low is not None and found.low > above:
            return Reading("breach", evidence)
        return Reading("good" if found.value <= _clear(rule, above) else "between", evidence)
    assert below is not None
    if found.high is not None and found.high < below:
        return Reading("breach", evidence)
    return Reading("good" if found.value >= _clear(rule, below) else "between", evidence)


@cache
def z_of(confidence: float | None) -> float:
    """Standard errors of a one-sided confidence; None: what the false-page budget asks for.

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
    rule: Rule, found: Estimate, window_s: float, above: float | None, below: float | None
) -> dict[str, Any]:
    shown = {
        name: None if value is None else float(f"{value:.6g}") for name, value in found._asdict().items()
    }
    return {"metric": rule.on, **shown, "above": above, "below": below, "window_s": window_s}
