"""The counts of all series of a feature as arrays: those of its newest panes, and those of all panes so far.

Reading rules on one series after the other takes a millisecond for each. From these arrays rules decide for all
series at once which of them cannot breach, so that few are read. Arrays are no state: they follow from the panes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from monitor.stats.exponential_buckets import MAX_SCALE
from monitor.windows.count_tables import NEVER_US, Counts, Entries, SlidingCounts, Sum, Table
from monitor.windows.metric_definitions import CATEGORIES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR, SegmentSeries

EVENTS = "events"
"""Name of the rate that counts the events of a pane as ``n``, and the pane itself as a failure."""
MAX_LABELS = 60
"""Labels of a category. With more, panes that merge may count some as ``other``."""
MAX_COLUMNS = 20_000
CHUNK = 8
"""Neighbouring bucket codes that get columns together."""
MAX_CATCH_UP = 200
"""Panes between two updates; after a longer pause the arrays are made anew."""
_KEPT_US = FINE_RETENTION_US + 600_000_000
MAX_BEFORE = 2
"""References that are kept at a time, those that were read last."""
SLIDING_US = 600_000_000
"""Longest window of labels and buckets that is kept from edge to edge; longer ones are read less often."""
_ABSENT = {category.name: category.absent for category in CATEGORIES}
_Key = TypeVar("_Key", int, str)


class Before:
    """The counts of all panes that start before a time: a reference that began with the first pane.

    Attributes:
        end_us: the time.
        rates, others: counts of rates, and of labels and buckets.
        results: what follows from the counts; dropped when late events change them.
    """

    def __init__(self, end_us: int, rates: Sum, others: Sum) -> None:
        self.end_us, self.rates, self.others = end_us, rates, others
        self.results: dict[Any, Any] = {}


class CountColumns:
    """The counts of one feature. Initially without panes.

    In each array that methods return, row 0 is the whole feature and each segment has a row.

    Attributes:
        until_us: all panes that start before are counted.
        is_odd: something was counted that the arrays do not show: several weights of one statistic, a coarse
            grid, too many labels. Then nothing more is counted.
        rows: segment (None: the whole feature) -> row.
        first_us: start of the first pane of each row.
        rates: name -> the columns of its n and its failures in the table of rates.
        labels: category -> label -> column; numbers: name -> bucket code -> column.
        weights: statistic -> the sampling probability of its events, parts per million.
        results: what rules keep as long as these arrays.
    """

    def __init__(self) -> None:
        self.until_us = 0
        self.is_odd = False
        self.rows: dict[SegmentKey | None, int] = {None: 0}
        self.first_us: list[int] = [NEVER_US]
        self.rates: dict[str, tuple[int, int]] = {}
        self.labels: dict[str, dict[str, int]] = {}
        self.numbers: dict[str, dict[int, int]] = {}
        self.weights: dict[str, int] = {}
        self.results: dict[Any, Any] = {}
        self._rates, self._others = Table(), Table()
        self._sliding: dict[tuple[bool, int], SlidingCounts] = {}
        self._before: dict[int, Before] = {}
        self._add_rate(EVENTS)

    @property
    def widths(self) -> tuple[int, int]:
        """The numbers of columns: of rates, and of labels and buckets."""
        return self._rates.columns, self._others.columns

    @property
    def shape_of_rates(self) -> tuple[int, int]:
        """The shape of arrays of rates."""
        return len(self.rows), self._rates.columns

    @property
    def shape_of_others(self) -> tuple[int, int]:
        """The shape of arrays of labels and buckets."""
        return len(self.rows), self._others.columns

    def update(self, segments: Mapping[SegmentKey, SegmentSeries], edge_us: int, pane_us: int) -> bool:
        """Count the panes up to an edge; return whether all are counted. If not, the arrays are useless."""
        if self.until_us and edge_us - self.until_us > MAX_CATCH_UP * pane_us:
            return False
        if not self.until_us:
            self._count_all(segments, edge_us)
        else:
            for start_us in range(self.until_us, edge_us, pane_us):
                panes = [
                    (key, pane)
                    for key, segment in segments.items()
                    if (pane := segment.panes.get(start_us)) is not None
                ]
                if panes:
                    self._count(start_us, panes)
        self.until_us = edge_us
        for table in (self._rates, self._others):
            table.drop_before(edge_us - _KEPT_US)
        return not self.is_odd

    def add_late(self, segment_key: SegmentKey, counts: Pane) -> None:
        """Add what was counted into a pane after ``update`` had counted it."""
        rates, others = self._count(counts.start_us, [(segment_key, counts)])
        for (of_rates, _), window in self._sliding.items():
            window.add_late(counts.start_us, rates if of_rates else others)
        for before in self._before.values():
            if counts.start_us < before.end_us:
                before.rates.add(rates, 1)
                before.others.add(others, 1)
                before.results.clear()

    def rates_within(self, length_us: int, edge_us: int) -> Counts:
        """Return the counts of rates in a window of two hours at most that ends at an edge."""
        return self._window(True, length_us).move(edge_us, len(self.rows))

    def within(self, length_us: int, edge_us: int) -> Counts:
        """Return the counts of labels and buckets in a window that ends at an edge. Only a short one slides."""
        if length_us > SLIDING_US:
            rows, start_us = len(self.rows), edge_us - length_us
            return self._others.between(start_us, edge_us, rows).shaped(rows, self._others.columns)
        return self._window(False, length_us).move(edge_us, len(self.rows))

    def before(self, end_us: int) -> Before:
        """Return the counts of all panes that start before a time, at most two hours ago."""
        known = self._before.get(end_us)
        if known is None:
            rows = len(self.rows)
            for old_us in [old_us for old_us in self._before if old_us < end_us - _KEPT_US]:
                del self._before[old_us]
            while len(self._before) >= MAX_BEFORE:
                del self._before[next(iter(self._before))]
            known = Before(end_us, self._rates.before(end_us, rows), self._others.before(end_us, rows))
        else:
            del self._before[end_us]
        self._before[end_us] = known
        return known

    def panes_between(self, start_us: int, end_us: int) -> Counts:
        """Return how many panes of each row start in [start, end), at most two hours ago."""
        rows = len(self.rows)
        counts = self._rates.between(start_us, end_us, rows).shaped(rows, self._rates.columns)
        return counts[:, self.rates[EVENTS][1]]

    def entries_of_hour(self, hour: int) -> tuple[list[Entries], list[Entries]]:
        """Return what the last hour counted that ended two hours ago: rates, and labels and buckets.

        ``hour``: its number since 1970.
        """
        return self._rates.entries_of_hour(hour), self._others.entries_of_hour(hour)

    def entries_of(self, row: int, pane: Pane) -> tuple[Entries, Entries]:
        """Return the counts of a pane of any length for one row. Columns may be added."""
        parts = self._entries(pane)
        return (
            Entries([row], [len(parts[0])], parts[0], parts[1]),
            Entries([row], [len(parts[2])], parts[2], parts[3]),
        )

    def _window(self, of_rates: bool, length_us: int) -> SlidingCounts:
        window = self._sliding.get((of_rates, length_us))
        if window is None:
            table = self._rates if of_rates else self._others
            window = self._sliding[of_rates, length_us] = SlidingCounts(table, length_us)
        return window

    def _count_all(self, segments: Mapping[SegmentKey, SegmentSeries], edge_us: int) -> None:
        """Count all panes: of a new feature, or after a restart."""
        by_start: dict[int, list[tuple[SegmentKey, Pane]]] = {}
        for key, segment in segments.items():
            for hour in segment.panes_by_resolution[HOUR].values():
                self._count(hour.start_us, [(key, hour)], is_fine=False)
            for start_us, pane in segment.panes.items():
                if start_us < edge_us:
                    by_start.setdefault(start_us, []).append((key, pane))
        for start_us in sorted(by_start):
            self._count(start_us, by_start[start_us])

    def _count(
        self, start_us: int, panes: Sequence[tuple[SegmentKey, Pane]], *, is_fine: bool = True
    ) -> tuple[Entries, Entries]:
        """Count panes that begin at the same time; return their counts, as ``entries_of``."""
        rows = list[int]()
        sizes: tuple[list[int], list[int]] = [], []
        merged: tuple[list[int], list[int], list[int], list[int]] = [], [], [], []
        for key, pane in panes if not self.is_odd else ():
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = len(self.rows)
                self.first_us.append(start_us)
            self.first_us[row] = min(self.first_us[row], start_us)
            self.first_us[0] = min(self.first_us[0], start_us)
            parts = self._entries(pane)
            rows.append(row)
            sizes[0].append(len(parts[0]))
            sizes[1].append(len(parts[2]))
            for own, added in zip(merged, parts, strict=True):
                own += added
        at_us = start_us if is_fine else None
        rates, others = Entries(rows, sizes[0], *merged[:2]), Entries(rows, sizes[1], *merged[2:])
        self._rates.add(at_us, rates)
        self._others.add(at_us, others)
        return rates, others

    def _entries(self, pane: Pane) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return columns and counts in the table of rates, and in the other one."""
        pane = pane.unpacked()
        rate_columns, rate_counts = list(self.rates[EVENTS]), [pane.events, 1]
        columns, counts = list[int](), list[int]()
        for name, rate in pane.rates.items():
            pair = self.rates.get(name) or self._add_rate(name)
            if self._is_plain(name, rate.level, rate.classes):
                for n, failures in rate.classes.values():
                    if failures:
                        rate_columns += pair
                        rate_counts += (n, failures)
                    elif n:
                        rate_columns.append(pair[0])
                        rate_counts.append(n)
        for name, number in pane.numbers.items():
            codes = self.numbers.setdefault(name, {})
            if self._is_plain(name, number.level + MAX_SCALE - number.scale, number.classes):
                for histogram in number.classes.values():
                    if not histogram.buckets.keys() <= codes.keys():
                        self._add_codes(codes, histogram.buckets)
                    self._put(codes, histogram.buckets, columns, counts)
        for name, category in pane.categories.items():
            labels = self.labels.get(name)
            if labels is None:
                labels = self._add_category(name)
            if self._is_plain(name, category.level, category.classes):
                for names in category.classes.values():
                    self._put(labels, names, columns, counts)
            if len(labels) > MAX_LABELS:
                self.is_odd = True
        if self._others.columns > MAX_COLUMNS:
            self.is_odd = True
        return rate_columns, rate_counts, columns, counts

    def _is_plain(self, name: str, coarseness: int, classes: Mapping[int, object]) -> bool:
        """Return whether a statistic has the finest grid and the weight that it had before."""
        for ppm in classes:
            if ppm != self.weights.setdefault(name, ppm):
                self.is_odd = True
        if coarseness or len(classes) > 1:
            self.is_odd = True
        return not self.is_odd

    def _put(
        self, known: dict[_Key, int], added: Mapping[_Key, int], columns: list[int], counts: list[int]
    ) -> None:
        """Append the counts of a statistic; what it did not have before gets a column."""
        if not added.keys() <= known.keys():
            for key in added:
                if key not in known:
                    known[key] = self._others.new_column()
        columns += [known[key] for key in added]
        counts += added.values()

    def _add_codes(self, codes: dict[int, int], added: Iterable[int]) -> None:
        """Add columns for codes and their neighbours, so that a number soon has all that it needs."""
        for code in added:
            if code not in codes:
                first = code // CHUNK * CHUNK
                for other in range(first, first + CHUNK):
                    codes[other] = self._others.new_column()

    def _add_rate(self, name: str) -> tuple[int, int]:
        self.rates[name] = self._rates.new_column(), self._rates.new_column()
        return self.rates[name]

    def _add_category(self, name: str) -> dict[str, int]:
        labels = self.labels[name] = {}
        if (absent := _ABSENT.get(name)) is not None:
            labels[absent] = self._others.new_column()
        return labels
