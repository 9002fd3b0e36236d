"""The watch agent: events in; windows, transitions, samples and dead letters out. All it knows about quality
is in ``monitor.watch``.
"""

from __future__ import annotations

import asyncio
import time

from agents.runtime.clock import TICK_S, WallClock, wall_clock_us
from agents.runtime.partition import Partition
from monitor.self_health.partition_health import Figures
from monitor.watch import Watch
from schemas.config.monitor_config import Config

LATE_S = 1.0  # a tick that comes later than this does not count as time that passed in silence


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
                partition.add(core.advance(mark, wall_clock_us()))
            if outputs := core.heartbeat(
                Figures(partition.caught_up, partition.lost, partition.recovery_s), wall_clock_us()
            ):
                partition.add(outputs)
