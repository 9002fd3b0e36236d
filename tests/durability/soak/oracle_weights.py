"""Heaviest known weights of each rate and series at an edge: decision 30."""

from __future__ import annotations

from typing import Any

from tests.durability.soak import oracle_figures as figures

FORGET = 100  # a weight is forgotten after this many times the calls that it stands for

Column = tuple[float, float, float]  # heaviest weight, calls counted since it was seen, heaviest since then


class Weights:
    """Weights of the rates of a feature, by segment; None: the whole feature."""

    def __init__(self) -> None:
        self._columns: dict[tuple[Any, str], tuple[Column, Column]] = {}
        self._passed: set[tuple[Any, str]] = set()

    def observe(self, segment_key: Any, name: str, classes: figures.Classes) -> None:
        """Add the counts since the last edge. Classes without events are known, too."""
        column = segment_key, name
        nothing = (0.0, 0.0, 0.0)
        every, failed = self._columns.get(column, (nothing, nothing))
        if any(n > f for n, f in classes.values()):
            self._passed.add(column)
        self._columns[column] = (
            _after(every, {figures.WHOLE / ppm: n for ppm, (n, _) in classes.items()}),
            _after(failed, {figures.WHOLE / ppm: f for ppm, (_, f) in classes.items() if f}),
        )

    def units(self, segment_key: Any, name: str) -> figures.Units:
        """Return the heaviest weights; for a series without successes, those of the whole feature."""
        column = segment_key, name
        if column not in self._passed and (None, name) in self._columns:
            column = None, name
        every, failed = self._columns.get(column, ((0.0,), (0.0,)))
        return every[0], failed[0]


def _after(column: Column, counts: dict[float, int]) -> Column:
    if not counts:
        return column
    if max(counts) >= column[0]:
        return max(counts), 0.0, 0.0
    since, following = column[1] + sum(w * n for w, n in counts.items()), max(column[2], *counts)
    return (following, 0.0, 0.0) if since >= FORGET * column[0] else (column[0], since, following)
