"""Group the incidents of one rule on a feature and on its segments, so that they take one line, not many."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.records import EpisodeIncident


def group_incidents(incidents: Iterable[EpisodeIncident]) -> list[list[EpisodeIncident]]:
    """Group incidents; groups are in the order of their first incident, which the others follow as given.

    A group has the incidents of one rule and statistic in several segments, after that of the whole feature
    if there is one before them. Never in one group: two incidents of whole features, a firing and a resolved
    incident, and incidents of softfail itself, which have a text of their own.
    """
    groups: list[list[EpisodeIncident]] = []
    groups_by_key: dict[tuple[str, ...], list[EpisodeIncident]] = {}
    for incident in incidents:
        metric = incident.evidence.metric
        statistic = metric if metric.endswith("_rate") or "=" in metric else metric.rpartition(".")[0]
        key = (
            incident.service,
            incident.feature,
            incident.environment,
            incident.rule,
            incident.state,
            statistic,
        )
        if incident.level == "segment" and not incident.text and key in groups_by_key:
            groups_by_key[key].append(incident)
            continue
        groups.append([incident])
        if not incident.text:
            groups_by_key.setdefault(key, groups[-1])
    return groups
