"""The wall clock, and how the watermark of a partition advances with it."""

from __future__ import annotations

import time

TICK_S = 1.0  # between two looks at the clock


def wall_clock_us() -> int:
    """Return the wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


class WallClock:
    """The watermark of a partition by the wall clock, while every record of the broker is applied.

    It advances one second a second from the watermark, so a pane closes although no record comes. It stands
    still while the partition lags or the broker does not answer: records that were published meanwhile must
    not be late.

    >>> clock = WallClock()
    >>> clock.mark(1_000_000, 50.0), clock.mark(1_000_000, 52.5)
    (1000000, 3500000)
    """

    def __init__(self) -> None:
        self._from: tuple[int, float] | None = None

    def mark(self, watermark_us: int, now_s: float) -> int:
        """Return where the watermark should stand now, at least ``watermark_us``.

        Args:
            watermark_us: the present watermark, microseconds since 1970.
            now_s: the monotonic clock, seconds.
        """
        if self._from is not None:
            mark = self._from[0] + round((now_s - self._from[1]) * 1e6)
            if mark > watermark_us:
                return mark
        self._from = watermark_us, now_s  # records are ahead of the clock, which follows them
        return watermark_us

    def stand_still(self) -> None:
        """Start anew at the next ``mark``."""
        self._from = None
