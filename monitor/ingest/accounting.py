"""Loss accounting of a chunk of responses: the event numbers that arrived, and why verdicts were skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.evaluators.suite import Judged
from monitor.ingest.batch import CountGroup
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OTHER

_MAX_REASONS = 16
"""Skip reasons of an evaluator of a feature; further ones count as ``other``: a reason may quote data."""
_producer = attrgetter("producer_id")
_sequence = attrgetter("sequence")

Ints = npt.NDArray[np.int64]


def producer_name(feature: FeatureState, event: Any) -> str:
    """Return the name under which a feature tracks the producer of an event.

    Features that share the state ``other`` have separate names, because producers number the events of each
    feature separately.
    """
    return (
        f"{event.producer_id} {event.service}/{event.feature}"
        if feature.key.service == OTHER
        else str(event.producer_id)
    )


def count_sequence_numbers(events: Sequence[Any], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Count which numbered events of each producer have arrived.

    Args:
        group: index into ``groups`` of each event, shape (n,).
    """
    names = list(map(_producer, events))
    if not any(names):
        _lose_calls(range(len(groups)), groups)
        return
    numbers = list(map(_sequence, events))
    if None in numbers or "" in names:
        numbered = [index for index, number in enumerate(numbers) if number is not None and names[index]]
        unnumbered = np.ones(len(names), bool)
        unnumbered[numbered] = False
        _lose_calls(np.unique(group[unnumbered]).tolist(), groups)
        if not numbered:
            return
        names, numbers = [names[index] for index in numbered], [numbers[index] for index in numbered]
        group = group[numbered]
    producers = {name: index for index, name in enumerate(dict.fromkeys(names))}
    accounts: dict[tuple[int, str], int] = {}
    account = np.array(
        [
            accounts.setdefault((id(target.feature), target.producer_suffix), index)
            for index, target in enumerate(groups)
        ],
        np.int64,
    )
    pairs = account[group] * len(producers) + np.array(list(map(producers.__getitem__, names)), np.int64)
    order = np.argsort(pairs, kind="stable")
    pairs, values = pairs[order], np.array(numbers, np.int64)[order]
    starts = np.array([target.pane.start_us for target in groups], np.int64)[group[order]]
    firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
    columns = (
        pairs[firsts],
        np.maximum.reduceat(starts, firsts),
        np.minimum.reduceat(values, firsts),
        np.maximum.reduceat(values, firsts),
        np.diff(firsts, append=len(pairs)),
    )
    producer_names = list(producers)
    for pair, time_us, lowest, highest, n in zip(*(column.tolist() for column in columns), strict=True):
        target = groups[pair // len(producers)]
        name = producer_names[pair % len(producers)] + target.producer_suffix
        target.feature.producers.count_events(name, time_us, lowest, highest, n)


def _lose_calls(indexes: Iterable[int], groups: Sequence[CountGroup]) -> None:
    """Note that events of these groups come from producers whose meters may not count them."""
    for index in indexes:
        groups[index].feature.producers.calls.lose(groups[index].pane.start_us + 1)


def count_skips(judged: Judged, names: Sequence[str], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Count skipped verdicts by feature, evaluator and reason.

    Args:
        names: of the evaluators.
        group: index into ``groups`` of each event, shape (n,).
    """
    features: dict[int, int] = {}
    place = np.array(
        [features.setdefault(id(target.feature), index) for index, target in enumerate(groups)], np.int64
    )[group]
    size = len(judged.label_verdicts)
    counts = np.bincount(place * size + judged.label_rows)
    for pair in np.flatnonzero(counts).tolist():
        for evaluator, reason in judged.label_verdicts[pair % size].skips:
            _skip(groups[pair // size].feature, names[evaluator], reason, int(counts[pair]))
    skips = Counter((place[index], evaluator, reason) for index, evaluator, reason in judged.skips)
    for (index, evaluator, reason), n in skips.items():
        _skip(groups[index].feature, names[evaluator], reason, n)


def _skip(feature: FeatureState, evaluator: str, reason: str, n: int) -> None:
    reasons = feature.skipped.setdefault(evaluator, {})
    if reason not in reasons and len(reasons) >= _MAX_REASONS:
        reason = OTHER
    reasons[reason] = reasons.get(reason, 0) + n
