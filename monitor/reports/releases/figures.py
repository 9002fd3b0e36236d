"""Write the values and differences of a comparison for people."""

from __future__ import annotations

import math

from monitor.compare.comparison import MetricDifference
from monitor.compare.confidence_sequence import Bounds
from monitor.compare.release_gate import Finding
from monitor.reports.report_text import figure
from monitor.windows.metric_definitions import SUCCESS_RATES

POINTS_KINDS = ("rate", "share", "category")


def is_share(metric: str) -> bool:
    """Return whether a metric is a share: its differences are points.

    >>> is_share("pass_rate"), is_share("output_format=json"), is_share("duration_s.p90")
    (True, True, False)
    """
    return metric.endswith("_rate") or "=" in metric


def value_text(metric: str, value: float | None) -> str:
    """Write a value; rates are given as the share that failed, and are written as they are named.

    >>> value_text("pass_rate", 0.03), value_text("error_rate", 0.03), value_text("duration_s.p90", None)
    ('97 %', '3 %', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return figure(metric, 1 - value if metric in SUCCESS_RATES else value)


def difference_text(metric: str, difference: float, *, with_unit: bool = True) -> str:
    """Write a difference with its sign, of shares in points.

    >>> difference_text("error_rate", 0.0314), difference_text("pass_rate", 0.0314), difference_text("duration_s.p90", -0.5)
    ('+3.1 points', '−3.1 points', '−0.5 s')
    >>> difference_text("error_rate", -math.inf), difference_text("error_rate", 0.0004)
    ('−∞', '+0.04 points')
    """
    if metric in SUCCESS_RATES:
        difference = -difference
    sign = "−" if difference < 0 else "+"
    if math.isnan(difference):
        return "–"
    if math.isinf(difference):
        return f"{sign}∞"
    if is_share(metric):
        points = abs(difference) * 100
        shown = f"{points:.1f}" if points >= 1 or not points else f"{points:.2g}"
        return f"{sign}{shown} points" if with_unit else f"{sign}{shown}"
    shown = figure(metric, abs(difference))
    return f"{sign}{shown}"


def bounds_text(metric: str, bounds: Bounds) -> str:
    """Write the bounds of a difference, the lower one first.

    >>> bounds_text("error_rate", Bounds(0.03, 0.01, 0.052)), bounds_text("pass_rate", Bounds(0.03, 0.01, 0.052))
    ('+1.0 to +5.2', '−5.2 to −1.0')
    """
    low, high = (bounds.high, bounds.low) if metric in SUCCESS_RATES else (bounds.low, bounds.high)
    if math.isinf(bounds.low) and math.isinf(bounds.high):
        return "–"
    return " to ".join(difference_text(metric, bound, with_unit=False) for bound in (low, high))


def p_text(p_value: float | None) -> str:
    """Write a p-value.

    >>> p_text(0.0371), p_text(1e-9), p_text(None), p_text(1.0)
    ('0.037', '< 0.0001', '–', '1')
    """
    if p_value is None:
        return "–"
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def smallest_text(difference: MetricDifference) -> str:
    """Write the smallest difference that could have been seen."""
    if not math.isfinite(difference.smallest):
        return "–"
    metric = difference.metric
    text = difference_text("share=" if is_share(metric) else metric, difference.smallest, with_unit=False)
    return text.replace("+", "±")


def finding_text(finding: Finding, a: str, b: str) -> str:
    """Write what the gate found in a metric, as a sentence.

    Args:
        a, b: names of the versions.
    """
    metric = finding.metric.metric
    values = f"{value_text(metric, finding.a)} with {a}, {value_text(metric, finding.b)} with {b}"
    if finding.state == "no data":
        return f"{metric}: {values}"
    change = f"the change for the worse is {_change(metric, finding.change)}"
    margin = f"margin {_plain(metric, finding.margin)}"
    needed = f"; about {finding.needed:,} more calls of {b} decide" if finding.needed else ""
    return f"{metric} is {finding.state}: {values}; {change} ({margin}){needed}"


def _change(metric: str, change: Bounds) -> str:
    if math.isinf(change.low) or math.isinf(change.high):
        return "not known yet"
    name = "share=" if is_share(metric) else metric
    return f"{difference_text(name, change.low, with_unit=False)} to {difference_text(name, change.high)}"


def _plain(metric: str, margin: float) -> str:
    name = "share=" if is_share(metric) else metric
    return difference_text(name, margin).removeprefix("+")
