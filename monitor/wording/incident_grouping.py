"""Group the incidents of one rule on a feature and on its segments, so that they take one line, not many."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.records import EpisodeIncident


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
