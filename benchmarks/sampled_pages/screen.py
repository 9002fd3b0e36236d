"""Find the lives of sampled features that might page, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.baseline_bank import BaselineBank, Floats
from benchmarks.false_pages.traffic import MINUTES
from benchmarks.sampled_pages.designs import DESIGNS, Cell, Day, weights_of
from benchmarks.sampled_pages.meters import MeteredBaselines, MeteredDay
from benchmarks.window_screen import Bools, Counts, may_be_silent, may_breach

EARLY_SHARE = 1000.0
"""The statistic is counted when it reaches this part of its bound, which chance can show."""
ERROR_LIMIT, FLOOR = 0.02, 0.5  # the default thresholds on failures

Key = tuple[str, int | None]
"""A rate, and the segment; None: the whole feature."""


class SeriesCounts(NamedTuple):
    """Events and failures of one rate of one level, shape (minutes, lives, classes), and the classes present."""

    events: Counts
    failed: Counts
    present: Bools


def series_of(cell: Cell, day: Day) -> dict[Key, SeriesCounts]:
    """Return the rates of a day: (metric, segment; None: the feature) -> counts. Rates that equal another of
    the same feature, and those that nothing fails, are left out.
    """
    samplings, weights = DESIGNS[cell.design], weights_of(cell.design)
    metrics = ["error"] if not cell.rates[1] else ["error", "refusal", "pass"]
    out: dict[Key, SeriesCounts] = {}
    for metric in metrics:
        for nth, s in enumerate(samplings):
            shape = (*day.errors[:, nth].shape, len(weights))
            events, failed, present = (
                np.zeros(shape, np.int32),
                np.zeros(shape, np.int32),
                np.zeros(shape, bool),
            )
            error, call, text = (
                weights.index(1 / p) for p in (s.of_errors, s.of_others, s.of_others * s.of_text)
            )
            errors, read = day.errors[:, nth], day.refused[:, nth] + day.passed[:, nth]
            if metric != "refusal":
                events[..., error] += errors
                failed[..., error] += errors
                present[..., call] |= errors > 0
            if metric == "error":
                events[..., call] += read + day.unread[:, nth]
            else:
                events[..., text] += read
                failed[..., text] += day.refused[:, nth]
            out[metric, nth] = SeriesCounts(events, failed, present | (events > 0))
        parts = [out[metric, nth] for nth in range(len(samplings))]
        if len(parts) > 1:
            out[metric, None] = SeriesCounts(
                sum(part.events for part in parts),  # type: ignore[arg-type]
                sum(part.failed for part in parts),  # type: ignore[arg-type]
                np.logical_or.reduce([part.present for part in parts]),
            )
    return out


class Screen:
    """Screens the lives of cells of one design, day by day. All their series are in one bank."""

    def __init__(self, cells: Sequence[Cell], lives: int) -> None:
        self.cells, self.lives = cells, lives
        self.weights = weights_of(cells[0].design)
        self.keys: list[tuple[Cell, Key]] = []
        self.bank = BaselineBank(0, self.weights)
        self.largest = self.blocks = np.zeros(0)
        self._days: list[dict[tuple[Cell, Key], SeriesCounts]] = []
        self._responses: dict[Cell, list[Counts]] = {cell: [] for cell in cells}
        self.metered = MeteredBaselines(len(cells) * lives, self.weights) if cells[0].has_meters else None
        self._calls: dict[Cell, list[SeriesCounts]] = {cell: [] for cell in cells}

    def add(self, nth: int, days: Sequence[Day], meters: Sequence[MeteredDay] = ()) -> None:
        """Feed one day of each cell to the baselines, and keep its counts for ``marked``.

        Args:
            nth: number of the day, from 0.
            days: of the cells; ``meters``: likewise, if their designs have meters.
        """
        series = {
            (cell, key): counts
            for cell, day in zip(self.cells, days, strict=True)
            for key, counts in series_of(cell, day).items()
        }
        if not self.keys:
            self.keys, streams = list(series), len(series) * self.lives
            self.bank = BaselineBank(streams, self.weights)
            self.largest, self.blocks = np.zeros((2, streams))
        events, failed, present = (
            np.concatenate(parts, 1) for parts in zip(*(series[key] for key in self.keys), strict=True)
        )
        for minute in range(len(events)):
            rows, statistic = self.bank.feed(
                nth * MINUTES + minute + 1, events[minute], failed[minute], present[minute]
            )
            self.largest[rows] = np.maximum(self.largest[rows], statistic)
            self.blocks[rows] += 1
        self._days.append({key: counts for key, counts in series.items() if key[1][0] != "refusal"})
        for cell, day in zip(self.cells, days, strict=True):
            self._responses[cell].append(sum(kind.sum(1) for kind in day))  # type: ignore[arg-type]
        if self.metered is not None:
            self._add_calls(nth, [series[cell, ("error", 0)] for cell in self.cells], meters)

    def _add_calls(self, nth: int, errors: Sequence[SeriesCounts], meters: Sequence[MeteredDay]) -> None:
        """Feed the errors of a day to the baselines of whole features, which read their meters."""
        assert self.metered is not None
        events, failed, present = (np.concatenate(parts, 1) for parts in zip(*errors, strict=True))
        calls = np.concatenate([day.n for day in meters], 1)
        crossing = np.concatenate([day.crossing for day in meters], 1)
        crossing[1:] += crossing[:-1].copy()
        for minute in range(len(calls)):
            block = events[minute], failed[minute], present[minute], calls[minute], crossing[minute]
            self.metered.feed(nth * MINUTES + minute + 1, *block)
        for cell, counts, day in zip(self.cells, errors, meters, strict=True):
            failures = counts.failed.sum(2, keepdims=True)
            n = np.maximum(day.n[..., None], failures).astype(np.int32)
            self._calls[cell].append(SeriesCounts(n, failures, n > 0))

    def marked(self, cell: Cell) -> Bools:
        """Return the lives of a cell that might page."""
        marked = may_be_silent(np.concatenate(self._responses[cell]))
        marked |= (self._of(self.largest, cell) >= self.bank.bound / 2).any(0)
        own = [key for key in self._days[0] if key[0] == cell]
        has_pass_rate = any(metric == "pass" for _, (metric, _) in own)
        for key in own:
            events, failed, present = (
                np.concatenate(parts) for parts in zip(*(day[key] for day in self._days), strict=True)
            )
            heaviest = np.where(np.logical_or.accumulate(present, 0), self.weights, 0.0).max(2)
            is_error = key[1][0] == "error"
            limits = [ERROR_LIMIT] if is_error else [FLOOR]
            if is_error and not has_pass_rate:
                limits.append(FLOOR)  # the failures of both rates are the same
            for limit in limits:
                marked |= may_breach(events, failed, self.weights, limit, heaviest)
        if self.metered is not None:
            marked |= self._of_cell(self.metered.largest, cell) >= self.bank.bound / 2
            calls, failed, _ = (np.concatenate(parts) for parts in zip(*self._calls[cell], strict=True))
            marked |= may_breach(calls, failed, [1.0], ERROR_LIMIT, np.ones(calls.shape[:2]))
        return marked

    def count(self, cell: Cell) -> tuple[int, int]:
        """Return the blocks of a cell, and in how many series and lives the statistic reached
        ``1 / EARLY_SHARE`` of its bound.
        """
        early = int((self._of(self.largest, cell) >= self.bank.bound / EARLY_SHARE).sum())
        blocks = int(self._of(self.blocks, cell).sum())
        if self.metered is not None:
            early += int((self._of_cell(self.metered.largest, cell) >= self.bank.bound / EARLY_SHARE).sum())
            blocks += int(self._of_cell(self.metered.blocks, cell).sum())
        return blocks, early

    def _of(self, column: Floats, cell: Cell) -> Floats:
        chosen = [nth for nth, (owner, _) in enumerate(self.keys) if owner == cell]
        return column.reshape(len(self.keys), self.lives)[chosen]

    def _of_cell(self, column: Floats, cell: Cell) -> Floats:
        return column.reshape(len(self.cells), self.lives)[self.cells.index(cell)]
