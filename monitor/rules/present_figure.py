"""Figures of an incident as of one edge: what decided, the worst since, and what is true now.

A rule decides by a window that may contain the time before the fault, and the evidence of a baseline is that
of the alarm. So the present figure is read anew from the newest panes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from monitor.rules.drift_evidence import shares
from monitor.rules.evidence import Number, rounded
from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.judge_correction import JudgeCorrection
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import wilson_interval
from monitor.windows.figure_comparison import FACTOR, LEAST_POINTS, differ, failing_share, is_share
from monitor.windows.metric_definitions import CATEGORIES, TEXT_CATEGORIES
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane, merge_panes
from schemas.times import rfc3339

MINUTE_US = 60_000_000
LENGTHS_US = tuple(minutes * MINUTE_US for minutes in (1, 2, 5, 15, 60))
ENOUGH, LEAST = 20, 5  # effective events of a window that is read, and of the longest one
MANY_POINTS = 0.25  # of a share: a change that needs no factor
Z = 3.0  # standard errors of a change
_SURELY = 1.25  # times the figure of before, by which the interval must lie beyond it
_ABSENT = {category.name: category.absent for category in CATEGORIES + TEXT_CATEGORIES}

Panes = Callable[[int, int], Iterable[Pane]]
"""The panes of a series in [start, end), microseconds since 1970."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric at one edge. ``n``: effective events; ``time``: the edge, RFC 3339."""

    metric: str
    value: Number
    n: Number
    window_s: Number
    time: str


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its interval at ``Z`` standard errors; None where there is no interval."""

    figure: Figure
    low: float | None
    high: float | None


def present_figure(
    metric: str,
    panes_of: Panes,
    edge_us: int,
    since_us: int,
    known: Units = NO_UNITS,
    correction: JudgeCorrection | None = None,
) -> Present | None:
    """Read a metric over the shortest window that has 20 events and begins with the fault at the earliest.

    Args:
        metric: of a rate, a number (``NAME.p90``) or a category (``NAME=LABEL``).
        panes_of: of the series.
        edge_us: now, a pane edge.
        since_us: where the fault began.
        known: the heaviest weights of a rate.
        correction: of the judge that counts it.

    Returns:
        None for fewer than 5 events, and for what has no value, like texts.
    """
    estimate, start_us = NO_ESTIMATE, edge_us
    for length_us in LENGTHS_US:
        start_us = max(edge_us - length_us, since_us)
        estimate = _estimate(metric, list(panes_of(start_us, edge_us)), start_us, known, correction)
        if estimate.n >= ENOUGH or start_us == since_us:
            break
    return _present(metric, estimate, start_us, edge_us)


def figure_between(
    metric: str,
    panes_of: Panes,
    start_us: int,
    end_us: int,
    known: Units = NO_UNITS,
    correction: JudgeCorrection | None = None,
) -> Present | None:
    """Read a metric over [start, end), two pane edges; None as ``present_figure`` says."""
    estimate = _estimate(metric, list(panes_of(start_us, end_us)), start_us, known, correction)
    return _present(metric, estimate, start_us, end_us)


def _present(metric: str, estimate: Estimate, start_us: int, end_us: int) -> Present | None:
    value = rounded(estimate.value)
    if value is None or estimate.n < LEAST:
        return None
    figure = Figure(
        metric=metric,
        value=value,
        n=float(f"{estimate.n:.6g}"),
        window_s=(end_us - start_us) / 1e6,
        time=rfc3339(end_us),
    )
    return Present(figure=figure, low=estimate.low, high=estimate.high)


def _estimate(
    metric: str, panes: list[Pane], start_us: int, known: Units, correction: JudgeCorrection | None
) -> Estimate:
    name, is_category, label = metric.partition("=")
    if not is_category:
        return (
            MetricReader(metric, correction).add(pane.unpacked() for pane in panes).estimate(Z, known=known)
        )
    if name not in _ABSENT or not panes:
        return NO_ESTIMATE
    counts, n = shares(name, _ABSENT[name], merge_panes(panes, start_us))
    total = sum(counts.values())
    if not total:
        return NO_ESTIMATE
    share = counts.get(label, 0.0) / total
    return Estimate(share, n, *wilson_interval(share, n, Z))


def has_changed(before: Figure, now: Present) -> bool:
    """Return whether a figure changed by a factor of two, or by 25 points of a share, beyond chance."""
    metric, figure = before.metric, now.figure
    if figure.metric != metric or now.low is None or now.high is None:
        return False
    then, value, low, high = before.value, figure.value, now.low, now.high
    if is_share(metric):
        then, value = failing_share(metric, then), failing_share(metric, value)
        is_enough = abs(value - then) >= MANY_POINTS or (
            abs(value - then) >= LEAST_POINTS and max(value, then) >= FACTOR * min(value, then)
        )
        return is_enough and differ((then, before.n), (value, figure.n))
    if min(then, value) < 0:
        return False
    rose = value >= FACTOR * then and low > _SURELY * then
    return rose or (value <= then / FACTOR and high < then / _SURELY)
