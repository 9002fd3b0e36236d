"""What references and rules keep of the panes of a feature's series, and what a late event changes in it.

A result that spans panes that have changed is dropped, of the series of the pane and of the whole feature
only. What only adds panes up (``Sum``) is corrected instead, by the difference that was counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from monitor.windows.count_columns import CountColumns
from monitor.windows.pane import Pane
from monitor.windows.pane_difference import pane_difference
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import DAY_US, SegmentSeries
from monitor.windows.text_blocks import BLOCK_US

PAUSE_US = 10 * 60 * 1_000_000
"""After panes were merged into others, more may be: the arrays are made again later."""
ODD_US = DAY_US
"""Where events have several weights, they have them tomorrow."""


class Sum(Protocol):
    """The panes of a series that start before ``until_us``, added up."""

    until_us: int

    def add_late(self, counts: Pane, *, has_new_rate: bool) -> None:
        """Add counts of the pane from ``counts.start_us`` on, which is before ``until_us``.

        ``has_new_rate``: whether the pane may have had none of a rate before.
        """

    def shrink(self) -> None:
        """Take less memory until the sum grows again."""


class SeriesCache:
    """Results of one series: a segment, or the whole feature. Initially empty.

    Attributes:
        results: key -> the time before which all panes start that the value depends on, and the value.
        texts: the same for text blocks.
        sums: key -> a sum of panes.
        blocks: number of a block of five minutes -> its panes merged, packed.
    """

    __slots__ = ("blocks", "results", "sums", "texts")

    def __init__(self) -> None:
        self.results: dict[Any, tuple[int, Any]] = {}
        self.texts: dict[Any, tuple[int, Any]] = {}
        self.sums: dict[Any, Sum] = {}
        self.blocks: dict[int, Pane] = {}

    def drop(self, start_us: int) -> None:
        """Drop what depends on the pane from ``start_us`` on."""
        self.blocks.pop(start_us // BLOCK_US, None)
        self.results = _before(self.results, start_us)
        self.texts = _before(self.texts, start_us)
        self.sums = {key: total for key, total in self.sums.items() if total.until_us <= start_us}

    def add_late(self, counts: Pane, *, has_new_rate: bool) -> None:
        """Correct the sums and the block by counts of one pane."""
        for total in self.sums.values():
            if counts.start_us < total.until_us:
                total.add_late(counts, has_new_rate=has_new_rate)
        if (block := self.blocks.get(counts.start_us // BLOCK_US)) is not None:
            block.start_us = min(block.start_us, counts.start_us)
            block.merge(counts)
            block.pack(block.state())


def _before(results: dict[Any, tuple[int, Any]], start_us: int) -> dict[Any, tuple[int, Any]]:
    if all(until_us <= start_us for until_us, _ in results.values()):
        return results
    return {key: result for key, result in results.items() if result[0] <= start_us}


class FeatureCache:
    """The caches of all series of a feature. Nothing in them is state: they follow from the panes.

    Attributes:
        until_us: no pane that starts then or later is part of any cached result.
        merged_panes: start of a fine pane -> those of all segments merged; of one segment, its own.
        grown: sums that were merged since the last ``pack``.
    """

    def __init__(self) -> None:
        self.until_us = 0
        self.merged_panes: dict[int, Pane] = {}
        self.grown: list[Sum] = []
        self._series: dict[SegmentKey | None, SeriesCache] = {}
        self._columns: CountColumns | None = None
        self._columns_from_us = 0
        self._earlier: dict[tuple[SegmentKey, int], bytes | None] = {}

    @property
    def has_late_counts(self) -> bool:
        """Whether ``add_late_counts`` has anything to add."""
        return bool(self._earlier)

    @property
    def reads_panes(self) -> bool:
        """Whether rules read the panes at each edge, because there are no arrays."""
        return self._columns is None

    def for_series(self, segment_key: SegmentKey | None) -> SeriesCache:
        """Return the cache of a series; ``segment_key`` None: of the whole feature."""
        cache = self._series.get(segment_key)
        if cache is None:
            cache = self._series[segment_key] = SeriesCache()
        return cache

    def count_columns(
        self, segments: Mapping[SegmentKey, SegmentSeries], edge_us: int, pane_us: int
    ) -> CountColumns | None:
        """Return the counts of all series up to an edge as arrays; None while they are not to be had."""
        if edge_us < self._columns_from_us:
            return None
        if self._columns is None:
            self._columns = CountColumns()
        if not self._columns.update(segments, edge_us, pane_us):
            self._columns_from_us = edge_us + (ODD_US if self._columns.is_odd else 1)
            self._columns = None
        self.extend(edge_us)
        return self._columns

    def extend(self, until_us: int) -> None:
        """Note that panes before ``until_us`` will be part of a result."""
        self.until_us = max(self.until_us, until_us)

    def pack(self) -> None:
        """Pack the sums that have grown, after rules have read them."""
        for total in self.grown:
            total.shrink()
        self.grown = []

    def pack_merged(self, segments: Mapping[SegmentKey, SegmentSeries], start_us: int) -> None:
        """Pack the merged pane from ``start_us`` on, unless it is the pane of a segment."""
        merged = self.merged_panes.get(start_us)
        if merged is not None and not _is_own(merged, segments):
            merged.shrink()

    def drop(self, segment_key: SegmentKey, start_us: int, *, is_moved: bool = False) -> None:
        """Drop what depends on a pane that has changed; ``is_moved``: it only went to another resolution."""
        if not is_moved and self._columns is not None:
            self._columns_from_us = self._columns.until_us + PAUSE_US
            self._columns = None
        self.merged_panes.pop(start_us, None)
        if start_us < self.until_us:
            for key in (segment_key, None):
                if (cache := self._series.get(key)) is not None:
                    cache.drop(start_us)

    def drop_texts(self, segment_key: SegmentKey, start_us: int) -> None:
        """Drop what depends on a text block that has changed."""
        if start_us < self.until_us:
            for key in (segment_key, None):
                if (cache := self._series.get(key)) is not None:
                    cache.texts = _before(cache.texts, start_us)

    def drop_segment(self, segment_key: SegmentKey) -> None:
        """Drop the cache of a segment that is dropped."""
        self._series.pop(segment_key, None)

    def clear(self) -> None:
        """Drop all results."""
        self._series.clear()
        for _, start_us in self._earlier:
            self.merged_panes.pop(start_us, None)
        self._earlier.clear()
        self.grown = []
        self.until_us = 0 if self._columns is None else self._columns.until_us

    def expect_counts(self, segment_key: SegmentKey, start_us: int, pane: Pane | None) -> None:
        """Prepare for counts of a pane that is part of results.

        ``pane``: as it is before them, None if it does not exist. Results that are no sums are dropped.
        """
        if start_us >= self.until_us:
            self.merged_panes.pop(start_us, None)
            return
        if (segment_key, start_us) in self._earlier:
            return
        self._earlier[segment_key, start_us] = None if pane is None else pane.packed_state()
        for key in (segment_key, None):
            if (cache := self._series.get(key)) is not None:
                cache.results = _before(cache.results, start_us)

    def add_late_counts(self, segments: Mapping[SegmentKey, SegmentSeries]) -> None:
        """Correct the sums by what was counted since ``expect_counts``. To be called before any is read."""
        if not self._earlier:
            return
        earlier, self._earlier = self._earlier, {}
        for (segment_key, start_us), state in earlier.items():
            segment = segments.get(segment_key)
            if segment is None or (pane := segment.panes.get(start_us)) is None:
                continue  # it was merged into `other`, or rolled up: this dropped the sums and the merged pane
            before = Pane(start_us) if state is None else Pane.from_state(start_us, state).unpacked()
            counts = pane_difference(pane, before)
            if counts is None:
                self.drop(segment_key, start_us)
                continue
            self._add_to_merged(segments, counts)
            if self._columns is not None and start_us < self._columns.until_us:
                self._columns.add_late(segment_key, counts)
            for key in (segment_key, None):
                if (cache := self._series.get(key)) is not None:
                    cache.add_late(counts, has_new_rate=not counts.rates.keys() <= before.rates.keys())

    def _add_to_merged(self, segments: Mapping[SegmentKey, SegmentSeries], counts: Pane) -> None:
        """Add counts to the merged pane. If this is the pane of a segment, it is merged anew when it is read."""
        merged = self.merged_panes.get(counts.start_us)
        if merged is None:
            return
        if _is_own(merged, segments):
            del self.merged_panes[counts.start_us]
        else:
            merged.merge(counts)


def _is_own(merged: Pane, segments: Mapping[SegmentKey, SegmentSeries]) -> bool:
    """Return whether a merged pane is the pane of the only segment that has one."""
    return any(segment.panes.get(merged.start_us) is merged for segment in segments.values())
