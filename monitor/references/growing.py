"""A reference that grows: all healthy panes of a series from a time on, merged, whose end moves on."""

from __future__ import annotations

from functools import partial

from monitor.references.blocks import block_reference, merged_blocks
from monitor.references.gaps import Gaps, lies_in_gap
from monitor.references.reference import Reference
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.text_blocks import BLOCK_US


class GrowingReference:
    """The panes of a series from ``since_us`` on that lie in no gap, added up. Initially empty.

    Attributes:
        until_us: it has all panes that start before.
    """

    __slots__ = (
        "_added",
        "_gaps",
        "_grows_by_blocks",
        "_is_read",
        "_last_block",
        "_reference",
        "_since_us",
        "_whole",
        "until_us",
    )

    def __init__(self, since_us: int, gaps: Gaps) -> None:
        self.until_us = since_us
        self._since_us = since_us
        self._gaps = gaps
        self._whole: Pane | None = None
        self._grows_by_blocks = False
        self._last_block = 0
        self._added: list[tuple[int, Pane]] = []  # number of the block, and counts that are not merged yet
        self._reference: Reference | None = None
        self._is_read = False  # whether ``_reference`` is that of the present counts

    @property
    def events(self) -> int:
        """Events counted so far, unweighted."""
        added = sum(pane.events for _, pane in self._added)
        return added if self._whole is None else self._whole.events + added

    def find(
        self, name: str, feature: FeatureState, segment_key: SegmentKey | None, end_us: int
    ) -> Reference | None:
        """Return the reference of the panes before ``end_us``; None if they are too few.

        Args:
            name: of the reference.
            segment_key: the series, always the same; None for the whole feature.
            end_us: ``until_us`` or later.
        """
        if self.until_us < end_us:
            feature.cache.extend(end_us)
            added = merged_blocks(feature, segment_key, self.until_us, end_us, self._since_us, self._gaps)
            self._added += [(number, pane) for number, pane in sorted(added.items())]
            self._grows_by_blocks = end_us - self.until_us >= BLOCK_US
            self.until_us, self._is_read = end_us, False
        if self._added:
            self._merge()
            feature.cache.grown.append(self)
        if not self._is_read and self._whole is not None:
            arguments = (feature, segment_key, self._since_us, self.until_us, self._since_us, self._gaps)
            self._reference = block_reference(
                name, self._whole, self._last_block, self.until_us, BLOCK_US, partial(_blocks, *arguments)
            )
        self._is_read = True
        return self._reference

    def add_late(self, counts: Pane, *, has_new_rate: bool) -> None:
        """Add counts of a pane that starts before ``until_us``."""
        start_us = counts.start_us
        if start_us < self._since_us or lies_in_gap(self._gaps, start_us, start_us + 1, self._since_us):
            return
        self._added.append((start_us // BLOCK_US, counts))
        self._is_read = False

    def shrink(self) -> None:
        """Pack the sum, unless it grows at each edge."""
        if self._whole is not None and self._grows_by_blocks:
            self._whole.shrink()

    def _merge(self) -> None:
        """Merge what was added, in place."""
        whole = Pane(self._added[0][1].start_us) if self._whole is None else self._whole
        for number, pane in self._added:
            whole.start_us = min(whole.start_us, pane.start_us)
            self._last_block = max(self._last_block, number)
            whole.merge(pane)
        self._whole, self._added = whole, []


def _blocks(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    since_us: int,
    gaps: Gaps,
) -> tuple[Pane, ...]:
    blocks = merged_blocks(feature, segment_key, start_us, end_us, since_us, gaps)
    return tuple(pane for _, pane in sorted(blocks.items()))
