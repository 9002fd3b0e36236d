"""Write an episode in English: what broke, where, how much, since when. Shared by all channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.wording.finding_text import amount
from monitor.wording.incident_grouping import (
    EMPTY_FORMAT,
    group_incidents,
    leading_groups,
    rate_key,
    repeats_empty,
    statistic,
)
from monitor.wording.incident_importance import by_importance
from monitor.wording.incident_text import clock, further_lines, present_evidence, segment, sentence
from monitor.wording.next_steps import next_step_for
from schemas.records import Episode, EpisodeIncident
from softfail.sanitize import sanitize

NAMED_FEATURES = 4  # features that the summary of a shared page names
NAMED_SEGMENTS = 3  # segments that a line over several segments names


def place(episode: Episode) -> str:
    """Return ``service/feature``, with the environment unless it is production.

    For a page over several features, return their number and what they have in common.
    """
    where = f"{episode.service}/{episode.feature}"
    if episode.members:
        common = [
            f"{name} {value}"
            for name, value in (("provider", episode.provider), ("model", episode.model))
            if value
        ]
        owners = f"with {', '.join(common)}" if common else f"of {episode.service}"
        where = f"{episode.features} features {owners}"
    return sanitize(where if episode.environment == "production" else f"{where} ({episode.environment})", 600)


def member_lines(episode: Episode, most: int) -> list[str]:
    """List the features of a page over several features, at most ``most``, and count the others.

    Empty for any other page.
    """
    lines = [
        f"{member.service}/{member.feature}: {member.text}{'; over' if member.state == 'resolved' else ''}"
        for member in episode.members[:most]
    ]
    more = episode.features - len(lines)
    return [
        *lines,
        *([f"and {more} more {'feature' if more == 1 else 'features'}"] if lines and more > 0 else []),
    ]


def finding_lines(episode: Episode) -> list[str]:
    """Write a line for each finding, most important first.

    Incidents of one rule in several segments share a line.
    """
    return [line for _, lines in lines_by_incident(episode) for line in lines]


def lines_by_incident(episode: Episode) -> list[tuple[EpisodeIncident, list[str]]]:
    """Return the lines of ``finding_lines`` with the incident that each is about.

    A segment has no line for a statistic that a line of its whole feature and of the same rule has.
    """
    pairs: list[tuple[EpisodeIncident, list[str]]] = []
    shown: dict[tuple[str, ...], set[str]] = {}  # statistics of whole features, by rule
    groups = leading_groups(episode)
    leads = {id(lead) for lead in _leads(groups)}
    rates = {rate_key(lead, lead.evidence.metric) for lead in _leads(groups)}
    hidden = EMPTY_FORMAT if repeats_empty(episode) else ""
    for group in groups:
        first = group[0]
        metrics = [first.evidence.metric, *(finding.metric for finding in first.evidence.findings[1:])]
        lines = [
            (statistic(metric), line)
            # an incident that is over has one line
            for nth, (metric, line) in enumerate(zip(metrics, _lines(*group), strict=False))
            if metric != hidden
            and (
                id(first) in leads
                if not nth
                else (key := rate_key(first, metric)) is None or key not in rates
            )
        ]
        rule = (first.service, first.feature, first.environment, first.rule, first.state)
        if first.level == "feature":
            shown.setdefault(rule, set()).update(name for name, _ in lines)
        elif len(lines) > 1 and rule in shown:
            lines = [named for named in lines if named[0] not in shown[rule]] or lines[:1]
        if lines:
            pairs.append((first, [line for _, line in lines]))
    return pairs


def _leads(groups: Sequence[Sequence[EpisodeIncident]]) -> list[EpisodeIncident]:
    """Return the first incidents of groups, without those of a rate that one before them has."""
    leads: list[EpisodeIncident] = []
    seen: set[tuple[str, ...] | None] = set()
    for first, *_ in groups:
        key = rate_key(first, first.evidence.metric)
        if key is None or key not in seen:
            leads.append(first)
        seen.add(key)
    return leads


def _lines(first: EpisodeIncident, *others: EpisodeIncident) -> list[str]:
    """Write the line of a group of incidents, and one for each further finding of the first."""
    return [_line(first, *others), *(further_lines(first) if first.state == "firing" else [])]


def detail_lines(episode: Episode) -> list[str]:
    """Write the lines below a summary; none if the summary contains all of them."""
    lines, leading = finding_lines(episode), leading_incident(episode)
    return [] if leading is not None and lines == [sentence(leading)] else lines


def leading_incident(episode: Episode) -> EpisodeIncident | None:
    """Return the incident that leads the texts of an episode; None if it has none."""
    hidden = EMPTY_FORMAT if repeats_empty(episode) else ""
    leads = (group[0] for group in leading_groups(episode))
    return next((lead for lead in leads if lead.evidence.metric != hidden), None)


def distinct_incidents(episode: Episode) -> list[EpisodeIncident]:
    """Return the incidents of an episode, most important first, without segments that say nothing beyond
    their feature.
    """
    return [
        incident
        for first, *others in group_incidents(by_importance(episode))
        for incident in (first, *_distinct(first, others))
    ]


def _distinct(first: EpisodeIncident, others: Iterable[EpisodeIncident]) -> list[EpisodeIncident]:
    """Return the incidents whose value or events differ from those of the first."""
    shown = present_evidence(first)
    return [
        other
        for other in others
        if other.state == first.state
        and statistic((now := present_evidence(other)).metric) == statistic(shown.metric)
        and (now.value, now.n) != (shown.value, shown.n)
    ]


def _line(first: EpisodeIncident, *others: EpisodeIncident) -> str:
    """Write the first incident in full, and segment and value of the others.

    A segment with the value and events of the first incident adds nothing and is left out.
    """
    distinct = _distinct(first, others)
    named = [
        f"{segment(other)} {amount(present_evidence(other))}".rstrip() for other in distinct[:NAMED_SEGMENTS]
    ]
    more = f" and {len(distinct) - NAMED_SEGMENTS} more" if len(distinct) > NAMED_SEGMENTS else ""
    return sentence(first) + (f"; by segment: {', '.join(named)}{more}" if named else "")


def likely_causes(episode: Episode) -> list[str]:
    """List the likely causes, most likely first; empty if none is known."""
    return [sanitize(cause, 240) for cause in episode.causes]


def next_step(episode: Episode) -> str:
    """Write what to do next, in one line."""
    first = next(iter(by_importance(episode)), None)
    return next_step_for(
        first.evidence.metric if first else "",
        first.rule if first else "",
        of_softfail=episode.service == "softfail",
    )


def summary(episode: Episode, left_out: int = 0, most: int = 1024) -> str:
    """Write the episode in one line.

    Args:
        episode: the episode.
        left_out: number of incidents that the record does not list.
        most: maximum length, characters. The likely cause is added if it fits.
    """
    leading = leading_incident(episode)
    if leading is None:
        return sanitize(
            f"{place(episode)}: {episode.reason or 'quality degraded'}, since {clock(episode.started_at)}",
            most,
        )
    line = f"{place(episode)}: {sentence(leading)}"
    more = len(finding_lines(episode)) + left_out - 1
    tail = f"; and {more} more {'finding' if more == 1 else 'findings'}" if more else ""
    if episode.members:
        named, others = (
            [f"{member.service}/{member.feature}" for member in episode.members[:NAMED_FEATURES]],
            episode.features - min(NAMED_FEATURES, len(episode.members)),
        )
        more_features = f" and {others} more" if others > 0 else ""
        line = (
            f"{place(episode)}: {', '.join(named)}{more_features};"
            f" {leading.service}/{leading.feature}: {sentence(leading)}"
        )
        tail = ""
    for cause in likely_causes(episode)[:1]:
        if len(line) + len(cause) + len(tail) + 10 <= most:
            tail = f"; likely: {cause}{tail}"
    return sanitize(line, most - len(tail)) + tail
