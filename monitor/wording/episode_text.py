"""Write an episode in English: what broke, where, how much, since when. Shared by all channels."""

from __future__ import annotations

from datetime import datetime

from monitor.protocol.severity import severity_rank
from monitor.wording.finding_text import amount, measure
from monitor.wording.incident_grouping import group_incidents
from monitor.wording.next_steps import next_step_for
from monitor.wording.number_format import span
from schemas.evidence_record import Evidence
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
        where = f"{episode.features} features with {', '.join(common)}"
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


def clock(time: datetime) -> str:
    """Write a UTC time.

    >>> from datetime import UTC
    >>> clock(datetime(2026, 3, 2, 14, 5, 9, tzinfo=UTC))
    '2 Mar 14:05 UTC'
    """
    return f"{time.day} {time:%b %H:%M} UTC"


def segment(incident: EpisodeIncident) -> str:
    """Name the segment of an incident; empty if it is the whole feature."""
    labels = {
        "model": incident.model,
        "prompt": incident.prompt_version,
        "variant": incident.variant,
        **incident.dimensions,
    }
    return (
        sanitize(", ".join(f"{name} {value}" for name, value in labels.items() if value), 400)
        if incident.level == "segment"
        else ""
    )


def sentence(incident: EpisodeIncident) -> str:
    """Write one incident: value, segment, start, number of events, and whether it is over."""
    evidence, part = incident.evidence, segment(incident)
    over = ", well again" if incident.state == "resolved" else ""
    if incident.text:
        return f"{sanitize(incident.text, 600)}, since {clock(incident.since)}{over}"
    events = (
        "" if evidence.expected is not None else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    )
    finding = measure(evidence)
    comma = "" if finding.endswith(")") else ","
    more = [measure(Evidence.model_construct(**drift.model_dump())) for drift in evidence.findings[1:3]]
    also = f"; also {'; '.join(more)}" if more else ""
    again = (
        f" and again since {clock(incident.returned)}" if incident.returned is not None and not over else ""
    )
    return (
        f"{finding}{part and f'{comma} with {part}'}{also}, since"
        f" {clock(evidence.began or incident.since)}{again}{events}{over}"
    )


def finding_lines(episode: Episode) -> list[str]:
    """Write a line for each group of incidents, most important first.

    Incidents of one rule in several segments share a line.
    """
    return [_line(*group) for group in group_incidents(by_importance(episode))]


def detail_lines(episode: Episode) -> list[str]:
    """Write the lines below a summary; none if the summary contains all of them."""
    lines, incidents = finding_lines(episode), by_importance(episode)
    return [] if lines == [sentence(incident) for incident in incidents[:1]] else lines


def _line(first: EpisodeIncident, *others: EpisodeIncident) -> str:
    """Write the first incident in full, and segment and value of the others.

    A segment with the value and events of the first incident adds nothing and is left out.
    """
    distinct = [
        other
        for other in others
        if (other.evidence.value, other.evidence.n) != (first.evidence.value, first.evidence.n)
    ]
    named = [f"{segment(other)} {amount(other.evidence)}".rstrip() for other in distinct[:NAMED_SEGMENTS]]
    more = f" and {len(distinct) - NAMED_SEGMENTS} more" if len(distinct) > NAMED_SEGMENTS else ""
    return sentence(first) + (f"; by segment: {', '.join(named)}{more}" if named else "")


def by_importance(episode: Episode) -> list[EpisodeIncident]:
    """Sort the incidents, most important first: by severity, firing, whole feature, earliest."""

    def sort_key(incident: EpisodeIncident) -> tuple[object, ...]:
        return (
            -severity_rank(incident.severity),
            incident.state != "firing",
            incident.level != "feature",
            incident.since,
            incident.incident_id,
        )

    return sorted(episode.incidents, key=sort_key)


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
    incidents = by_importance(episode)
    if not incidents:
        return sanitize(
            f"{place(episode)}: {episode.reason or 'quality degraded'}, since {clock(episode.started_at)}",
            most,
        )
    line = f"{place(episode)}: {sentence(incidents[0])}"
    more = len(group_incidents(incidents)) + left_out - 1
    tail = f"; and {more} more {'finding' if more == 1 else 'findings'}" if more else ""
    if episode.members:
        named, others = (
            [f"{member.service}/{member.feature}" for member in episode.members[:NAMED_FEATURES]],
            episode.features - min(NAMED_FEATURES, len(episode.members)),
        )
        worst = f"{incidents[0].service}/{incidents[0].feature}: {sentence(incidents[0])}"
        line = (
            f"{place(episode)}: {', '.join(named)}{f' and {others} more' if others > 0 else ''}; worst"
            f" {worst}"
        )
        tail = ""
    for cause in likely_causes(episode)[:1]:
        if len(line) + len(cause) + len(tail) + 10 <= most:
            tail = f"; likely: {cause}{tail}"
    return sanitize(line, most - len(tail)) + tail
