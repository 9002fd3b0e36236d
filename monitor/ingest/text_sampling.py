"""Choose the responses whose texts are read: a budget of each feature and minute, shared by its segments.

Which ones are chosen follows from the log alone: not from bundles, restarts or the ids of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.ingest.batch import CountGroup
from monitor.windows.feature_series import FeatureState
from monitor.windows.text_blocks import text_responses

MIN_TEXTS, MAX_TEXTS = 12, 24
"""Responses chosen of a feature and minute: a third of those with text, within these bounds."""
MIN_SEGMENT_TEXTS = 0.5
"""Of a segment and minute, however many segments there are: enough for a test of texts in two hours."""

_TURN = 2**32
# 2**32 divided by the golden ratio and by the root of 2, rounded to odd numbers: the multiples of the first,
# modulo 2**32, are spread evenly however many there are
_STEP, _MINUTE_STEP = 0x9E3779B1, 0xB504F333

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class _Share(NamedTuple):
    """Responses of a segment and minute before this chunk, in the minute before, and how many are chosen."""

    base: int
    previous: int
    quota: float


def choose_texts(has_text: Mask, group: Ints, groups: Sequence[CountGroup], pane_us: int) -> Ints:
    """Return the indices of the responses whose texts are read, in the order of the log; count all with text.

    A response counts in the minute of the latest response of its feature, so a minute is complete once the
    next one has begun. Of a segment with n responses in the minute before, response i of the present one is
    chosen with the share quota / max(n, i), spread evenly: so a burst is read less and less densely.

    Args:
        has_text: of each response, whether it has an input or output.
        group: index into ``groups`` of each response.
        pane_us: length of a pane, microseconds; the "minute".
    """
    if not has_text.any():
        return np.empty(0, np.int64)
    minutes = _minutes(group, groups, pane_us)
    with_text = np.flatnonzero(has_text)
    segments: dict[int, int] = {}
    segment_of = np.array([segments.setdefault(id(target.segment), len(segments)) for target in groups])
    minute, segment = minutes[with_text], segment_of[group[with_text]]
    # a row for each minute and segment; minutes ascend, because a quota reads the minute before
    _, first, row, counts = np.unique(
        minute * len(segments) + segment, return_index=True, return_inverse=True, return_counts=True
    )
    quotas: dict[tuple[int, int], float] = {}
    shares = [
        _count(groups[group_index], minute_us, n, pane_us, quotas)
        for group_index, minute_us, n in zip(
            group[with_text[first]].tolist(), (minute[first] * pane_us).tolist(), counts.tolist(), strict=True
        )
    ]
    base, previous, quota = (np.array(column) for column in zip(*shares, strict=True))
    number = base[row] + _ranks(row, counts)
    place = (number * _STEP + minute * _MINUTE_STEP) % _TURN
    chosen = place * np.maximum(previous[row], number + 1) < quota[row] * _TURN
    indices: Ints = with_text[chosen]
    return indices


def _minutes(group: Ints, groups: Sequence[CountGroup], pane_us: int) -> Ints:
    """Return the minute number of each response: the latest pane of its feature so far in the log."""
    features: dict[int, int] = {}
    feature_of = np.array([features.setdefault(id(target.feature), len(features)) for target in groups])
    numbers = np.array([target.pane.start_us // pane_us for target in groups], np.int64)
    active = np.zeros(len(features), np.int64)
    latest = np.zeros(len(features), np.int64)
    for index, target, number in zip(feature_of.tolist(), groups, numbers.tolist(), strict=True):
        active[index] = target.feature.active_us // pane_us
        latest[index] = max(latest[index], number)
    feature = feature_of[group]
    if (latest <= active).all():  # in nearly all chunks
        minutes: Ints = active[feature]
        return minutes
    order = np.argsort(feature, kind="stable")
    height = feature[order] << 40  # above all minute numbers
    climbing = np.maximum.accumulate(height + np.maximum(numbers[group[order]], active[feature[order]]))
    out = np.empty(len(group), np.int64)
    out[order] = climbing - height
    return out


def _ranks(row: Ints, counts: Ints) -> Ints:
    """Return the number of earlier entries with the same row, of each entry.

    >>> _ranks(np.array([1, 0, 1, 1]), np.array([1, 3])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(row, kind="stable")
    starts = np.cumsum(counts) - counts
    out = np.empty(len(row), np.int64)
    out[order] = np.arange(len(row)) - starts[row[order]]
    return out


def _count(
    target: CountGroup, minute_us: int, n: int, pane_us: int, quotas: dict[tuple[int, int], float]
) -> _Share:
    """Count responses with text of a segment and minute; return what their share follows from."""
    key = (id(target.feature), minute_us)
    if key not in quotas:
        quotas[key] = _quota(target.feature, minute_us, pane_us)
    responses = target.texts(minute_us, True).responses
    base = responses.get(minute_us, 0)
    responses[minute_us] = base + n
    return _Share(base, text_responses(target.segment.texts, minute_us - pane_us), quotas[key])


def _quota(feature: FeatureState, minute_us: int, pane_us: int) -> float:
    """Return the number of responses of each segment of a feature that are chosen in a minute."""
    if feature.text_quota[0] != minute_us:
        before = (text_responses(segment.texts, minute_us - pane_us) for segment in feature.segments.values())
        feature.text_quota = minute_us, segment_quota(n for n in before if n)
    return feature.text_quota[1]


def segment_quota(counts: Iterable[int]) -> float:
    """Return how many texts of a minute are read of each segment, by those that they had the minute before.

    Segments that have fewer leave their part to the others.

    >>> segment_quota([10] * 8), segment_quota([1485, 15]), segment_quota([90, 2, 2]), segment_quota([])
    (3.0, 12.0, 20.0, 24.0)
    """
    ascending = sorted(counts)
    if not ascending:
        return float(MAX_TEXTS)
    budget = min(max(sum(ascending) / 3, MIN_TEXTS), MAX_TEXTS)
    for index, n in enumerate(ascending):
        equal_part = budget / (len(ascending) - index)
        if n >= equal_part:
            return max(equal_part, MIN_SEGMENT_TEXTS)
        budget -= n
    return float(MAX_TEXTS)  # all of them are fewer than the budget
