"""One small plot as SVG: lines with their bands, single panes that stood out, thresholds, episodes as shade.
No script, no resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import NamedTuple

from monitor.reports.plot_panels import EVENTS, Limit, Panel
from monitor.reports.report_text import figure
from monitor.reports.time_series import Bin
from monitor.stats.rate import Estimate

WIDTH, HEIGHT = 240, 112
LEFT, RIGHT, TOP, BOTTOM = 36.0, 236.0, 8.0, 94.0
LEAST_WIDTH = 1.5  # of a shade: an episode of a minute in a week must be seen
DAY_S = 86_400


class Span(NamedTuple):
    """An episode on the axis of time: seconds since 1970, a page or a ticket, what it says, and whether it is
    the other configuration's.
    """

    start_s: float
    end_s: float
    is_page: bool
    text: str
    other: bool = False


class Point(NamedTuple):
    """A value with its band in the middle of a bin, and the extremes of single panes where they stood out."""

    at_s: float
    value: float
    low: float | None
    high: float | None
    least: float | None
    most: float | None


class Axis(NamedTuple):
    """Seconds since 1970 to the left and the right end."""

    start_s: float
    end_s: float

    def x(self, at_s: float) -> float:
        """Where a time lies on the picture, inside it."""
        share = (at_s - self.start_s) / max(1.0, self.end_s - self.start_s)
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))


def plot(
    panel: Panel,
    bins: Sequence[tuple[int, Bin]],
    width_us: int,
    pane_us: int,
    limits: Sequence[Limit],
    spans: Sequence[Span],
    axis: Axis,
) -> str:
    """The picture of one panel; empty if nothing was counted of it."""
    lines = [_points(panel, reading, bins, width_us, pane_us) for reading in panel.readings or ("",)]
    if not any(lines):
        return ""
    low, high = _range(panel, [point for line in lines for point in line], limits)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, (value - low) / (high - low)))

    inside = [*_days(axis), *(_shade(span, axis) for span in spans)]
    for nth, points in enumerate(lines):
        inside += _line(points, axis, y, 1.5 * width_us / 1e6, nth)
    for limit in limits:
        bound = limit.above if limit.above is not None else limit.below
        if bound is not None and low <= bound <= high:
            inside.append(f'<path class="limit" d="M{LEFT:g} {y(bound):.1f}H{RIGHT:g}"/>')
    name = panel.name if not panel.readings else f"{panel.name}.{panel.readings[0]}"
    inside += [
        f'<text x="{LEFT - 3:g}" y="{TOP + 6:g}" class="end">{_label(name, high)}</text>',
        f'<text x="{LEFT - 3:g}" y="{BOTTOM:g}" class="end">{_label(name, low)}</text>',
        *_dates(axis),
    ]
    label = escape(f"{panel.title}, {figure(name, low)} to {figure(name, high)}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(inside)}</svg>'


def _points(
    panel: Panel, reading: str, bins: Sequence[tuple[int, Bin]], width_us: int, pane_us: int
) -> list[Point]:
    points = []
    for start_us, one in bins:
        at_s = (start_us + width_us / 2) / 1e6
        if panel.name == EVENTS:
            a_minute = 60e6 / pane_us  # a pane's events as a rate; a bin's panes without events count too
            value = one.events * 60e6 / width_us
            extremes = (one.low[EVENTS] * a_minute, one.high[EVENTS] * a_minute)
            points.append(
                Point(at_s, value, None, None, *_beyond(value, extremes[0], extremes[1], one.panes))
            )
            continue
        found: Estimate = one.read(panel.name, reading)
        if found.value is not None:
            metric = f"{panel.name}.{reading}" if reading else panel.name
            points.append(
                Point(
                    at_s,
                    found.value,
                    found.low,
                    found.high,
                    *_beyond(found.value, one.low.get(metric), one.high.get(metric), one.panes),
                )
            )
    return points


def _beyond(
    value: float, low: float | None, high: float | None, panes: int
) -> tuple[float | None, float | None]:
    """The extremes that lie beyond the value of all panes together."""
    return (low if panes > 1 and low is not None and low < value else None), (
        high if panes > 1 and high is not None and high > value else None
    )


def _range(panel: Panel, points: Sequence[Point], limits: Sequence[Limit]) -> tuple[float, float]:
    values = [value for one in points for value in (one.value, one.least, one.most) if value is not None]
    if banded := sorted(one.high - one.low for one in points if one.low is not None and one.high is not None):
        # what few events leave open would flatten all the rest: a wider band than half of them runs out of
        # the plot
        half = banded[len(banded) // 2]
        values += [
            bound
            for one in points
            for bound in (one.low, one.high)
            if bound is not None and abs(bound - one.value) <= half
        ]
    low, high = min(values), max(values)
    if not panel.readings and panel.name != EVENTS:  # a share: only as much of 0 to 1 as is needed
        near = [
            bound
            for one in limits
            for bound in (one.above, one.below)
            if bound is not None and abs(bound - low) <= 3 * max(0.02, high - low)
        ]
        low, high = min([low, *near]), max([high, *near])
        room = max(0.01, 0.05 * (high - low))
        return (0.0 if low - room < 0.02 else low - room), (1.0 if high + room > 0.98 else high + room)
    near = [one.above for one in limits if one.above is not None and one.above <= 2 * max(high, 0.0)]
    return min(0.0, low), max([high, *near, 0.0]) * 1.05 or 1.0


def _line(points: Sequence[Point], axis: Axis, y: object, gap_s: float, nth: int) -> list[str]:
    assert callable(y)
    line: list[str] = []
    upper: list[str] = []
    lower: list[str] = []
    stood: list[str] = []
    bands: list[str] = []
    before: float | None = None
    for one in points:
        x = f"{axis.x(one.at_s):.1f}"
        apart = before is None or one.at_s - before > gap_s
        if apart and upper:
            bands.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
            upper, lower = [], []
        line.append(f"{'M' if apart else 'L'}{x} {y(one.value):.1f}" + ("h.01" if apart else ""))
        if one.low is not None and one.high is not None:
            upper.append(f"{x} {y(one.high):.1f}")
            lower.append(f"{x} {y(one.low):.1f}")
        stood += [f"M{x} {y(one.value):.1f}V{y(end):.1f}" for end in (one.least, one.most) if end is not None]
        before = one.at_s
    if upper:
        bands.append("M" + "L".join([*upper, *reversed(lower)]) + "Z")
    drawn = [f'<path class="band" d="{"".join(bands)}"/>'] if bands else []
    drawn += [f'<path class="stood s{nth % 3}" d="{"".join(stood)}"/>'] if stood else []
    return [*drawn, f'<path class="line s{nth % 3}" d="{"".join(line)}"/>'] if line else drawn


def _shade(span: Span, axis: Axis) -> str:
    left, right = axis.x(span.start_s), axis.x(span.end_s)
    width = max(LEAST_WIDTH, right - left)
    left = min(left, RIGHT - width)
    top, height = (BOTTOM + 1, 3.0) if span.other else (TOP, BOTTOM - TOP)
    kind = ("page" if span.is_page else "ticket") + (" other" if span.other else "")
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:g}" width="{width:.1f}"'
        f' height="{height:g}"><title>{escape(span.text)}</title></rect>'
    )


def _days(axis: Axis) -> list[str]:
    """A thin line at each midnight, if there are few."""
    first, last = int(axis.start_s // DAY_S) + 1, int(axis.end_s // DAY_S)
    if not 0 < last - first + 1 <= 31:
        return []
    path = "".join(f"M{axis.x(day * DAY_S):.1f} {TOP:g}V{BOTTOM:g}" for day in range(first, last + 1))
    return [f'<path class="day" d="{path}"/>']


def _dates(axis: Axis) -> list[str]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    begin, end = (epoch + timedelta(seconds=at) for at in axis)
    short = axis.end_s - axis.start_s < 2 * DAY_S
    shown = [f"{one.day} {one:%b %H:%M}" if short else f"{one.day} {one:%b}" for one in (begin, end)]
    return [
        f'<text x="{LEFT:g}" y="{HEIGHT - 3}">{shown[0]}</text>',
        f'<text x="{RIGHT:g}" y="{HEIGHT - 3}" class="end">{shown[1]}</text>',
    ]


def _label(metric: str, value: float) -> str:
    return escape(figure(metric, float(f"{value:.3g}")).replace(" ", "\u2009"))
