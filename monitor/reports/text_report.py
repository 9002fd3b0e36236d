"""The report as text: what would have paged, what each rule did, what was not measured, and what another
configuration would change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import Letters
from monitor.reports.episode_history import Feature, RuleCount, Told
from monitor.reports.report_text import (
    broke,
    count,
    findings_of,
    headline,
    length,
    near,
    period,
    place,
    standing,
    sure,
)
from monitor.reports.result import BacktestResult
from monitor.wording.episode_text import clock

MOST = 10  # gaps and kinds of dead letters that are listed
KINDS = {
    "only_here": "only with {here}",
    "only_there": "only with {there}",
    "changed": "with both, but not alike",
    "same": "the same with both",
}


def lines(
    trial: BacktestResult, letters: Letters, differences: Sequence[Difference] | None, other: str
) -> Iterator[str]:
    """The whole report. ``differences`` None: there is no other configuration; ``other`` is its name."""
    yield headline(trial)
    if trial.measured.start and trial.measured.end:
        yield (
            f"{clock(trial.measured.start)} to {clock(trial.measured.end)},"
            f" {count(trial.measured.events, 'event')}, configuration: {trial.name}"
        )
    if differences is not None:
        yield from difference_lines(differences, trial.name, other)
    yield from _episodes(trial.findings.in_order())
    yield from _rules(trial)
    yield from _letters(letters)
    yield from _gaps(trial)


def difference_lines(differences: Sequence[Difference], here: str, there: str) -> Iterator[str]:
    """What the other configuration would change."""
    yield ""
    yield f"WHAT IF {there} (against {here}): {tally(differences, here, there)}"
    for difference in differences:
        if difference.kind == "same":
            continue
        for told in (*difference.here, *difference.there)[: None if difference.kind != "changed" else 1]:
            yield (
                f"  {KINDS[difference.kind].format(here=here, there=there)}: {standing(told)} {place(difference.feature)},"
                f" {period(told)}"
            )
            yield from (f"      {broke(incident)}" for incident in findings_of(told)[:1])
        yield from (f"      {what}: {mine} → {theirs}" for what, mine, theirs in difference.changes())


def tally(differences: Sequence[Difference], here: str, there: str) -> str:
    """How many of each kind, in words.

    >>> tally([], "a.yaml", "b.yaml")
    'no episodes with either'
    """
    if not differences:
        return "no episodes with either"
    numbers = {kind: sum(difference.kind == kind for difference in differences) for kind in KINDS}
    sides = [
        [told.is_page for difference in differences for told in side(difference)] for side in (_here, _there)
    ]
    pages, tickets = ([sum(page is wanted for page in side) for side in sides] for wanted in (True, False))
    return (
        f"pages {pages[0]} → {pages[1]}, tickets {tickets[0]} → {tickets[1]}; {numbers['only_here']} only"
        f" with {here}, {numbers['only_there']} only with {there}, {numbers['changed']} with both but not"
        f" alike, {numbers['same']} the same"
    )


def _here(one: Difference) -> Sequence[Told]:
    return one.here


def _there(one: Difference) -> Sequence[Told]:
    return one.there


def features_of(some: Iterable[Feature], most: int = 3) -> str:
    """Names of features, the first few."""
    names = [place(one) for one in some]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _episodes(told: Sequence[Told]) -> Iterator[str]:
    yield ""
    yield f"EPISODES ({len(told)})"
    for one in told:
        yield f"  {standing(one):18} {place(one.feature)}  {period(one)}" + (
            f" ({length(one.until - one.since)})" if one.until else ""
        )
        incidents = findings_of(one)
        for incident in incidents[:5]:
            yield f"      {incident.rule}: {broke(incident)}; {sure(incident.evidence)}"
        if len(incidents) > 5:
            yield f"      and {count(len(incidents) - 5, 'more finding')}"


def _rules(trial: BacktestResult) -> Iterator[str]:
    yield ""
    yield "RULES" + " " * 19 + f"{'fired':>6} {'pages':>6} {'tickets':>8} {'firing for':>12}   where"
    for rule in trial.rules():
        brief = f"; breached {count(rule.brief, 'time')} more and did not last" if rule.brief else ""
        yield (
            f"  {rule.rule:22} {rule.fired:>6} {rule.pages:>6} {rule.tickets:>8}"
            f" {length(rule.firing) if rule.fired else '-':>12}   "
            + ((features_of(rule.features) or "nowhere") + brief)
        )
        if reading := closest(trial, rule):
            yield f"      closest elsewhere: {', '.join(reading)}"


def closest(trial: BacktestResult, rule: RuleCount) -> tuple[str, str] | None:
    """Return where a rule that did not fire came closest, and how close; None if no reading was kept."""
    near_miss = trial.margins.of(rule.rule, rule.features)
    if near_miss is None:
        return None
    key, margin = near_miss
    return place((key.service, key.feature, key.environment)), near(margin.evidence)


def _letters(letters: Letters) -> Iterator[str]:
    if letters.total:
        yield ""
        yield f"COULD NOT BE READ ({letters.total:,})"
        for kind, n in letters.counts.most_common(MOST):
            first = letters.first[kind]
            yield f"  {n:>8,}  {kind}  (first: {first.topic}:{first.offset})"
        if len(letters.counts) > MOST:
            yield f"            and {len(letters.counts) - MOST} more kinds"


def _gaps(trial: BacktestResult) -> Iterator[str]:
    gaps = trial.gaps()
    if gaps:
        yield ""
        yield "NOT MEASURED"
        yield from (f"  {gap.events:>8,}  {gap.why} ({gap.where()})" for gap in gaps[:MOST])
        if len(gaps) > MOST:
            yield f"            and {len(gaps) - MOST} more"
