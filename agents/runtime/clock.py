"""The wall clock, and how the watermark of a partition advances with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

TICK_S = 1.0  # between two looks at the clock


STEP_S = 2.0  # a larger difference to the monotonic clock is a step, a smaller one is followed at once
PATIENCE_S = (
    60.0  # a step that lasts is followed after this; one that is taken back was an error of the clock
)

log = logging.getLogger("softfail.clock")


class SteadyClock:
    """A wall clock that ignores steps of the system's clock until they have lasted a minute.

    A clock that jumps a day ahead for a moment would end silences, delay retries for a day, and make
    heartbeats look recent for a day.

    Args:
        wall_ns, steady_ns: the clocks, in nanoseconds.
    """

    def __init__(self, wall_ns: Callable[[], int], steady_ns: Callable[[], int]) -> None:
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self._offset_ns = wall_ns() - steady_ns()
        self._step: tuple[int, int] | None = None  # another offset, and when it was first seen

    def now_us(self) -> int:
        """Return microseconds since 1970."""
        steady_ns = self._steady_ns()
        offset_ns = self._wall_ns() - steady_ns
        if abs(offset_ns - self._offset_ns) <= STEP_S * 1e9:
            self._offset_ns, self._step = offset_ns, None
        elif self._step is None or abs(offset_ns - self._step[0]) > STEP_S * 1e9:
            self._step = offset_ns, steady_ns
        elif steady_ns - self._step[1] >= PATIENCE_S * 1e9:
            log.warning("the system's clock was set by %+.0f s", (offset_ns - self._offset_ns) / 1e9)
            self._offset_ns, self._step = offset_ns, None
        return (steady_ns + self._offset_ns) // 1000


def _steady_ns() -> int:
    """Return the time since the start of the machine, suspension included."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


_clock = SteadyClock(time.time_ns, _steady_ns)


def wall_clock_us() -> int:
    """Return the wall clock without steps that do not last, microseconds since 1970."""
    return _clock.now_us()


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
