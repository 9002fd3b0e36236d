"""The watch agent: events in; windows, transitions, samples and dead letters out. All it knows about quality
is in ``monitor.watch``.
"""

from __future__ import annotations

import asyncio
import time

from agents.runtime.partition import Partition
from monitor.self_health.partition_health import Figures
from monitor.watch import Watch
from schemas.config.monitor_config import Config

TICK_S = 1.0
LATE_S = 1.0  # a tick that comes later than this does not count as time that passed in silence


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


class WatchAgent:
    """Gives the shell its cores, and lets time pass in them."""

    name, source = "watch", "events"

    def __init__(self, config: Config) -> None:
        self._config = config

    def core(self, partition: int, partitions: int) -> Watch:
        """All that is known about one partition of the events topic."""
        return Watch(self._config, partition, partitions)

    async def tend(self, partition: Partition) -> None:
        """Each second advance the watermark with the wall clock, and say how the partition does."""
        clock = WallClock()
        core = partition.core
        assert isinstance(core, Watch)
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(TICK_S)
            # A process that was stopped, or a loop that was busy, has not seen what came meanwhile, whatever
            # it last heard of the end.
            stood_still = time.monotonic() - slept_at > TICK_S + LATE_S
            if core.watermark_us is None or not partition.caught_up or stood_still:
                clock.stand_still()
            elif (mark := clock.mark(core.watermark_us, time.monotonic())) > core.watermark_us:
                partition.add(core.advance(mark, time.time_ns() // 1000))
            if outputs := core.heartbeat(
                Figures(partition.caught_up, partition.lost, partition.recovery_s), time.time_ns() // 1000
            ):
                partition.add(outputs)
