"""Write the report as text: episodes, rules, data gaps, and the comparison of two configurations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import DeadLetterCounts
from monitor.reports.episode_history import EpisodeHistory, Feature, RuleCount
from monitor.reports.report_text import (
    broke,
    certainty,
    count,
    headline,
    incidents_of,
    kind_of_alert,
    length,
    near_miss_text,
    period,
    place,
)
from monitor.reports.result import BacktestResult
from monitor.wording.incident_text import clock

MOST = 10  # gaps and kinds of dead letters that are listed
KINDS = {
    "only_here": "only with {here}",
    "only_there": "only with {there}",
    "changed": "with both, but not alike",
    "same": "the same with both",
}


def lines(
    result: BacktestResult,
    dead_letters: DeadLetterCounts,
    differences: Sequence[Difference] | None,
    other: str,
) -> Iterator[str]:
    """Write the whole report.

    Args:
        result: the backtest to report on.
        dead_letters: records that could not be read.
        differences: against the other configuration; None if there is none.
        other: the name of the other configuration.
    """
    yield headline(result)
    if result.measurements.start and result.measurements.end:
        yield (
            f"{clock(result.measurements.start)} to {clock(result.measurements.end)},"
            f" {count(result.measurements.events, 'event')}, configuration: {result.name}"
        )
    if differences is not None:
        yield from difference_lines(differences, result.name, other)
    yield from _episodes(result.alerts.in_order())
    yield from _rules(result)
    yield from _dead_letters(dead_letters)
    yield from _gaps(result)


def difference_lines(differences: Sequence[Difference], here: str, there: str) -> Iterator[str]:
    """Write what the other configuration would change."""
    yield ""
    yield f"WHAT IF {there} (against {here}): {tally(differences, here, there)}"
    for difference in differences:
        if difference.kind == "same":
            continue
        for episode in (*difference.here, *difference.there)[: None if difference.kind != "changed" else 1]:
            which = KINDS[difference.kind].format(here=here, there=there)
            yield f"  {which}: {kind_of_alert(episode)} {place(difference.feature)}, {period(episode)}"
            yield from (f"      {broke(incident)}" for incident in incidents_of(episode)[:1])
        yield from (f"      {name}: {before} → {after}" for name, before, after in difference.changes())


def tally(differences: Sequence[Difference], here: str, there: str) -> str:
    """Count the differences of each kind, in words.

    >>> tally([], "a.yaml", "b.yaml")
    'no episodes with either'
    """
    if not differences:
        return "no episodes with either"
    numbers = {kind: sum(difference.kind == kind for difference in differences) for kind in KINDS}
    sides = [
        [episode.is_page for difference in differences for episode in side(difference)]
        for side in (_here, _there)
    ]
    pages, tickets = [[sum(side) for side in sides], [len(side) - sum(side) for side in sides]]
    return (
        f"pages {pages[0]} → {pages[1]}, tickets {tickets[0]} → {tickets[1]}; {numbers['only_here']} only"
        f" with {here}, {numbers['only_there']} only with {there}, {numbers['changed']} with both but not"
        f" alike, {numbers['same']} the same"
    )


def _here(difference: Difference) -> Sequence[EpisodeHistory]:
    return difference.here


def _there(difference: Difference) -> Sequence[EpisodeHistory]:
    return difference.there


def feature_names(features: Iterable[Feature], most: int = 3) -> str:
    """Name the first ``most`` features and count the others."""
    names = [place(feature) for feature in features]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _episodes(episodes: Sequence[EpisodeHistory]) -> Iterator[str]:
    yield ""
    yield f"EPISODES ({len(episodes)})"
    for episode in episodes:
        yield f"  {kind_of_alert(episode):18} {place(episode.feature)}  {period(episode)}" + (
            f" ({length(episode.until - episode.since)})" if episode.until else ""
        )
        incidents = incidents_of(episode)
        for incident in incidents[:5]:
            yield f"      {incident.rule}: {broke(incident)}; {certainty(incident.evidence)}"
        if len(incidents) > 5:
            yield f"      and {count(len(incidents) - 5, 'more finding')}"


def _rules(result: BacktestResult) -> Iterator[str]:
    yield ""
    yield "RULES" + " " * 19 + f"{'fired':>6} {'pages':>6} {'tickets':>8} {'firing for':>12}   where"
    for rule in result.rules():
        brief = f"; breached {count(rule.brief, 'time')} more and did not last" if rule.brief else ""
        yield (
            f"  {rule.rule:22} {rule.fired:>6} {rule.pages:>6} {rule.tickets:>8}"
            f" {length(rule.firing) if rule.fired else '-':>12}   "
            + ((feature_names(rule.features) or "nowhere") + brief)
        )
        if reading := closest(result, rule):
            yield f"      closest elsewhere: {', '.join(reading)}"


def closest(result: BacktestResult, rule: RuleCount) -> tuple[str, str] | None:
    """Return the feature on which a rule came closest without firing, and its reading; None without one."""
    closest_reading = result.near_misses.closest_feature(rule.rule, rule.features)
    if closest_reading is None:
        return None
    key, near_miss = closest_reading
    return place((key.service, key.feature, key.environment)), near_miss_text(near_miss.evidence)


def _dead_letters(dead_letters: DeadLetterCounts) -> Iterator[str]:
    if dead_letters.total:
        yield ""
        yield f"COULD NOT BE READ ({dead_letters.total:,})"
        for kind, n in dead_letters.counts.most_common(MOST):
            first = dead_letters.first[kind]
            yield f"  {n:>8,}  {kind}  (first: {first.topic}:{first.offset})"
        if len(dead_letters.counts) > MOST:
            yield f"            and {len(dead_letters.counts) - MOST} more kinds"


def _gaps(result: BacktestResult) -> Iterator[str]:
    gaps = result.data_gaps()
    if gaps:
        yield ""
        yield "NOT MEASURED"
        yield from (f"  {gap.events:>8,}  {gap.reason} ({gap.where()})" for gap in gaps[:MOST])
        if len(gaps) > MOST:
            yield f"            and {len(gaps) - MOST} more"
