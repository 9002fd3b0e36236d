"""Count the numbers of a chunk of events into panes: fields, lengths of texts, and stages."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.ingest.batch import CountGroup
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.metric_definitions import (
    FEEDBACK_QUANTITIES,
    MAX_STAGES,
    RESPONSE_QUANTITIES,
    Quantity,
)
from monitor.windows.pane import Pane

_CODES, _MIDDLE = 8192, 4096  # room for the bucket codes of one group
_FIELDS = {
    quantity.field: attrgetter(quantity.field) for quantity in RESPONSE_QUANTITIES + FEEDBACK_QUANTITIES
}
_TEXTS = {"input_chars": "input", "output_chars": "output"}
"""Length -> field of the text that it can be read from."""

Ints = npt.NDArray[np.int64]


def count_quantities(
    events: Sequence[Any], quantities: Sequence[Quantity], group: Ints, groups: Sequence[CountGroup]
) -> None:
    """Count numbers of the events that have them; lengths that are not stated are read from the text.

    Args:
        group: index into ``groups`` of each event, shape (n,).
    """
    for quantity in quantities:
        missing = _count_quantity(events, quantity, group, groups)
        if missing and quantity.field in _TEXTS:
            _count_lengths(events, missing, quantity.name, _TEXTS[quantity.field], group, groups)


def _count_quantity(
    events: Sequence[Any], quantity: Quantity, group: Ints, groups: Sequence[CountGroup]
) -> Sequence[int]:
    """Count a number of the events that have it; return the indices of the others."""
    raw = list(map(_FIELDS[quantity.field], events))
    missing: Sequence[int] = ()
    if (absent := raw.count(None)) == len(raw):
        return range(len(raw))
    if absent:
        missing = [index for index, value in enumerate(raw) if value is None]
        present = [index for index, value in enumerate(raw) if value is not None]
        raw = [raw[index] for index in present]
        group = group[present]
    values = (
        np.array(raw, np.int64)
        if quantity.unit == 1
        else np.rint(np.array(raw, np.float64) / quantity.unit).astype(np.int64)
    )
    _count_values(quantity.name, values, group, groups, by_text=False)
    return missing


def _count_lengths(
    events: Sequence[Any],
    missing: Sequence[int],
    name: str,
    text: str,
    group: Ints,
    groups: Sequence[CountGroup],
) -> None:
    """Count lengths of texts of the events ``missing``; they weigh by the probability of the text."""
    get_text = attrgetter(text)
    texts = list(
        map(get_text, events if len(missing) == len(events) else [events[index] for index in missing])
    )
    if None in texts:
        missing = [index for index, value in zip(missing, texts, strict=True) if value is not None]
        texts = [value for value in texts if value is not None]
    if texts:
        lengths = np.array(list(map(len, texts)), np.int64)
        _count_values(name, lengths, group[np.asarray(missing, np.int64)], groups, by_text=True)


def _count_values(
    name: str, values: Ints, group: Ints, groups: Sequence[CountGroup], *, by_text: bool
) -> None:
    """Count integer values, shape (n,), with one ``add`` for each group that has any."""
    size = len(groups)
    counts = np.bincount(group, minlength=size)
    sums = np.zeros(size, np.int64)
    np.add.at(sums, group, values)
    pairs, times = np.unique(group * _CODES + (bucket_codes(values) + _MIDDLE), return_counts=True)
    codes, bucket_counts = (pairs % _CODES - _MIDDLE).tolist(), times.tolist()
    ends = np.searchsorted(pairs // _CODES, np.arange(size), side="right").tolist()
    begin = 0
    for target, n, total, end in zip(groups, counts.tolist(), sums.tolist(), ends, strict=True):
        if n:
            target.pane.number(name).add(
                target.text_ppm if by_text else target.call_ppm,
                n,
                total,
                dict(zip(codes[begin:end], bucket_counts[begin:end], strict=True)),
            )
        begin = end


def count_stages(events: Sequence[Any], group_of: Sequence[int], groups: Sequence[CountGroup]) -> None:
    """Count the seconds of each stage, of at most ``MAX_STAGES`` stages of a pane."""
    # Of each group: stage -> seconds; None if its pane has no room for the stage.
    by_group: list[dict[str, list[float] | None]] = [{} for _ in groups]
    for event, index in zip(events, group_of, strict=True):
        if event.stages_s:
            stages = by_group[index]
            for stage, seconds in event.stages_s.items():
                if stage not in stages:
                    stages[stage] = _open_stage(groups[index].pane, f"stage.{metric_part(stage)}_s")
                if (values := stages[stage]) is not None:
                    values.append(seconds)
    for stage in dict.fromkeys(stage for stages in by_group for stage in stages):
        several = [(index, values) for index, stages in enumerate(by_group) if (values := stages.get(stage))]
        if several:
            micros = np.rint(np.concatenate([values for _, values in several]) * 1e6).astype(np.int64)
            group = np.repeat([index for index, _ in several], [len(values) for _, values in several])
            _count_values(f"stage.{metric_part(stage)}_s", micros, group, groups, by_text=False)


def _open_stage(pane: Pane, name: str) -> list[float] | None:
    """Return an empty list for the values of a stage; None if its pane has no room for it.

    The stage takes its place in the pane at once, because the next stage of the event may be one too many.
    """
    if name not in pane.numbers and sum(other.startswith("stage.") for other in pane.numbers) >= MAX_STAGES:
        return None
    pane.number(name)
    return []


def metric_part(name: str) -> str:
    """Return a name from outside as a part of a metric's name: letters, digits, ``_`` and ``-``.

    >>> metric_part("rank v2.1")
    'rank_v2_1'
    """
    return "".join(char if char.isalnum() or char in "_-" else "_" for char in name)
