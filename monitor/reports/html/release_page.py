"""Render a comparison of two versions as one HTML file that loads nothing, so it can be mailed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from monitor.compare.comparison import MetricDifference
from monitor.compare.release_gate import Finding, Look, Verdict
from monitor.reports.html.page import environment, style_sheet
from monitor.reports.html.svg_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, Axis, Curve, Label, Plot
from monitor.reports.releases.figures import (
    bounds_text,
    difference_text,
    is_share,
    p_text,
    smallest_text,
    value_text,
)
from monitor.reports.releases.report import (
    ReleaseReport,
    by_interest,
    facts,
    shown_bounds,
    title,
    verdict_lines,
)
from monitor.wording.incident_text import clock

BAR_WIDTH, BAR_HEIGHT = 120.0, 14.0
PLOTS = 12
"""Metrics with a plot, at most."""


class Bar(NamedTuple):
    """An interval on an axis whose middle is 0: x coordinates of its ends and of the value."""

    low: str
    high: str
    value: str


class Row(NamedTuple):
    """A metric of the table; ``bar`` is None where bounds are infinite."""

    name: str
    a: str
    b: str
    difference: str
    bounds: str
    n: str
    smallest: str
    p: str
    moved: bool
    bar: Bar | None


class Figure(NamedTuple):
    """A plot with its title, and what it says in words."""

    title: str
    note: str
    plot: Plot


def render_release(report: ReleaseReport) -> str:
    """Return the page."""
    verdict, *reasons = verdict_lines(report)
    figures = [
        figure
        for finding in report.decision.findings[:PLOTS]
        if (figure := _figure(finding, report.looks)) is not None
    ]
    return (
        environment()
        .get_template("release.html.j2")
        .render(
            css=style_sheet(),
            title=title(report),
            verdict=verdict,
            is_bad=report.decision.verdict is Verdict.ROLL_BACK,
            reasons=[reason.strip() for reason in reasons],
            facts=facts(report),
            a=report.comparison.a.name or "(none)",
            b=report.comparison.b.name or "(none)",
            figures=figures,
            rows=[_row(metric) for metric in by_interest(report.comparison.metrics)],
            bar_width=BAR_WIDTH,
            bar_height=BAR_HEIGHT,
        )
    )


def _row(metric: MetricDifference) -> Row:
    bounds = metric.evidence.bounds(0.05)
    n, p = f"{metric.evidence.sizes[1]:,.0f}", p_text(metric.p_value)
    if metric.kind == "category":
        text = f"{bounds.value * 100:.1f} % differ" if metric.p_value is not None else "–"
        return Row(metric.metric, "", "", text, "", n, "", p, metric.moved, None)
    return Row(
        metric.metric,
        value_text(metric.metric, metric.evidence.a),
        value_text(metric.metric, metric.evidence.b),
        difference_text(metric.metric, bounds.value),
        bounds_text(metric.metric, bounds),
        n,
        smallest_text(metric),
        p,
        metric.moved,
        _bar(metric),
    )


def _bar(metric: MetricDifference) -> Bar | None:
    """Return the interval as the metric is named, on an axis that just holds it and 0."""
    bounds = shown_bounds(metric)
    most = max(abs(bounds.low), abs(bounds.high))
    if not math.isfinite(most) or most <= 0:
        return None

    def x(value: float) -> str:
        return f"{BAR_WIDTH / 2 + (BAR_WIDTH / 2 - 3) * value / most:.1f}"

    return Bar(x(bounds.low), x(bounds.high), x(bounds.value))


def _figure(last: Finding, looks: Sequence[Look]) -> Figure | None:
    """Return the change of a gating metric for the worse, with its bounds, over the time of the release."""
    metric = last.metric.metric
    points = [
        (look.time_us / 1e6, finding)
        for look in looks
        for finding in look.decision.findings
        if finding.metric.metric == metric and math.isfinite(finding.change.value)
    ]
    points = [
        (time_s, found) for time_s, found in points if math.isfinite(found.change.high - found.change.low)
    ]
    if not points:
        return None
    low, high = _range([found for _, found in points])
    axis = Axis(looks[0].time_us / 1e6, max(looks[-1].time_us / 1e6, looks[0].time_us / 1e6 + 1))

    def place(time_s: float, value: float) -> str:
        share = (min(high, max(low, value)) - low) / (high - low)
        return f"{axis.x(time_s):.1f} {BOTTOM - (BOTTOM - TOP) * share:.1f}"

    line = "M" + "L".join(place(time_s, found.change.value) for time_s, found in points)
    upper = [place(time_s, found.change.high) for time_s, found in points]
    lower = [place(time_s, found.change.low) for time_s, found in reversed(points)]
    limits = [
        f"M{LEFT:g} {place(0, bound).split()[1]}H{RIGHT:g}"
        for bound in (last.margin,)
        if low <= bound <= high
    ]
    zero = f"M{LEFT:g} {place(0, 0.0).split()[1]}H{RIGHT:g}" if low <= 0 <= high else ""
    name = "share=" if is_share(metric) else metric
    labels = [
        Label(f"{LEFT - 3:g}", f"{TOP + 6:g}", True, difference_text(name, high, with_unit=False)),
        Label(f"{LEFT - 3:g}", f"{BOTTOM:g}", True, difference_text(name, low, with_unit=False)),
        Label(f"{LEFT:g}", f"{HEIGHT - 3}", False, _clock(looks[0].time_us)),
        Label(f"{RIGHT:g}", f"{HEIGHT - 3}", True, _clock(looks[-1].time_us)),
    ]
    plot = Plot(
        f"{metric}: change for the worse",
        zero,
        (),
        (Curve(line, "M" + "L".join([*upper, *lower]) + "Z", ""),),
        limits,
        labels,
    )
    return Figure(metric, last.state, plot)


def _range(findings: Sequence[Finding]) -> tuple[float, float]:
    """Return the values of the axis: 0, the margin, the changes, and the bounds of the later half."""
    later = findings[len(findings) // 2 :]
    values = [0.0, *(found.change.value for found in findings)]
    values += [bound for found in later for bound in (found.change.low, found.change.high)]
    values += [margin for found in later if math.isfinite(margin := found.margin)]
    low, high = min(values), max(values)
    edge = 0.05 * (high - low) or 1e-9
    return low - edge, high + edge


def _clock(time_us: int) -> str:
    return clock(datetime.fromtimestamp(time_us / 1e6, UTC)).removesuffix(" UTC")
