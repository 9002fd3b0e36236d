"""Note which identity of a judge its verdicts are of, because another identity is another statistic, and its labels,
by which rules correct its rate.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from monitor.ingest.batch import CountGroup
from monitor.state.partition_contents import JUDGE_LABELS
from monitor.state.partition_state import PartitionState
from monitor.stats.judge_correction import read_correction


def note_judge_versions(
    events: Sequence[Any],
    group_of: Sequence[int],
    groups: Sequence[CountGroup],
    judges: Collection[str],
    partition_state: PartitionState,
) -> None:
    """Note the identities of verdicts, in the order of the log. A new one counts from the pane after its first
    verdict, as a changed evaluator of the worker does.

    Args:
        events: evaluation events; ``group_of``: index into ``groups`` of each.
        judges: names of the configured judges. Versions of other evaluators say nothing here: nobody promises that
            they do not alternate.
    """
    for event, index in zip(events, group_of, strict=True):
        if event.evaluator not in judges or not event.evaluator_version:
            continue
        feature, pane = groups[index].feature, groups[index].pane
        evaluators = partition_state.evaluators.setdefault(feature.key, {})
        identity, since_us = evaluators.get(event.evaluator, ("", 0))
        if identity != event.evaluator_version:
            if identity:
                since_us = max(since_us, pane.start_us + partition_state.pane_us)
            evaluators[event.evaluator] = event.evaluator_version, since_us
            partition_state.mark_feature(feature.key)
        if event.judge_labels and read_correction(event.judge_labels) is not None:
            evaluators[f"{event.evaluator}{JUDGE_LABELS}"] = event.judge_labels, 0
            partition_state.mark_feature(feature.key)
