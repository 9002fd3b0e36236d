"""Write the values and episodes of a report in English; complements ``monitor.wording.episode_text``."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.reports.episode_history import EpisodeHistory, Feature
from monitor.reports.result import BacktestResult
from monitor.rules.evidence import Evidence as RuleEvidence
from monitor.wording.finding_text import measure
from monitor.wording.incident_importance import by_importance
from monitor.wording.incident_text import clock, segment
from monitor.wording.number_format import figure as plain_figure
from monitor.wording.number_format import share, span
from schemas.evidence_record import Evidence
from schemas.records import EpisodeIncident
from softfail.sanitize import sanitize

LABEL = 200  # characters of a label that are shown


def place(feature: Feature) -> str:
    """Return ``service/feature``, with the environment unless it is production."""
    service, name, environment = feature
    return sanitize(f"{service}/{name}" + ("" if environment == "production" else f" ({environment})"), LABEL)


def count(n: int, noun: str) -> str:
    """Write a number with a noun in the singular or the plural.

    >>> count(1, "page"), count(12_000, "event")
    ('1 page', '12,000 events')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def length(time: timedelta | None) -> str:
    """Write a duration in at most two units; None is `-`.

    >>> length(timedelta(minutes=90)), length(timedelta(days=7)), length(timedelta(seconds=20)), length(None)
    ('1 h 30 min', '7 days', '20 s', '-')
    """
    if time is None:
        return "-"
    seconds = round(time.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    parts, rest = [], round(seconds / 60) if seconds < 172_800 else round(seconds / 3600) * 60
    for unit, size in (("day", 1440), ("h", 60), ("min", 1)):
        if rest >= size:
            amount, rest = divmod(rest, size)
            parts.append(count(amount, unit) if unit == "day" else f"{amount} {unit}")
    return " ".join(parts[:2])


def moment(time: datetime | None) -> str:
    """Write a time; None means that the episode is still open."""
    return "still open" if time is None else clock(time)


def period(episode: EpisodeHistory) -> str:
    """Write start and end of an episode."""
    return (
        f"{clock(episode.since)} to {clock(episode.until)}"
        if episode.until
        else f"since {clock(episode.since)}, still open"
    )


def figure(metric: str, value: float | None, *others: float | None) -> str:
    """Write a value of a metric with its unit; None is `?`.

    ``others``: values in the same sentence; the text differs from theirs unless they are equal.

    >>> figure("pass_rate", 0.971), figure("duration_s.p90", 4.218), figure("output_tokens.mean", 1234.5), figure("events", None)
    ('97.1 %', '4.22 s', '1,234', '?')
    """
    if value is None:
        return "?"
    if metric.endswith("_rate") or "=" in metric:
        return share(value, *others)
    name = metric.rpartition(".")[0] or metric
    shown = plain_figure(value, "", *others)
    return f"{shown} s" if name.endswith("_s") else f"${shown}" if name.endswith("_usd") else shown


def broke(incident: EpisodeIncident) -> str:
    """Write what broke and in which segment, without the interval (see ``certainty``)."""
    finding, part = incident.text or measure(incident.evidence, interval=False), segment(incident)
    also = [
        measure(Evidence.model_construct(**moved.model_dump()), interval=False)
        for moved in incident.evidence.findings[1:3]
    ]
    return sanitize("; also ".join([f"{finding}, with {part}" if part else finding, *also]), 800)


def incidents_of(episode: EpisodeHistory) -> list[EpisodeIncident]:
    """List the incidents of an episode, most important first.

    An incident of a segment with the same value and events as the whole feature is left out: the segment is
    then the whole feature.
    """
    incidents = by_importance(episode.as_fired())
    feature_level = {
        (incident.rule, incident.evidence.metric, incident.evidence.value, incident.evidence.n)
        for incident in incidents
        if incident.level == "feature"
    }
    return [
        incident
        for incident in incidents
        if incident.level == "feature"
        or (incident.rule, incident.evidence.metric, incident.evidence.value, incident.evidence.n)
        not in feature_level
    ]


def certainty(evidence: Evidence) -> str:
    """Write the interval and the number of events behind a value.

    >>> certainty(Evidence(metric="error_rate", value=0.23, low=0.19, high=0.28, n=310, above=0.02, window_s=300))
    'between 19 % and 28 %, on 310 events in 5 min'
    """
    if evidence.expected is not None:
        return "by what the past led to expect"
    low, high = evidence.low, evidence.high
    n = f"on {count(round(evidence.n), 'event')} in {span(evidence.window_s)}"
    if evidence.reference_n is not None:
        n += f" against {round(evidence.reference_n):,}"
    if evidence.test is not None and evidence.p_value is not None:
        n += f", p = {max(evidence.p_value, 1e-99):.1g} ({evidence.test.replace('_', ' ')})"
    if low is not None and high is not None:
        return f"between {figure(evidence.metric, low)} and {figure(evidence.metric, high)}, {n}"
    if low is not None or high is not None:
        return (
            f"at {'least' if low is not None else 'most'}"
            f" {figure(evidence.metric, low if low is not None else high)}, {n}"
        )
    return n


def near_miss_text(evidence: RuleEvidence) -> str:
    """Write the reading of a rule that did not fire: value, interval, threshold."""
    metric, above, value = evidence.metric, evidence.above, evidence.value
    limit = above if above is not None else evidence.below
    bound = f"fires when surely {'above' if above is not None else 'below'} {figure(metric, limit, value)}"
    low, high = figure(metric, evidence.low), figure(metric, evidence.high)
    return f"{figure(metric, value, limit)} ({low} to {high}); {bound}"


def kind_of_alert(episode: EpisodeHistory) -> str:
    """Return whether an episode was a page, a ticket or recorded only, with its severity."""
    if episode.latest.muted:
        return f"recorded only ({sanitize(episode.latest.muted, 80)})"
    if episode.paged is None:
        return f"ticket ({episode.latest.severity})"
    return f"page ({episode.latest.severity})" + (
        f" from {clock(episode.paged)} on" if episode.escalated else ""
    )


def headline(result: BacktestResult) -> str:
    """Summarize a backtest in one line, such as `3 pages, 2 tickets in 7 days of 12 features`."""
    start, end = result.measurements.start, result.measurements.end
    if start is None or end is None:
        return "nothing was measured"
    alerts = f"{count(result.alerts.pages, 'page')}, {count(result.alerts.tickets, 'ticket')}"
    return f"{alerts} in {length(end - start)} of {count(len(result.measurements.series), 'feature')}"
