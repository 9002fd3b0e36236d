"""An episode in plain words: what broke, where, how much, since when. Shared by all channels."""

from __future__ import annotations

from datetime import datetime

from monitor.protocol.severity import severity_rank
from monitor.wording.finding_text import amount, measure
from monitor.wording.incident_grouping import gathered
from monitor.wording.next_steps import advice
from monitor.wording.number_format import span
from schemas.records import Episode, EpisodeIncident, Evidence
from softfail.sanitize import sanitize

NAMED = 4  # features that a line over several of them names
PARTS = 3  # segments that a line over several of them names


def place(episode: Episode) -> str:
    """Where: ``service/feature``, with the environment unless it is production; of a page over several
    features what they have in common.
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


def members(episode: Episode, most: int) -> list[str]:
    """A line for each feature of a page over several, at most ``most``, and how many more there are; empty of
    any other page.
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
    """An UTC time for people.

    >>> from datetime import UTC
    >>> clock(datetime(2026, 3, 2, 14, 5, 9, tzinfo=UTC))
    '2 Mar 14:05 UTC'
    """
    return f"{time.day} {time:%b %H:%M} UTC"


def segment(incident: EpisodeIncident) -> str:
    """Which part of the feature; empty when all of it."""
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
    """One incident: measure, part, since when, on how many events, and whether it is over."""
    evidence, part = incident.evidence, segment(incident)
    over = ", well again" if incident.state == "resolved" else ""
    if incident.text:
        return f"{sanitize(incident.text, 600)}, since {clock(incident.since)}{over}"
    events = (
        "" if evidence.expected is not None else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    )
    said = measure(evidence)
    joint = "" if said.endswith(")") else ","
    more = [
        measure(one)
        for one in (Evidence.model_construct(**moved.model_dump()) for moved in evidence.findings[1:3])
    ]
    also = f"; also {'; '.join(more)}" if more else ""
    again = (
        f" and again since {clock(incident.returned)}" if incident.returned is not None and not over else ""
    )
    return (
        f"{said}{part and f'{joint} with {part}'}{also}, since"
        f" {clock(evidence.began or incident.since)}{again}{events}{over}"
    )


def findings(episode: Episode) -> list[str]:
    """A line for each thing that was found, the one to be told first at the head: what several segments say
    stands in one line.
    """
    return [_line(*group) for group in gathered(by_weight(episode))]


def beside_summary(episode: Episode) -> list[str]:
    """The lines to stand under a summary: none where it says all of it."""
    lines, incidents = findings(episode), by_weight(episode)
    return [] if lines == [sentence(incident) for incident in incidents[:1]] else lines


def _line(first: EpisodeIncident, *others: EpisodeIncident) -> str:
    """The first in full, of the others where and how much; a segment of which all that is told is what is
    told of the first is all of it.
    """
    told = [
        other
        for other in others
        if (other.evidence.value, other.evidence.n) != (first.evidence.value, first.evidence.n)
    ]
    named = [f"{segment(one)} {amount(one.evidence)}".rstrip() for one in told[:PARTS]]
    more = f" and {len(told) - PARTS} more" if len(told) > PARTS else ""
    return sentence(first) + (f"; by segment: {', '.join(named)}{more}" if named else "")


def by_weight(episode: Episode) -> list[EpisodeIncident]:
    """The incidents, the one to be told first at the head: worst, still firing, whole feature, earliest."""

    def weight(one: EpisodeIncident) -> tuple[object, ...]:
        return (
            -severity_rank(one.severity),
            one.state != "firing",
            one.level != "feature",
            one.since,
            one.incident_id,
        )

    return sorted(episode.incidents, key=weight)


def likely(episode: Episode) -> list[str]:
    """What is probably behind it, the likeliest first; often nobody knows, and then there is nothing."""
    return [sanitize(cause, 240) for cause in episode.causes]


def next_step(episode: Episode) -> str:
    """What to do next, in one line."""
    first = next(iter(by_weight(episode)), None)
    return advice(
        first.evidence.metric if first else "",
        first.rule if first else "",
        of_softfail=episode.service == "softfail",
    )


def summary(episode: Episode, left_out: int = 0, most: int = 1024) -> str:
    """The episode in one line of at most ``most`` characters; ``left_out`` incidents more than it lists. The
    likely cause stands in it if it fits.
    """
    incidents = by_weight(episode)
    if not incidents:
        return sanitize(
            f"{place(episode)}: {episode.reason or 'quality degraded'}, since {clock(episode.started_at)}",
            most,
        )
    said = f"{place(episode)}: {sentence(incidents[0])}"
    more = len(gathered(incidents)) + left_out - 1
    tail = f"; and {more} more {'finding' if more == 1 else 'findings'}" if more else ""
    if episode.members:
        named, others = (
            [f"{member.service}/{member.feature}" for member in episode.members[:NAMED]],
            episode.features - min(NAMED, len(episode.members)),
        )
        worst = f"{incidents[0].service}/{incidents[0].feature}: {sentence(incidents[0])}"
        said = (
            f"{place(episode)}: {', '.join(named)}{f' and {others} more' if others > 0 else ''}; worst"
            f" {worst}"
        )
        tail = ""
    for cause in likely(episode)[:1]:
        if len(said) + len(cause) + len(tail) + 10 <= most:
            tail = f"; likely: {cause}{tail}"
    return sanitize(said, most - len(tail)) + tail
