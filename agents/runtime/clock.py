"""The wall clock, and how the watermark of a partition advances with it."""

from __future__ import annotations

import time

TICK_S = 1.0  # between two looks at the clock


def wall_clock_us() -> int:
    """Return the wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


class WallClock:
    """How far the watermark of a partition has come by the wall clock, while everything that the broker has
    is applied.

    It goes on from where the watermark stands, one second a second, so a pane closes although no record
    comes. It stands still while the partition lags or the broker does not answer: what was published
    meanwhile must not be late.

    >>> clock = WallClock()
    >>> clock.mark(1_000_000, 50.0), clock.mark(1_000_000, 52.5)
    (1000000, 3500000)
    """

    def __init__(self) -> None:
        self._from: tuple[int, float] | None = None

    def mark(self, watermark_us: int, now_s: float) -> int:
        """Where the watermark ought to stand now; at least where it does.

        Args:
            watermark_us: where it stands, microseconds since 1970.
            now_s: the monotonic clock.
        """
        if self._from is not None:
            mark = self._from[0] + round((now_s - self._from[1]) * 1e6)
            if mark > watermark_us:
                return mark
        self._from = watermark_us, now_s  # records are ahead of the clock: it follows them
        return watermark_us

    def stand_still(self) -> None:
        """Forget: from the next mark on, time counts anew."""
        self._from = None
