"""The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere. It can
be mailed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from monitor.reports import tables
from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import Letters
from monitor.reports.episode_history import Feature, Told
from monitor.reports.plot import Axis, Span, plot
from monitor.reports.plot_panels import Limit, limits_of, split
from monitor.reports.report_text import (
    broke,
    count,
    figure,
    findings_of,
    headline,
    length,
    period,
    place,
    standing,
)
from monitor.reports.result import BacktestResult
from monitor.reports.style import CSS
from monitor.reports.tables import text
from monitor.reports.time_series import Series
from monitor.wording.episode_text import clock

PLOTTED = 40  # features; those that told of something first, then the busiest
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_KEY = (
    ('<i class="k0"></i>', "measured (p50 where there are two)"), ('<i class="k1"></i>', "p90"), ('<i class="kb"></i>', "95 % sure to lie here"),
    ('<i class="ks"></i>', "a single pane that surely (95 %) lay so far off"), ('<i class="kl"></i>', "threshold of a rule"),
    ('<i class="kp"></i>', "page"), ('<i class="kt"></i>', "ticket"),
)  # fmt: skip


def parts(
    trial: BacktestResult, letters: Letters, other: BacktestResult | None, found: Sequence[Difference] | None
) -> Iterator[str]:
    """The page in pieces, from its head to its end."""
    title = headline(trial)
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta'
        f' http-equiv="Content-Security-Policy" content="{_POLICY}">'
    )
    yield (
        '<meta name="viewport"'
        f' content="width=device-width,initial-scale=1"><title>{text(title)}</title><style>{CSS}</style></head><body>\n'
    )
    yield f"<h1>{text(title[:1].upper() + title[1:])}</h1>\n"
    start, end = trial.measured.start, trial.measured.end
    if start is not None and end is not None:
        yield (
            f'<p class="dim">{text(clock(start))} to {text(clock(end))} {end.year},'
            f" {count(trial.measured.events, 'event')}, as softfail would have "
        )
        yield f"measured and told them with {text(trial.name)}. Nothing was sent to anybody.</p>\n"
    if found is not None and other is not None:
        yield from tables.what_if(found, trial.name, other.name)
    yield "<h2>Episodes</h2>\n"
    yield from tables.episodes(sorted(trial.findings.in_order(), key=lambda told: not told.is_page))
    yield "<h2>Rules</h2>\n"
    yield from tables.rules(trial)
    if start is not None and end is not None:
        yield from _features(trial, other, start, end)
    yield "<h2>Could not be read</h2>\n"
    yield from tables.unread(letters)
    yield "<h2>Not measured</h2>\n"
    yield from tables.gaps(trial)
    yield "</body></html>\n"


def _features(
    trial: BacktestResult, other: BacktestResult | None, start: datetime, end: datetime
) -> Iterator[str]:
    told: dict[Feature, list[Told]] = {}
    for one in trial.findings.episodes.values():
        told.setdefault(one.feature, []).append(one)
    order = sorted(
        trial.measured.series,
        key=lambda key: (
            -sum(one.is_page for one in told.get(key, ())),
            -len(told.get(key, ())),
            -trial.measured.series[key].events,
            key,
        ),
    )
    yield "<h2>Features</h2>\n"
    strip = [('<i class="kp"></i>', f"below the plot: with {other.name}")] if other is not None else []
    yield (
        '<ul class="key">'
        + "".join(f"<li>{icon}{text(said)}</li>" for icon, said in (*_KEY, *strip))
        + "</ul>\n"
    )
    axis = Axis(start.timestamp(), end.timestamp())
    for key in order[:PLOTTED]:
        theirs = (
            [one for one in other.findings.episodes.values() if one.feature == key]
            if other is not None
            else []
        )
        yield from _feature(trial, key, told.get(key, []), theirs, axis, end)
    if len(order) > PLOTTED:
        yield (
            f'<p class="dim">{len(order) - PLOTTED:,} more features, which told no more and had fewer events,'
            " are not plotted; choose with --match.</p>\n"
        )


def _feature(
    trial: BacktestResult,
    key: Feature,
    told: Sequence[Told],
    theirs: Sequence[Told],
    axis: Axis,
    end: datetime,
) -> Iterator[str]:
    series = trial.measured.series[key]
    pages = sum(one.is_page for one in told)
    facts = [
        count(series.events, "event"),
        *([count(pages, "page")] if pages else []),
        *([count(len(told) - pages, "ticket")] if len(told) > pages else []),
    ]
    spans = [
        span
        for side, some in ((False, told), (True, theirs))
        for one in some
        for span in _spans(one, end, other=side)
    ]
    limits = limits_of(trial.config, *key)
    bins = series.points()
    yield (
        f"<h3>{text(place(key))} <small>{text(', '.join(facts))};"
        f" {text(_resolution(series, trial))}</small></h3>\n<div class=plots>\n"
    )
    evidence = [incident.evidence for one in (*told, *theirs) for incident in one.incidents.values()]
    found = {
        split(metric)[0]
        for one in evidence
        for metric in (one.metric, *(moved.metric for moved in one.findings))
    }
    for panel in trial.measured.panels:
        if not panel.always and panel.name not in found:
            continue
        drawn = plot(
            panel, bins, series.width_us, trial.measured.pane_us, limits.get(panel.name, ()), spans, axis
        )
        if drawn:
            held = "; ".join(_limit(panel.name, one) for one in limits.get(panel.name, ()))
            yield f"<figure><figcaption>{text(panel.title)}<small>{text(held)}</small></figcaption>{drawn}</figure>\n"
    yield "</div>\n"


def _resolution(series: Series, trial: BacktestResult) -> str:
    panes = series.width_us // trial.measured.pane_us
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


def _spans(told: Told, end: datetime, *, other: bool) -> Iterator[Span]:
    """The shade of an episode; of one that was a ticket first, two."""
    incidents = findings_of(told)
    said = broke(incidents[0]) if incidents else told.latest.reason
    what = f"{standing(told)}: {said}, {period(told)}"
    since, until = told.since.timestamp(), (told.until or end).timestamp()
    turned = told.paged.timestamp() if told.paged is not None and told.escalated else since
    if turned > since:
        yield Span(since, turned, False, what, other)
    yield Span(turned, until, told.is_page, what, other)
