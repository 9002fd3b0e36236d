"""Write one incident in English: what is wrong, where, how much, since when."""

from __future__ import annotations

from datetime import datetime

from monitor.windows.figure_comparison import LEAST_POINTS, is_share, is_wrong, is_wrong_now
from monitor.wording.finding_text import amount, failure_text, measure
from monitor.wording.incident_grouping import statistic
from monitor.wording.number_format import span
from schemas.evidence_record import Evidence
from schemas.records import EpisodeIncident, Figure
from softfail.sanitize import sanitize

WORSE = 1.25  # times the present number: its worst is written beside it
NORMAL, NO_CALLS = ", normal now", ", no calls there now"
"""Behind a finding that fires until it was normal for long enough."""


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
    over = ", over now" if is_over else _state_now(incident)
    evidence = settled(present_evidence(incident)) if over else present_evidence(incident)
    return f"{finding_text(evidence, incident, start_text(incident), _at_worst(incident))}{over}"


def _state_now(incident: EpisodeIncident) -> str:
    """Write that a finding fires only until it was normal for long enough; empty if it is wrong now."""
    if is_wrong_now(incident):
        return ""
    return NO_CALLS if _has_no_calls(incident) else NORMAL


def _has_no_calls(incident: EpisodeIncident) -> bool:
    """Whether an incident that fires is of a segment that has no calls any more."""
    return incident.state == "firing" and incident.present is None and not is_wrong_now(incident)


def start_text(incident: EpisodeIncident) -> str:
    """Write since when an incident is wrong, and when it failed before; empty if neither is known. What is normal
    or over *began*: its figure is not so since then.
    """
    first = incident.first_wrong
    is_known = _began_with(incident.evidence.metric, incident)
    if not is_known and incident.evidence.began:
        first, is_known = incident.evidence.began, True
    if _has_no_calls(incident):
        return ""  # its window grows as its calls end, so the edge at which that breached says nothing
    if not fails_again(incident):
        verb = "since" if incident.state == "firing" and is_wrong_now(incident) else "began"
        return f", {verb} {clock(first)}" if is_known else ""
    now = incident.wrong_since
    before = f"{first:%H:%M}" if now.date() == first.date() else clock(first)
    return f", again since {clock(now)} (first at {before})"


def fails_again(incident: EpisodeIncident) -> bool:
    """Whether an incident is wrong now, and was normal for long enough after it had begun. What another metric
    did before does not count.
    """
    has_returned = incident.wrong_since > incident.first_wrong and incident.state == "firing"
    return has_returned and is_wrong_now(incident) and _began_with(incident.evidence.metric, incident)


def further_lines(incident: EpisodeIncident) -> list[str]:
    """Write a line for each further finding of an incident that fires."""
    now = {figure.metric: figure for figure in incident.also_present}
    lines = []
    # whether a further finding was normal in between is not known
    first = None if incident.returned else incident.since
    for finding in incident.evidence.findings[1:]:
        then = Evidence.model_construct(**finding.model_dump())
        present = now.get(finding.metric)
        is_normal = present is not None and not _is_wrong(present, then)
        evidence = with_figure(then, present)
        began = finding.began or (first if _began_with(finding.metric, incident) else None)
        start = f", {'began' if is_normal else 'since'} {clock(began)}" if began else ""
        text = finding_text(settled(evidence) if is_normal else evidence, incident, start)
        lines.append(text + (NORMAL if is_normal else ""))
    return lines


def _is_wrong(figure: Figure, then: Evidence) -> bool:
    """Return whether a figure is wrong, beside that of when it was found."""
    return then.value is None or is_wrong(figure, then, figure.model_copy(update={"value": then.value}))


def _began_with(metric: str, incident: EpisodeIncident) -> bool:
    """Whether an incident fired because of a metric, so that it is wrong since then. What began to drift under
    an open incident is later, and when is not known.
    """
    decided = incident.decided
    return decided is None or statistic(decided.metric) == statistic(metric)


def finding_text(evidence: Evidence, incident: EpisodeIncident, when: str, worst: str = "") -> str:
    """Write one finding of an incident.

    Args:
        evidence: the finding, with the figure that is shown.
        incident: to which it belongs.
        when: since when, with a comma before it; may be empty.
        worst: its worst figure, likewise.
    """
    part, finding = segment(incident), measure(evidence)
    if part:
        comma = "" if finding.endswith(")") and not worst else ","
        asked = "asked for " if evidence.metric.startswith("response_model=") else "with "
        part = f"{comma} {asked}{part}"
    is_silence = evidence.expected is not None
    events = "" if is_silence else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    is_failing = worst or (incident.state == "firing" and is_wrong_now(incident))
    reason = failure_text(incident.kind) if evidence.metric == "pass_rate" and is_failing else ""
    return f"{finding}{worst}{reason and f', mostly because {reason}'}{part}{when}{events}"


def settled(evidence: Evidence) -> Evidence:
    """Return the evidence of what is normal, with the value of the reference where both read the same.

    >>> normal = Evidence(metric="output_tokens.mean", value=20.8, low=None, high=None, n=20, window_s=60, reference=20.799)
    >>> measure(normal), measure(settled(normal))
    ('mean of output length is 20.8 tokens (was 20.799 tokens)', 'mean of output length is 21 tokens (as before)')
    """
    if evidence.reference is None or evidence.value is None:
        return evidence
    before = evidence.model_copy(update={"value": evidence.reference})
    return before if amount(before) == amount(evidence) != "" else evidence


def present_evidence(incident: EpisodeIncident) -> Evidence:
    """Return the evidence of an incident with its present figure, where there is one."""
    return with_figure(incident.evidence, incident.present)


def with_figure(evidence: Evidence, figure: Figure | None) -> Evidence:
    """Return evidence with another figure of its metric, where there is one."""
    if figure is None or figure.metric != evidence.metric:
        return evidence
    now = {"value": figure.value, "n": figure.n, "window_s": figure.window_s}
    return evidence.model_copy(update={**now, "low": None, "high": None, "weighted_sample": None})


def _at_worst(incident: EpisodeIncident) -> str:
    """Write the worst figure, where it is clearly worse than the present one, or all is over. That of a failure
    which ended and came back may be older than the start beside it.
    """
    worst, present = incident.worst, incident.present
    if worst is None or worst.metric != incident.evidence.metric or fails_again(incident):
        return ""
    text = f", at worst {amount(with_figure(incident.evidence, worst))}"
    if present is None:
        return text if incident.state == "resolved" else ""
    if is_share(worst.metric):
        return text if abs(worst.value - present.value) >= LEAST_POINTS else ""
    low, high = sorted((abs(worst.value), abs(present.value)))
    return text if high >= WORSE * low else ""
