"""The rows of the report's tables, as plain text: `templates/tables.html.j2` shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.reports.episode_history import EpisodeHistory, RuleCount
from monitor.reports.report_text import broke, certainty, incidents_of, kind_of_alert, length, moment, place
from monitor.reports.result import BacktestResult
from monitor.reports.text_report import KINDS, closest, feature_names, tally
from monitor.wording.incident_text import clock
from softfail.sanitize import sanitize

ROWS = 200  # of a table; further rows are only counted below it, `--format ndjson` lists all
FINDINGS = 4  # incidents of an episode that are listed
CHANGE_CHARS = 300

Item = TypeVar("Item")
Row = TypeVar("Row")


class Table(NamedTuple, Generic[Row]):
    """The first rows, and how many more there are."""

    rows: Sequence[Row]
    more: int


class Mark(NamedTuple):
    """Page or ticket, with severity. ``since``: when a ticket became a page, else empty."""

    text: str
    since: str
    is_page: bool


class EpisodeRow(NamedTuple):
    """The finding, its period and certainty. ``others``: rule and text of further incidents."""

    mark: Mark
    feature: str
    broke: str
    rule: str
    others: Sequence[tuple[str, str]]
    more: int
    certainty: str
    since: str
    until: str
    lasted: str


class RuleRow(NamedTuple):
    """Count of firings of a rule, and the nearest miss: feature and reading."""

    rule: str
    fired: int
    pages: int
    tickets: int
    firing: str
    where: str
    brief: int
    closest: tuple[str, str] | None


class DifferenceRow(NamedTuple):
    """An episode that only one configuration has, or that differs between the two."""

    which: str
    feature: str
    mark: Mark
    broke: str
    since: str
    until: str
    changes: Sequence[tuple[str, str, str]]


class CountRow(NamedTuple):
    """Number of records or events, the reason, and the place."""

    number: int
    reason: str
    where: str


class WhatIf(NamedTuple):
    """Differences that the other configuration would make."""

    config: str
    tally: str
    table: Table[DifferenceRow]


def table(make: Callable[[Item], Row], items: Sequence[Item]) -> Table[Row]:
    """Make the rows of the first ``ROWS`` items."""
    return Table([make(item) for item in islice(items, ROWS)], max(0, len(items) - ROWS))


def mark_of(episode: EpisodeHistory) -> Mark:
    """Describe an episode as page or ticket."""
    text, _, since = kind_of_alert(episode).partition(" from ")
    return Mark(text, since, episode.is_page)


def episode_row(episode: EpisodeHistory) -> EpisodeRow:
    """Describe an episode; the most important incident comes first."""
    incidents = incidents_of(episode)
    return EpisodeRow(
        mark=mark_of(episode),
        feature=place(episode.feature),
        broke=broke(incidents[0]) if incidents else episode.latest.reason,
        rule=incidents[0].rule if incidents else "",
        others=[(incident.rule, broke(incident)) for incident in incidents[1:FINDINGS]],
        more=max(0, len(incidents) - FINDINGS),
        certainty=certainty(incidents[0].evidence) if incidents else "",
        since=clock(episode.since),
        until=moment(episode.until),
        lasted=length(episode.until - episode.since) if episode.until else "-",
    )


def rule_row(result: BacktestResult, rule: RuleCount) -> RuleRow:
    """Describe a rule."""
    return RuleRow(
        rule=rule.rule,
        fired=rule.fired,
        pages=rule.pages,
        tickets=rule.tickets,
        firing=length(rule.firing) if rule.fired else "-",
        where=feature_names(rule.features) or "nowhere",
        brief=rule.brief,
        closest=closest(result, rule),
    )


def what_if(differences: Sequence[Difference], here: str, there: str) -> WhatIf:
    """Compare two configurations, named ``here`` and ``there``; equal episodes have no row."""
    rows = [
        _difference_row(difference, episode, here, there)
        for difference in differences
        if difference.kind != "same"
        for episode in (difference.here or difference.there)[: 1 if difference.kind == "changed" else None]
    ]
    return WhatIf(there, tally(differences, here, there), table(lambda row: row, rows))


def _difference_row(difference: Difference, episode: EpisodeHistory, here: str, there: str) -> DifferenceRow:
    incidents = incidents_of(episode)
    return DifferenceRow(
        which=KINDS[difference.kind].format(here=here, there=there),
        feature=place(difference.feature),
        mark=mark_of(episode),
        broke=broke(incidents[0]) if incidents else "",
        since=clock(episode.since),
        until=moment(episode.until),
        changes=[
            (name, sanitize(before, CHANGE_CHARS), sanitize(after, CHANGE_CHARS))
            for name, before, after in difference.changes()
        ],
    )


def unread_row(dead_letters: DeadLetterCounts, reason: str, records: int) -> CountRow:
    """Describe the records that could not be read for one reason."""
    first = dead_letters.first[reason]
    return CountRow(records, reason, f"{first.topic}:{first.offset}")
