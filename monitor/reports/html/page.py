"""Render the report of a replay as one HTML file that loads no script, font or picture, so it can be mailed.

The view classes hold plain text. jinja2 escapes every value of a template, and ``_finalize`` sanitizes it
before; no other code does either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.reports.episode_history import EpisodeHistory, Feature
from monitor.reports.html.svg_plot import Axis, EpisodeSpan, Plot, plot
from monitor.reports.html.tables import CountRow, episode_row, rule_row, table, unread_row, what_if
from monitor.reports.plot_panels import Limit, limits_of, split
from monitor.reports.report_text import (
    broke,
    count,
    figure,
    headline,
    incidents_of,
    kind_of_alert,
    length,
    period,
    place,
)
from monitor.reports.result import BacktestResult
from monitor.reports.time_series import TimeSeries
from monitor.wording.incident_text import clock
from softfail.sanitize import sanitize

PLOTTED = 40  # features: those with pages and tickets first, then those with most events

_TEMPLATES = Path(__file__).parent / "templates"


class PlotFigure(NamedTuple):
    """A plot under its title. ``limits``: the thresholds in words."""

    title: str
    limits: str
    plot: Plot


class FeatureSection(NamedTuple):
    """The plots of one feature."""

    name: str
    facts: str
    figures: Sequence[PlotFigure]


def render(
    result: BacktestResult,
    dead_letters: DeadLetterCounts,
    other: BacktestResult | None,
    differences: Sequence[Difference] | None,
) -> Iterator[str]:
    """Render the report in pieces, so that a long report is never in memory as a whole.

    Args:
        result: the run to report on.
        dead_letters: records that could not be read.
        other: the run with the other configuration; None if there is none.
        differences: of the two runs; None if there is no other.
    """
    title, start, end = headline(result), result.measurements.start, result.measurements.end
    compared = None
    if differences is not None and other is not None:
        compared = what_if(differences, result.name, other.name)
    measured: dict[str, Any] = {"period": ""}
    if start is not None and end is not None:
        order = _ordered(result)
        measured = {
            "period": f"{clock(start)} to {clock(end)} {end.year}",
            "events": count(result.measurements.events, "event"),
            "features": _features(result, other, order[:PLOTTED], start, end),
            "not_plotted": max(0, len(order) - PLOTTED),
        }
    episodes = sorted(result.alerts.in_order(), key=lambda episode: not episode.is_page)
    yield from (
        environment()
        .get_template("report.html.j2")
        .generate(
            css=style_sheet(),
            title=title[:1].upper() + title[1:],
            config=result.name,
            what_if=compared,
            episodes=table(episode_row, episodes),
            rules=table(lambda rule: rule_row(result, rule), result.rules()),
            unread=table(lambda kind: unread_row(dead_letters, *kind), dead_letters.counts.most_common()),
            gaps=table(lambda gap: CountRow(gap.events, gap.reason, gap.where()), result.data_gaps()),
            **measured,
        )
    )


def style_sheet() -> Markup:
    """Return the style of reports."""
    return Markup((_TEMPLATES / "report.css").read_text("utf-8"))


@cache
def environment() -> Environment:
    """Return the templates of reports: they escape and sanitize what they show."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: object) -> object:
    """Sanitize what a template shows; what jinja2 has rendered itself (a macro, say) is sanitized already."""
    return sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _ordered(result: BacktestResult) -> list[Feature]:
    """Return the features in the order of their pages, tickets and events."""
    episodes = _by_feature(result)

    def weight(feature: Feature) -> tuple[int, int, int, Feature]:
        of_feature = episodes.get(feature, [])
        pages = sum(episode.is_page for episode in of_feature)
        return -pages, -len(of_feature), -result.measurements.series[feature].events, feature

    return sorted(result.measurements.series, key=weight)


def _by_feature(result: BacktestResult | None) -> dict[Feature, list[EpisodeHistory]]:
    episodes: dict[Feature, list[EpisodeHistory]] = {}
    for episode in result.alerts.episodes.values() if result is not None else ():
        episodes.setdefault(episode.feature, []).append(episode)
    return episodes


def _features(
    result: BacktestResult,
    other: BacktestResult | None,
    order: Iterable[Feature],
    start: datetime,
    end: datetime,
) -> Iterator[FeatureSection]:
    axis = Axis(start.timestamp(), end.timestamp())
    here, there = _by_feature(result), _by_feature(other)
    for feature in order:
        series, episodes = result.measurements.series[feature], here.get(feature, [])
        pages = sum(episode.is_page for episode in episodes)
        facts = [
            count(series.events, "event"),
            *([count(pages, "page")] if pages else []),
            *([count(len(episodes) - pages, "ticket")] if len(episodes) > pages else []),
        ]
        figures = list(_figures(result, feature, episodes, there.get(feature, []), axis))
        # the series is widened when its points are read, so its resolution is known only now
        yield FeatureSection(place(feature), f"{', '.join(facts)}; {_resolution(series, result)}", figures)


def _figures(
    result: BacktestResult,
    feature: Feature,
    here: Sequence[EpisodeHistory],
    there: Sequence[EpisodeHistory],
    axis: Axis,
) -> Iterator[PlotFigure]:
    series, limits = result.measurements.series[feature], limits_of(result.config, *feature)
    spans = [span for episode in here for span in _spans(episode, axis.end_s)]
    spans += [span for episode in there for span in _spans(episode, axis.end_s, other=True)]
    evidence = [incident.evidence for episode in (*here, *there) for incident in episode.incidents.values()]
    breached = {
        split(metric)[0]
        for reading in evidence
        for metric in (reading.metric, *(finding.metric for finding in reading.findings))
    }
    bins = series.points()
    for panel in result.measurements.panels:
        if not panel.always and panel.name not in breached:
            continue
        on_panel = limits.get(panel.name, ())
        drawn = plot(panel, bins, series.width_us, result.measurements.pane_us, on_panel, spans, axis)
        if drawn is not None:
            yield PlotFigure(panel.title, "; ".join(_limit(panel.name, limit) for limit in on_panel), drawn)


def _resolution(series: TimeSeries, result: BacktestResult) -> str:
    panes = series.width_us // result.measurements.pane_us
    width = length(timedelta(microseconds=series.width_us))
    return f"a point is {width}" + (f", {panes} panes merged" if panes > 1 else "")


def _limit(name: str, limit: Limit) -> str:
    metric = f"{name}.{limit.reading}" if limit.reading else name
    bound = (
        f"above {figure(metric, limit.above)}"
        if limit.above is not None
        else f"below {figure(metric, limit.below)}"
    )
    return f"{limit.rule}: {f'{limit.reading} ' if limit.reading else ''}{bound}"


def _spans(episode: EpisodeHistory, end_s: float, *, other: bool = False) -> Iterator[EpisodeSpan]:
    """Return the span of an episode; two for a ticket that became a page."""
    incidents = incidents_of(episode)
    reason = broke(incidents[0]) if incidents else episode.latest.reason
    text = f"{kind_of_alert(episode)}: {reason}, {period(episode)}"
    since_s, until_s = episode.since.timestamp(), episode.until.timestamp() if episode.until else end_s
    paged_s = episode.paged.timestamp() if episode.paged is not None and episode.escalated else since_s
    if paged_s > since_s:
        yield EpisodeSpan(since_s, paged_s, False, text, other)
    yield EpisodeSpan(paged_s, until_s, episode.is_page, text, other)
