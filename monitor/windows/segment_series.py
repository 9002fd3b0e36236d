"""The panes and texts of one segment, at three resolutions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.text_blocks import TextBlock

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
FINE_RETENTION_US = 2 * HOUR_US
HOUR_RETENTION_US = 8 * DAY_US
DAY_RETENTION_US = 90 * DAY_US
LATE_US = HOUR_US // 2
"""Rules read events that arrive at most this long after their time."""
FINE, HOUR, DAY = "pane", "hour", "day"
"""Resolutions, as keys of state records name them."""
LATE = "late"
"""Fine panes of events that arrived later than ``LATE_US``: windows include them, no rule reads them."""


@lru_cache(maxsize=4096)
def shared_start(start_us: int) -> int:
    """Return an equal integer, for thousands of segments the same object."""
    return start_us


class SegmentSeries:
    """The panes of one segment by start, initially none.

    A coarser resolution has the panes that the finer one no longer has.

    Attributes:
        active_us: start of the latest pane with an event.
        panes_by_resolution: ``FINE``, ``HOUR``, ``DAY`` or ``LATE`` -> start -> pane.
        texts: ``FINE`` or ``HOUR`` -> start -> text block.
        revision: how often panes that rules read have changed since this process knows the segment.
    """

    __slots__ = ("active_us", "key", "panes_by_resolution", "revision", "texts")

    def __init__(self, key: SegmentKey) -> None:
        self.key = key
        self.active_us = 0
        self.revision = 0
        self.panes_by_resolution: dict[str, dict[int, Pane]] = {FINE: {}, HOUR: {}, DAY: {}, LATE: {}}
        self.texts: dict[str, dict[int, TextBlock]] = {FINE: {}, HOUR: {}}

    @property
    def panes(self) -> dict[int, Pane]:
        """Fine panes by start."""
        return self.panes_by_resolution[FINE]

    @property
    def late_panes(self) -> dict[int, Pane]:
        """Late events by the start of their fine pane."""
        return self.panes_by_resolution[LATE]

    @property
    def events(self) -> int:
        """Events counted in its panes, unweighted."""
        return sum(pane.events for panes in self.panes_by_resolution.values() for pane in panes.values())

    def panes_at(self, start_us: int) -> list[Pane]:
        """Return the fine pane from ``start_us`` on and that of its late events, those that exist."""
        return [panes[start_us] for panes in (self.panes, self.late_panes) if start_us in panes]

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        """Yield the panes that overlap [start, end): long windows snap outwards to coarse edges."""
        for resolution, length_us in ((FINE, 0), (HOUR, HOUR_US), (DAY, DAY_US)):
            panes = self.panes_by_resolution[resolution]
            if panes:
                yield from (
                    pane
                    for pane_us, pane in panes.items()
                    if pane_us < end_us and (pane_us >= start_us or pane_us + length_us > start_us)
                )

    def is_empty(self) -> bool:
        """Return whether there are no panes and no texts at any resolution."""
        return not any(self.panes_by_resolution.values()) and not any(self.texts.values())
