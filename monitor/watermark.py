"""Event time: how far it is known, and which pane edges that closes."""

from __future__ import annotations

FUTURE_US = 5 * 60 * 1_000_000
"""An event further ahead of its append time than this is a dead letter."""


class Watermark:
    """The time up to which a partition is taken to be complete. It never goes back; None before the first event."""

    __slots__ = ("lateness_us", "pane_us", "time_us")

    def __init__(self, pane_us: int, lateness_us: int) -> None:
        self.pane_us = pane_us
        self.lateness_us = lateness_us
        self.time_us: int | None = None

    def after(self, event_us: int, append_us: int | None) -> int:
        """What the watermark will be once this event is seen: a clock that is ahead counts no more than the broker's own."""
        seen = event_us if append_us is None else min(event_us, append_us)
        mark = seen - self.lateness_us
        return mark if self.time_us is None else max(self.time_us, mark)

    @property
    def edge_us(self) -> int | None:
        """The last pane edge that is closed."""
        return None if self.time_us is None else self.time_us // self.pane_us * self.pane_us

    @property
    def next_edge_us(self) -> int:
        """The edge that a watermark must reach to close another pane; before the first event, any does."""
        return -(2**62) if self.time_us is None else (self.time_us // self.pane_us + 1) * self.pane_us
