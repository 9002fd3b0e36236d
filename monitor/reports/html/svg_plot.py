"""Lay out one small plot: lines with intervals, outlying panes, thresholds, and episodes as shaded areas.

The result is numbers, paths and plain text; `templates/plot.svg.j2` draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from monitor.reports.plot_panels import EVENTS, Limit, Panel
from monitor.reports.report_text import figure
from monitor.reports.time_series import Bin

WIDTH, HEIGHT = 240, 112
LEFT, RIGHT, TOP, BOTTOM = 36.0, 236.0, 8.0, 94.0
LEAST_WIDTH = 1.5  # of a shaded area: an episode of a minute in a week must be visible
STRIP_HEIGHT = 3.0  # of the strip below the plot that shows an episode of the other configuration
DAY_S = 86_400


class EpisodeSpan(NamedTuple):
    """An episode on the time axis: seconds since 1970, whether it paged, its description, and whether it is
    an episode of the other configuration.
    """

    start_s: float
    end_s: float
    is_page: bool
    text: str
    other: bool = False


class Point(NamedTuple):
    """The value of a bin with its interval, and the extremes of single panes beyond the value."""

    time_s: float
    value: float
    low: float | None
    high: float | None
    least: float | None
    most: float | None


class Axis(NamedTuple):
    """The time axis: seconds since 1970 at its left and its right end."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Return the x coordinate of a time; a time outside of the axis is moved to its end."""
        share = (time_s - self.start_s) / max(1.0, self.end_s - self.start_s)
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))


class Curve(NamedTuple):
    """SVG paths of one line, of its interval and of outlying panes; an empty path is not drawn."""

    line: str
    interval: str
    extremes: str


class Shade(NamedTuple):
    """The rectangle of an episode. ``kind``: CSS classes."""

    kind: str
    x: str
    y: str
    width: str
    height: str
    text: str


class Label(NamedTuple):
    """A text beside an axis. ``ends``: x is where it ends, not where it begins."""

    x: str
    y: str
    ends: bool
    text: str


class Plot(NamedTuple):
    """The parts of a plot. ``days`` and ``limits`` are SVG paths; ``title`` is read by screen readers."""

    title: str
    days: str
    shades: Sequence[Shade]
    curves: Sequence[Curve]
    limits: Sequence[str]
    labels: Sequence[Label]
    view_box: str = f"0 0 {WIDTH} {HEIGHT}"


def plot(
    panel: Panel,
    bins: Sequence[tuple[int, Bin]],
    width_us: int,
    pane_us: int,
    limits: Sequence[Limit],
    spans: Sequence[EpisodeSpan],
    axis: Axis,
) -> Plot | None:
    """Lay out the plot of one panel.

    Args:
        panel: what to plot.
        bins: starts in microseconds since 1970, and the counts of each bin.
        width_us: length of a bin, microseconds.
        pane_us: length of a pane, microseconds.
        limits: thresholds of rules on this panel.
        spans: episodes of this feature.
        axis: the time axis, the same for all plots of a report.

    Returns:
        None if nothing was counted for the panel.
    """
    lines = [_points(panel, reading, bins, width_us, pane_us) for reading in panel.readings or ("",)]
    if not any(lines):
        return None
    low, high = _range(panel, [point for line in lines for point in line], limits)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, (value - low) / (high - low)))

    bounds = [limit.above if limit.above is not None else limit.below for limit in limits]
    metric = panel.name if not panel.readings else f"{panel.name}.{panel.readings[0]}"
    return Plot(
        title=f"{panel.title}, {figure(metric, low)} to {figure(metric, high)}",
        days=_midnights(axis),
        shades=[_shade(span, axis) for span in spans],
        curves=[_curve(points, axis, y, 1.5 * width_us / 1e6) for points in lines],
        limits=[
            f"M{LEFT:g} {y(bound):.1f}H{RIGHT:g}"
            for bound in bounds
            if bound is not None and low <= bound <= high
        ],
        labels=[
            Label(f"{LEFT - 3:g}", f"{TOP + 6:g}", True, _axis_figure(metric, high)),
            Label(f"{LEFT - 3:g}", f"{BOTTOM:g}", True, _axis_figure(metric, low)),
            *_dates(axis),
        ],
    )


def _points(
    panel: Panel, reading: str, bins: Sequence[tuple[int, Bin]], width_us: int, pane_us: int
) -> list[Point]:
    points = []
    for start_us, counted in bins:
        time_s = (start_us + width_us / 2) / 1e6
        if panel.name == EVENTS:
            per_minute = 60e6 / pane_us  # a pane's events as a rate; a bin's panes without events count too
            value = counted.events * 60e6 / width_us
            least, most = counted.low[EVENTS] * per_minute, counted.high[EVENTS] * per_minute
            points.append(Point(time_s, value, None, None, *_beyond(value, least, most, counted.panes)))
            continue
        estimate = counted.read(panel.name, reading)
        if estimate.value is not None:
            metric = f"{panel.name}.{reading}" if reading else panel.name
            extremes = _beyond(
                estimate.value, counted.low.get(metric), counted.high.get(metric), counted.panes
            )
            points.append(Point(time_s, estimate.value, estimate.low, estimate.high, *extremes))
    return points


def _beyond(
    value: float, low: float | None, high: float | None, panes: int
) -> tuple[float | None, float | None]:
    """Return the extremes that lie beyond the merged value."""
    return (low if panes > 1 and low is not None and low < value else None), (
        high if panes > 1 and high is not None and high > value else None
    )


def _range(panel: Panel, points: Sequence[Point], limits: Sequence[Limit]) -> tuple[float, float]:
    values = [
        value for point in points for value in (point.value, point.least, point.most) if value is not None
    ]
    widths = sorted(
        point.high - point.low for point in points if point.low is not None and point.high is not None
    )
    if widths:
        # An interval of few events would flatten all others, so intervals wider than the median are cut.
        half = widths[len(widths) // 2]
        values += [
            bound
            for point in points
            for bound in (point.low, point.high)
            if bound is not None and abs(bound - point.value) <= half
        ]
    low, high = min(values), max(values)
    if not panel.readings and panel.name != EVENTS:  # a share: only as much of 0 to 1 as is needed
        near = [
            bound
            for limit in limits
            for bound in (limit.above, limit.below)
            if bound is not None and abs(bound - low) <= 3 * max(0.02, high - low)
        ]
        low, high = min([low, *near]), max([high, *near])
        margin = max(0.01, 0.05 * (high - low))
        return (0.0 if low - margin < 0.02 else low - margin), (
            1.0 if high + margin > 0.98 else high + margin
        )
    near = [limit.above for limit in limits if limit.above is not None and limit.above <= 2 * max(high, 0.0)]
    return min(0.0, low), max([high, *near, 0.0]) * 1.05 or 1.0


def _curve(points: Sequence[Point], axis: Axis, y: Callable[[float], float], gap_s: float) -> Curve:
    """Draw a line through the points, interrupted where two are further apart than ``gap_s``."""
    line: list[str] = []
    upper: list[str] = []
    lower: list[str] = []
    extremes: list[str] = []
    intervals: list[str] = []
    previous_s: float | None = None
    for point in points:
        x = f"{axis.x(point.time_s):.1f}"
        apart = previous_s is None or point.time_s - previous_s > gap_s
        if apart and upper:
            intervals.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
            upper, lower = [], []
        line.append(f"{'M' if apart else 'L'}{x} {y(point.value):.1f}" + ("h.01" if apart else ""))
        if point.low is not None and point.high is not None:
            upper.append(f"{x} {y(point.high):.1f}")
            lower.append(f"{x} {y(point.low):.1f}")
        extremes += [
            f"M{x} {y(point.value):.1f}V{y(extreme):.1f}"
            for extreme in (point.least, point.most)
            if extreme is not None
        ]
        previous_s = point.time_s
    if upper:
        intervals.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
    return Curve("".join(line), "".join(intervals), "".join(extremes))


def _shade(span: EpisodeSpan, axis: Axis) -> Shade:
    left, right = axis.x(span.start_s), axis.x(span.end_s)
    width = max(LEAST_WIDTH, right - left)
    left = min(left, RIGHT - width)
    top, height = (BOTTOM + 1, STRIP_HEIGHT) if span.other else (TOP, BOTTOM - TOP)
    kind = ("page" if span.is_page else "ticket") + (" other" if span.other else "")
    return Shade(kind, f"{left:.1f}", f"{top:g}", f"{width:.1f}", f"{height:g}", span.text)


def _midnights(axis: Axis) -> str:
    """Draw a thin line at each midnight (UTC), if there are few."""
    first, last = int(axis.start_s // DAY_S) + 1, int(axis.end_s // DAY_S)
    if not 0 < last - first + 1 <= 31:
        return ""
    return "".join(f"M{axis.x(day * DAY_S):.1f} {TOP:g}V{BOTTOM:g}" for day in range(first, last + 1))


def _dates(axis: Axis) -> list[Label]:
    begin, end = (datetime.fromtimestamp(time_s, UTC) for time_s in axis)
    is_short = axis.end_s - axis.start_s < 2 * DAY_S
    begin_text, end_text = (
        f"{time.day} {time:%b %H:%M}" if is_short else f"{time.day} {time:%b}" for time in (begin, end)
    )
    return [
        Label(f"{LEFT:g}", f"{HEIGHT - 3}", False, begin_text),
        Label(f"{RIGHT:g}", f"{HEIGHT - 3}", True, end_text),
    ]


def _axis_figure(metric: str, value: float) -> str:
    return figure(metric, float(f"{value:.3g}")).replace(" ", "\u2009")
