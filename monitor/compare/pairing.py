"""Pair the cells of two arms: only times and strata in which both have events are compared.

So a daily cycle, or a mix of tenants that one arm has more of, cannot make a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Generic, NamedTuple, TypeVar

from monitor.compare.arm import CellKey, weighted_size
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION

S = TypeVar("S", Rate, NumberSummary, CategoryCounts)

MINUTE_US = 60_000_000
WHOLE = 0
"""Cell length of a comparison of whole periods, of arms that never ran at the same time."""

HEAVY_EVENTS = 10
"""Events of the heaviest weight that both arms of a cell must stand for, if events have several weights."""
LONGEST_CELL_US = 60 * MINUTE_US
"""Longest cell that is merged for that."""


class Pair(NamedTuple, Generic[S]):
    """A cell with events of both arms, and the factor by which the events of each count.

    The factors are those of Mantel and Haenszel: the weight of a cell is the harmonic mean of both sizes.
    """

    a: S
    b: S
    a_factor: float
    b_factor: float


def pair_cells(a: Mapping[CellKey, S], b: Mapping[CellKey, S], length_us: int = MINUTE_US) -> list[Pair[S]]:
    """Return the cells in which both arms have events.

    If the events of an arm have several weights, consecutive cells are merged until each arm stands for
    ``HEAVY_EVENTS`` of its heaviest weight, or an hour is over. Otherwise a minute in which only a failure was
    sampled, because failures are always kept, would count as a minute of failures.

    Args:
        a, b: statistics of one metric by minute and stratum.
        length_us: length of a cell, a multiple of a minute; ``WHOLE``: one cell for each stratum.

    Source: Mantel, Haenszel, JNCI 22 (1959), the weights n_a n_b / (n_a + n_b).
    """
    weights_a, weights_b = _weight_classes(a.values()), _weight_classes(b.values())
    is_weighted = len(weights_a) > 1 or len(weights_b) > 1
    pairs: list[Pair[S]] = []
    for _, keys in groupby(sorted({*a, *b}, key=_stratum_first), key=lambda key: key.stratum):
        cells = _cells(list(keys), length_us)
        if is_weighted and length_us != WHOLE:
            least = HEAVY_EVENTS * MILLION / min(weights_a), HEAVY_EVENTS * MILLION / min(weights_b)
            cells = _merged(cells, a, b, least)
        for cell in cells:
            of_a, of_b = _sum(a, cell), _sum(b, cell)
            if of_a is None or of_b is None:
                continue
            n_a, n_b = weighted_size(of_a), weighted_size(of_b)
            if n_a > 0 and n_b > 0:
                pairs.append(Pair(of_a, of_b, n_b / (n_a + n_b), n_a / (n_a + n_b)))
    return pairs


def _stratum_first(key: CellKey) -> tuple[tuple[str, ...], int]:
    return key.stratum, key.start_us


def _cells(keys: Sequence[CellKey], length_us: int) -> list[list[CellKey]]:
    if length_us == WHOLE:
        return [list(keys)]
    return [list(cell) for _, cell in groupby(keys, key=lambda key: key.start_us // length_us)]


def _merged(
    cells: Sequence[list[CellKey]],
    a: Mapping[CellKey, S],
    b: Mapping[CellKey, S],
    least: tuple[float, float],
) -> list[list[CellKey]]:
    """Return the cells, consecutive ones merged until both arms have the least size or an hour is over."""
    out: list[list[CellKey]] = []
    waiting: list[CellKey] = []
    sizes = [0.0, 0.0]
    for cell in cells:
        if waiting and cell[0].start_us - waiting[0].start_us >= LONGEST_CELL_US:
            out.append(waiting)
            waiting, sizes = [], [0.0, 0.0]
        waiting = waiting + cell
        for index, arm in enumerate((a, b)):
            sizes[index] += sum(weighted_size(arm[key]) for key in cell if key in arm)
        if sizes[0] >= least[0] and sizes[1] >= least[1]:
            out.append(waiting)
            waiting, sizes = [], [0.0, 0.0]
    return [*out, waiting] if waiting else out


def _sum(arm: Mapping[CellKey, S], cell: Sequence[CellKey]) -> S | None:
    found = [arm[key] for key in cell if key in arm]
    if len(found) < 2:
        return found[0] if found else None
    total = type(found[0])()
    for statistic in found:
        total.merge(statistic)
    return total


def _weight_classes(statistics: Iterable[S]) -> set[int]:
    """Return the sampling probabilities that occur or are known of, in millionths; that of a plain event without any."""
    return set().union(*(statistic.classes for statistic in statistics)) or {MILLION}
