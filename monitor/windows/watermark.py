"""Event time: up to which time a partition is complete, and which pane edges that closes."""

from __future__ import annotations

NEVER = -(2**62)


class Watermark:
    """The event time up to which a partition counts as complete. It never moves back.

    Before the first event ``time_us`` is None.

    Args:
        pane_us: length of a pane, microseconds.
        lateness_us: how far the watermark stays behind the latest event, microseconds.
    """

    __slots__ = ("lateness_us", "pane_us", "time_us")

    def __init__(self, pane_us: int, lateness_us: int) -> None:
        self.pane_us = pane_us
        self.lateness_us = lateness_us
        self.time_us: int | None = None

    @property
    def edge_us(self) -> int | None:
        """The last closed pane edge; None before the first event."""
        return None if self.time_us is None else self.time_us // self.pane_us * self.pane_us

    @property
    def next_edge_us(self) -> int:
        """The time that closes another pane; ``NEVER`` (less than any time) before the first event."""
        return NEVER if self.time_us is None else (self.time_us // self.pane_us + 1) * self.pane_us
