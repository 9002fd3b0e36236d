"""Write an episode in English: what broke, where, how much, since when. Shared by all channels."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from monitor.windows.figure_comparison import LEAST_POINTS, is_share, is_wrong_now
from monitor.wording.finding_text import amount, failure_text, measure
from monitor.wording.incident_grouping import group_incidents, statistic
from monitor.wording.incident_importance import by_importance
from monitor.wording.next_steps import next_step_for
from monitor.wording.number_format import span
from schemas.evidence_record import Evidence
from schemas.records import Episode, EpisodeIncident, Figure
from softfail.sanitize import sanitize

NAMED_FEATURES = 4  # features that the summary of a shared page names
WORSE = 1.25  # times the present number: its worst is written beside it
NORMAL = ", normal now"
"""Behind a finding that fires until it was normal for long enough."""
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
    """Write one incident as of now: value, segment, start, number of events, and whether it is over."""
    is_over = incident.state == "resolved"
    since = clock(incident.evidence.began or incident.since)
    if incident.text:
        return f"{sanitize(incident.text, 600)}, since {since}{', over now' if is_over else ''}"
    if incident.evidence.metric == "events" and is_over:
        return f"events arrive again; they were missing at {clock(incident.since)}"
    if incident.evidence.expected is not None and incident.evidence.began:
        expected = f"about {incident.evidence.expected:.0f} were expected"
        return f"no events since {since}; {expected} in the first {span(incident.evidence.window_s)}"
    over = ", over now" if is_over else "" if is_wrong_now(incident) else NORMAL
    return f"{_finding(present_evidence(incident), incident, _start(incident), _at_worst(incident))}{over}"


def _start(incident: EpisodeIncident) -> str:
    """Write since when an incident is wrong, and when it failed before; empty if neither is known."""
    first = incident.began
    is_known = incident.evidence.began or _began_with(incident.evidence.metric, incident)
    if not _fails_again(incident):
        return f", since {clock(first)}" if is_known else ""
    now = incident.wrong_since
    before = f"{first:%H:%M}" if now.date() == first.date() else clock(first)
    return f", again since {clock(now)}" + (f" (first at {before})" if is_known else "")


def _fails_again(incident: EpisodeIncident) -> bool:
    """Whether an incident is wrong now, and was normal for long enough after it had begun."""
    return incident.state == "firing" and incident.wrong_since > incident.began and is_wrong_now(incident)


def _began_with(metric: str, incident: EpisodeIncident) -> bool:
    """Whether an incident fired because of a metric, so that it is wrong since then. What began to drift under
    an open incident is later, and when is not known.
    """
    decided = incident.decided
    return decided is None or statistic(decided.metric) == statistic(metric)


def _finding(evidence: Evidence, incident: EpisodeIncident, when: str, worst: str = "") -> str:
    part, finding = segment(incident), measure(evidence)
    comma = "" if finding.endswith(")") and not worst else ","
    is_silence = evidence.expected is not None
    events = "" if is_silence else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    reason = failure_text(incident.kind) if evidence.metric == "pass_rate" else ""
    is_wrong = incident.state == "firing" and is_wrong_now(incident)
    reason = reason and f"; what {'fails' if is_wrong else 'failed'}: {reason}"
    return f"{finding}{reason}{worst}{part and f'{comma} with {part}'}{when}{events}"


def present_evidence(incident: EpisodeIncident) -> Evidence:
    """Return the evidence of an incident with its present figure, where there is one."""
    return _with_figure(incident.evidence, incident.present)


def _with_figure(evidence: Evidence, figure: Figure | None) -> Evidence:
    if figure is None or figure.metric != evidence.metric:
        return evidence
    now = {"value": figure.value, "n": figure.n, "window_s": figure.window_s}
    return evidence.model_copy(update={**now, "low": None, "high": None, "weighted_sample": None})


def _at_worst(incident: EpisodeIncident) -> str:
    """Write the worst figure, where it is clearly worse than the present one, or all is over. That of a failure
    which ended and came back may be older than the start beside it.
    """
    worst, present = incident.worst, incident.present
    if worst is None or worst.metric != incident.evidence.metric or _fails_again(incident):
        return ""
    text = f", at worst {amount(_with_figure(incident.evidence, worst))}"
    if present is None:
        return text if incident.state == "resolved" else ""
    if is_share(worst.metric):
        return text if abs(worst.value - present.value) >= LEAST_POINTS else ""
    low, high = sorted((abs(worst.value), abs(present.value)))
    return text if high >= WORSE * low else ""


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
    for group in group_incidents(by_importance(episode)):
        first, lines = group[0], _lines(*group)
        rule = (first.service, first.feature, first.environment, first.rule, first.state)
        metrics = [first.evidence.metric, *(finding.metric for finding in first.evidence.findings[1:])]
        statistics = [statistic(metric) for metric in metrics]
        if first.level == "feature":
            shown.setdefault(rule, set()).update(statistics)
        elif len(lines) > 1 and rule in shown:
            lines = [
                line for line, name in zip(lines, statistics, strict=True) if name not in shown[rule]
            ] or lines[:1]
        pairs.append((first, lines))
    return pairs


def _lines(first: EpisodeIncident, *others: EpisodeIncident) -> list[str]:
    """Write the line of a group of incidents, and one for each further finding of the first."""
    if first.state == "resolved":
        return [_line(first, *others)]
    now = {figure.metric: figure for figure in first.also_present}
    further = [
        _with_figure(Evidence.model_construct(**finding.model_dump()), now.get(finding.metric))
        for finding in first.evidence.findings[1:]
    ]
    # whether a further finding was normal in between is not known
    since = None if first.returned else first.since
    began = [
        evidence.began or (since if _began_with(evidence.metric, first) else None) for evidence in further
    ]
    return [
        _line(first, *others),
        *(
            _finding(evidence, first, f", since {clock(since)}" if since else "")
            for evidence, since in zip(further, began, strict=True)
        ),
    ]


def detail_lines(episode: Episode) -> list[str]:
    """Write the lines below a summary; none if the summary contains all of them."""
    lines, incidents = finding_lines(episode), by_importance(episode)
    return [] if lines == [sentence(incident) for incident in incidents[:1]] else lines


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
    incidents = by_importance(episode)
    if not incidents:
        return sanitize(
            f"{place(episode)}: {episode.reason or 'quality degraded'}, since {clock(episode.started_at)}",
            most,
        )
    line = f"{place(episode)}: {sentence(incidents[0])}"
    more = len(finding_lines(episode)) + left_out - 1
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
