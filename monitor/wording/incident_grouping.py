"""Group the incidents of one rule on a feature and on its segments, so that they take one line, not many."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.wording.incident_importance import by_importance
from schemas.records import Episode, EpisodeIncident

EMPTY, EMPTY_FORMAT = "evaluator.empty.fail_rate", "output_format=empty"


def leading_groups(episode: Episode) -> list[list[EpisodeIncident]]:
    """Return the groups of the incidents of an episode, most important first.

    Rules on one rate of a feature that fire say the same, so the first incident of a group has the earliest
    start of them.
    """
    incidents = by_importance(episode)
    return [
        [_with_earliest_start(first, incidents), *others] for first, *others in group_incidents(incidents)
    ]


def rate_key(incident: EpisodeIncident, metric: str) -> tuple[str, ...] | None:
    """Return what a rate of a whole feature is about; None for any other finding.

    Two findings with one key say the same.
    """
    if incident.level != "feature" or not metric.endswith("_rate"):
        return None
    name = "error_rate" if metric == "evaluator.error.fail_rate" else metric
    return incident.service, incident.feature, incident.environment, name


def repeats_empty(episode: Episode) -> bool:
    """Return whether the finding that answers have the format *empty* repeats that they are empty. It is taken
    from the answers that are read, so it lags behind.
    """
    return any(
        incident.evidence.metric == EMPTY and incident.state == "firing" for incident in episode.incidents
    )


def _with_earliest_start(incident: EpisodeIncident, incidents: Iterable[EpisodeIncident]) -> EpisodeIncident:
    """Return a firing incident with the earliest start of the findings that say the same."""
    key = rate_key(incident, incident.evidence.metric)
    if incident.state != "firing" or key is None:
        return incident
    firing = [other for other in incidents if other.state == "firing"]
    same = [other for other in firing if rate_key(other, other.evidence.metric) == key]
    first = min(other.first_wrong for other in same)
    start = min(other.wrong_since for other in same)
    if all(other.returned is None for other in same):
        further = [
            finding.began
            for other in firing
            for finding in other.evidence.findings[1:]
            if finding.began is not None and rate_key(other, finding.metric) == key
        ]
        first = start = min([start, *further])
    evidence = incident.evidence.model_copy(update={"began": first})
    returned = start if start > first else None
    return incident.model_copy(update={"since": first, "returned": returned, "evidence": evidence})


def group_incidents(incidents: Iterable[EpisodeIncident]) -> list[list[EpisodeIncident]]:
    """Group incidents; groups are in the order of their first incident, which the others follow as given.

    A group has the incidents of one rule in several segments, after that of the whole feature if there is one
    before them, as far as they show no statistic that the first does not. Never in one group: two incidents
    of whole features, and incidents of softfail itself, which have a text of their own.
    """
    groups: list[list[EpisodeIncident]] = []
    for incident in incidents:
        group = next((group for group in groups if _belongs(incident, group[0])), None)
        if group is None:
            groups.append([incident])
        else:
            group.append(incident)
    return groups


def _belongs(incident: EpisodeIncident, first: EpisodeIncident) -> bool:
    """Whether an incident of a segment says nothing that the first of a group does not say."""
    if incident.level != "segment" or incident.text or first.text:
        return False
    names = ("service", "feature", "environment", "rule")
    if any(getattr(incident, name) != getattr(first, name) for name in names):
        return False
    # that it is over in a segment adds nothing while the whole feature fires
    if incident.state != first.state and (first.level, first.state) != ("feature", "firing"):
        return False
    return _statistics(incident) <= _statistics(first)


def _statistics(incident: EpisodeIncident) -> set[str]:
    evidence = incident.evidence
    metrics = [evidence.metric, *(finding.metric for finding in evidence.findings)]
    return {statistic(metric) for metric in metrics}


def statistic(metric: str) -> str:
    """Return a metric without its reading.

    >>> statistic("duration_s.p90"), statistic("provider=acme"), statistic("error_rate")
    ('duration_s', 'provider=acme', 'error_rate')
    """
    return metric if metric.endswith("_rate") or "=" in metric else metric.rpartition(".")[0]
