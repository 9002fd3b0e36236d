"""Tables of counts: of all panes of a feature so far, of each pane of the last two hours, and of windows that
slide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.windows.segment_series import HOUR_US

Counts = npt.NDArray[np.float64]
"""Whole numbers, exact."""

NEVER_US = 2**62
_BYTE = 256


class Entries:
    """Counts of panes that begin at the same time, without zeros, in the smallest types that fit.

    Attributes:
        columns, counts: of each count; no pair of row and column occurs twice.
    """

    __slots__ = ("_rows", "_sizes", "columns", "counts")

    def __init__(
        self, rows: Sequence[int], sizes: Sequence[int], columns: Sequence[int], counts: Sequence[int]
    ) -> None:
        self._rows, self._sizes = np.array(rows, np.uint16), np.array(sizes, np.uint16)
        self.columns: npt.NDArray[np.unsignedinteger[Any]] = np.array(
            columns, np.uint8 if max(columns, default=0) < _BYTE else np.uint16
        )
        self.counts: npt.NDArray[np.integer[Any]] = np.array(
            counts, np.uint8 if 0 <= min(counts, default=0) <= max(counts, default=0) < _BYTE else np.int64
        )

    @property
    def rows(self) -> npt.NDArray[np.uint16]:
        """The row of each count."""
        return np.repeat(self._rows, self._sizes)


class Sum:
    """Counts that are added up, shape (rows, columns). Row 0 is the sum of all others. Initially empty."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts: Counts = np.zeros((2, 64)) if counts is None else counts

    @classmethod
    def of(cls, parts: Sequence[Entries], rows: int, columns: int) -> Sum:
        """Add up some panes; ``rows`` and ``columns``: the least shape."""
        if not parts:
            return cls(np.zeros((rows, columns)))
        cells = np.concatenate([part.rows for part in parts]).astype(np.int64) * columns
        cells += np.concatenate([part.columns for part in parts])
        counts = np.concatenate([part.counts for part in parts])
        added: Counts = np.bincount(cells, counts, rows * columns).astype(np.float64, copy=False)
        out = added.reshape(rows, columns)
        out[0] = out.sum(axis=0)
        return cls(out)

    def add(self, entries: Entries, sign: int) -> None:
        """Add or subtract panes."""
        if not len(entries.columns):
            return
        rows, counts = entries.rows, entries.counts.astype(np.float64)
        self.shaped(int(rows.max()) + 1, int(entries.columns.max()) + 1)
        self._counts[rows, entries.columns] += sign * counts
        whole: Counts = np.bincount(entries.columns, counts).astype(np.float64, copy=False)
        self._counts[0, : len(whole)] += sign * whole

    def shaped(self, rows: int, columns: int) -> Counts:
        """Return the counts as an array of this shape; what was never counted is 0."""
        have = self._counts.shape
        if rows > have[0] or columns > have[1]:
            grown = np.zeros((max(have[0], rows + rows // 4), max(have[1], columns + columns // 4)))
            grown[: have[0], : have[1]] = self._counts
            self._counts = grown
        return self._counts[:rows, :columns]


class Table:
    """Counts by row and column: of all panes so far, and of each pane of the last two hours.

    Row 0 is the sum of all others.

    Attributes:
        columns: number of columns.
        kept_from_us: from where on the counts of each pane are kept.
    """

    def __init__(self) -> None:
        self.columns = 0
        self.kept_from_us = 0
        self.total = Sum()
        self._panes: dict[int, list[Entries]] = {}
        self._hours: dict[int, list[Entries]] = {}

    def new_column(self) -> int:
        """Add a column; return its number."""
        self.columns += 1
        return self.columns - 1

    def add(self, start_us: int | None, entries: Entries) -> None:
        """Add panes from ``start_us`` on; None: older than two hours."""
        self.total.add(entries, 1)
        if start_us is not None:
            self._panes.setdefault(start_us, []).append(entries)

    def drop_before(self, start_us: int) -> None:
        """Drop the counts by pane of older panes; the total and the hours keep them."""
        self.kept_from_us = max(self.kept_from_us, start_us)
        for begin_us in [begin_us for begin_us in self._panes if begin_us < start_us]:
            self._hours.setdefault(begin_us // HOUR_US, []).extend(self._panes.pop(begin_us))
        for hour in [hour for hour in self._hours if hour < start_us // HOUR_US - 1]:
            del self._hours[hour]

    def entries(self, start_us: int, end_us: int) -> list[Entries]:
        """Return the counts of the panes that start in [start, end)."""
        return [
            entries
            for begin_us, several in self._panes.items()
            if start_us <= begin_us < end_us
            for entries in several
        ]

    def entries_of_hour(self, hour: int) -> list[Entries]:
        """Return the counts of the panes of the last hour that ended two hours ago."""
        return self._hours.get(hour, []) + self.entries(hour * HOUR_US, (hour + 1) * HOUR_US)

    def between(self, start_us: int, end_us: int, rows: int) -> Sum:
        """Return the counts of the panes that start in [start, end)."""
        return Sum.of(self.entries(start_us, end_us), rows, self.columns)

    def before(self, end_us: int, rows: int) -> Sum:
        """Return the counts of all panes that start before a time, at most two hours ago."""
        later = self.between(end_us, NEVER_US, rows)
        return Sum(self.total.shaped(rows, self.columns) - later.shaped(rows, self.columns))


class SlidingCounts:
    """The counts of a table over a window of fixed length: panes that enter are added, those that leave are
    subtracted.
    """

    def __init__(self, table: Table, length_us: int) -> None:
        self._table, self._length_us = table, length_us
        self._end_us = 0
        self._counts = Sum()

    def move(self, end_us: int, rows: int) -> Counts:
        """Return the counts of the window that ends here, shape (rows, columns)."""
        table, since_us = self._table, self._end_us - self._length_us
        if not self._end_us or since_us < table.kept_from_us or self._end_us > end_us:
            self._counts = table.between(end_us - self._length_us, end_us, rows)
        elif self._end_us < end_us:
            for entries in table.entries(self._end_us, end_us):
                self._counts.add(entries, 1)
            for entries in table.entries(since_us, end_us - self._length_us):
                self._counts.add(entries, -1)
        self._end_us = end_us
        return self._counts.shaped(rows, table.columns)

    def add_late(self, start_us: int, entries: Entries) -> None:
        """Add counts of panes from ``start_us`` on, which were counted before."""
        if self._end_us - self._length_us <= start_us < self._end_us:
            self._counts.add(entries, 1)
