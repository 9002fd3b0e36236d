"""Event time: how far it is known, and which pane edges that closes."""

from __future__ import annotations

MAX_AHEAD_US = 5 * 60 * 1_000_000
"""An event further ahead of its append time than this is a dead letter."""
NEVER = -(2**62)


class Watermark:
    """The time up to which a partition is taken to be complete. It never goes back; None before the first
    event.
    """

    __slots__ = ("lateness_us", "pane_us", "time_us")

    def __init__(self, pane_us: int, lateness_us: int) -> None:
        self.pane_us = pane_us
        self.lateness_us = lateness_us
        self.time_us: int | None = None

    @property
    def edge_us(self) -> int | None:
        """The last pane edge that is closed."""
        return None if self.time_us is None else self.time_us // self.pane_us * self.pane_us

    @property
    def next_edge_us(self) -> int:
        """The edge that the watermark must reach to close another pane; before the first event, any does."""
        return NEVER if self.time_us is None else (self.time_us // self.pane_us + 1) * self.pane_us
