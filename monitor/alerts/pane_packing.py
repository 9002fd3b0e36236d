"""Pack panes that are rarely read, to save memory."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.state.partition_state import PartitionState
from monitor.windows.segment_series import FINE_RETENTION_US
from monitor.windows.text_blocks import BLOCK_US

UNPACKED = 3
"""Newest panes of a segment that stay unpacked where rules read them at each edge."""


class PanePacker:
    """Packs panes at each edge. Most are packed before, when their records are encoded."""

    def __init__(self, partition_state: PartitionState) -> None:
        self._partition_state = partition_state
        self._edges = 0  # closed by this process
        self._rewritten: list[int] = []  # starts of the panes that the last edge wrote

    def pack(self, written: Sequence[int], edge_us: int) -> None:
        """Pack the panes that are no longer among the newest, and an edge later those with late events;
        after a restart also two older ones at each edge, which were restored.

        ``written``: starts of the panes whose windows were written at this edge.
        """
        pane_us, self._edges = self._partition_state.pane_us, self._edges + 1
        first_us = edge_us - (UNPACKED + 1) * pane_us
        starts = {first_us, *(start for start in self._rewritten if start < first_us)}
        self._rewritten = list(written)
        if self._edges * pane_us <= FINE_RETENTION_US:
            starts |= {first_us - back * pane_us for back in (3 * self._edges - 1, 3 * self._edges)}
        for feature in self._partition_state.features.values():
            for start_us in starts:
                feature.pack(start_us)
            if not feature.cache.reads_panes:
                feature.cache.pack_merged(feature.segments, edge_us - pane_us)
        if edge_us % BLOCK_US == 0:  # the block before the last one: nearly all late texts are in it
            for feature in self._partition_state.features.values():
                feature.pack_texts(edge_us - 2 * BLOCK_US)
