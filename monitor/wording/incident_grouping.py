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
    for one in incidents:
        metric = one.evidence.metric
        statistic = metric if metric.endswith("_rate") or "=" in metric else metric.rpartition(".")[0]
        name = one.service, one.feature, one.environment, one.rule, one.state, statistic
        if one.level == "segment" and not one.text and name in heads:
            heads[name].append(one)
            continue
        groups.append([one])
        if not one.text:
            heads.setdefault(name, groups[-1])
    return groups
