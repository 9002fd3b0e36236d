"""Which incidents say one thing: a rule's finding of a whole feature, and the same of its segments. Twelve
segments are one line, not twelve.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.records import EpisodeIncident


def gathered(incidents: Iterable[EpisodeIncident]) -> list[list[EpisodeIncident]]:
    """Groups that are told together, in the order of their first; within a group in the order given.

    What a rule says of one statistic in several segments is one group, headed by the whole feature's if that
    says it too and comes first. Those of the whole feature are never put together, nor what fires and what is
    over, nor findings about softfail itself, which are told by their text.
    """
    groups: list[list[EpisodeIncident]] = []
    heads: dict[tuple[str, ...], list[EpisodeIncident]] = {}
    for incident in incidents:
        metric = incident.evidence.metric
        statistic = metric if metric.endswith("_rate") or "=" in metric else metric.rpartition(".")[0]
        name = (
            incident.service,
            incident.feature,
            incident.environment,
            incident.rule,
            incident.state,
            statistic,
        )
        if incident.level == "segment" and not incident.text and name in heads:
            heads[name].append(incident)
            continue
        groups.append([incident])
        if not incident.text:
            heads.setdefault(name, groups[-1])
    return groups
