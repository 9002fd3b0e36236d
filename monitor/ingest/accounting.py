"""What arrived of what producers numbered, and which verdicts were not reached and why: a chunk of responses
at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.evaluators.suite import Judged
from monitor.ingest.batch import CountGroup
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OTHER

# why an evaluator skips, of a feature; further ones are counted as `other`, for a reason may quote what came
_REASONS = 16
_producer = attrgetter("producer_id")
_sequence = attrgetter("sequence")

Ints = npt.NDArray[np.int64]


def producer_name(feature: FeatureState, event: Any) -> str:
    """Under which name a feature follows an event's producer: where features share an account, each numbers
    its own events.
    """
    return (
        f"{event.producer_id} {event.service}/{event.feature}"
        if feature.key.service == OTHER
        else str(event.producer_id)
    )


def count_sequence_numbers(events: Sequence[Any], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Tell each feature which numbers of its producers have arrived. ``group``: index into ``groups`` of each
    event, shape (n,).
    """
    names = list(map(_producer, events))
    if not any(names):
        return
    numbers = list(map(_sequence, events))
    if None in numbers or "" in names:
        known = [at for at, number in enumerate(numbers) if number is not None and names[at]]
        if not known:
            return
        names, numbers, group = [names[at] for at in known], [numbers[at] for at in known], group[known]
    producers = {name: at for at, name in enumerate(dict.fromkeys(names))}
    accounts: dict[tuple[int, str], int] = {}
    account = np.array(
        [accounts.setdefault((id(one.feature), one.shared), at) for at, one in enumerate(groups)], np.int64
    )
    pairs = account[group] * len(producers) + np.array(list(map(producers.__getitem__, names)), np.int64)
    order = np.argsort(pairs, kind="stable")
    pairs, values = pairs[order], np.array(numbers, np.int64)[order]
    starts = np.array([one.pane.start_us for one in groups], np.int64)[group[order]]
    firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
    found = (
        pairs[firsts],
        np.maximum.reduceat(starts, firsts),
        np.minimum.reduceat(values, firsts),
        np.maximum.reduceat(values, firsts),
        np.diff(firsts, append=len(pairs)),
    )
    by_number = list(producers)
    for pair, time_us, lowest, highest, n in zip(*(row.tolist() for row in found), strict=True):
        one = groups[pair // len(producers)]
        one.feature.producers.count_events(
            by_number[pair % len(producers)] + one.shared, time_us, lowest, highest, n
        )


def count_skips(judged: Judged, names: Sequence[str], group: Ints, groups: Sequence[CountGroup]) -> None:
    """Count by feature, evaluator and reason what was skipped. ``names``: of the evaluators."""
    features: dict[int, int] = {}
    place = np.array([features.setdefault(id(one.feature), at) for at, one in enumerate(groups)], np.int64)[
        group
    ]
    ids = list(map(id, judged.label_verdicts))
    kinds = dict(zip(ids, judged.label_verdicts, strict=True))  # one for very many events, as a rule
    numbered = {of: at for at, of in enumerate(kinds)}
    counts = np.bincount(place * len(kinds) + np.array(list(map(numbered.__getitem__, ids)), np.int64))
    settled = list(kinds.values())
    for pair in np.flatnonzero(counts).tolist():
        for evaluator, reason in settled[pair % len(kinds)].skips:
            _skip(groups[pair // len(kinds)].feature, names[evaluator], reason, int(counts[pair]))
    for (at, evaluator, reason), n in Counter(
        (place[index], evaluator, reason) for index, evaluator, reason in judged.skips
    ).items():
        _skip(groups[at].feature, names[evaluator], reason, n)


def _skip(feature: FeatureState, evaluator: str, reason: str, n: int) -> None:
    reasons = feature.skipped.setdefault(evaluator, {})
    if reason not in reasons and len(reasons) >= _REASONS:
        reason = OTHER
    reasons[reason] = reasons.get(reason, 0) + n
