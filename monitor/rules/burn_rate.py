"""An error budget that burns too fast: over a long window, so that it is worth a page, and still over a short
one, so that it is not over.
"""

from __future__ import annotations

from typing import Any

from monitor.rules.reading import Reading
from monitor.rules.threshold import WHOLE_EVENTS, Series, z_of
from monitor.stats.rate import Estimate, clopper_pearson_interval
from monitor.windows.feature_series import FINE_RETENTION_US, HOUR_US
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.pane import MetricReader
from schemas.config.rules import Burning


def read(rule: Burning, series: Series, edge_us: int, since_us: int) -> Reading:
    """What the rule says at an edge: breached when the long window's whole interval burns too fast, and the
    short window's rate does too.

    It is well when the short window is. ``since_us``: what is older was counted otherwise (a changed
    evaluator).
    """
    z = z_of(rule.confidence)
    if edge_us - since_us > FINE_RETENTION_US:
        # inwards: the hour around it may hold what was counted otherwise
        since_us = -(-since_us // HOUR_US) * HOUR_US
    long = (
        MetricReader(rule.on)
        .add(series.window(max(since_us, edge_us - round(rule.window * 1e6)), edge_us))
        .estimate(z, clopper_pearson_interval)
    )
    short = (
        MetricReader(rule.on)
        .add(series.window(max(since_us, edge_us - round(rule.short * 1e6)), edge_us))
        .estimate(z)
    )
    evidence = _evidence(rule, long)
    if long.value is None or long.n < rule.min_events * WHOLE_EVENTS:
        return Reading("unknown", evidence)
    if short.value is None:
        return Reading("good", evidence)
    least = 1 - long.high if rule.on in SUCCESS_RATES and long.high is not None else long.low
    now = 1 - short.value if rule.on in SUCCESS_RATES else short.value
    if now <= rule.failing:
        return Reading("good", evidence)
    return Reading("breach" if least is not None and least > rule.failing else "between", evidence)


def _evidence(rule: Burning, found: Estimate) -> dict[str, Any]:
    shown = {
        name: None if value is None else float(f"{value:.6g}") for name, value in found._asdict().items()
    }
    limit = float(f"{1 - rule.failing if rule.on in SUCCESS_RATES else rule.failing:.6g}")
    bad = None if found.value is None else 1 - found.value if rule.on in SUCCESS_RATES else found.value
    return {
        "metric": rule.on, **shown, "above": None if rule.on in SUCCESS_RATES else limit, "below": limit if rule.on in SUCCESS_RATES else None,
        "window_s": rule.window, "burn": None if bad is None else float(f"{bad / (1 - rule.target):.3g}"), "target": rule.target,
    }  # fmt: skip
