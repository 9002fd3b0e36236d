"""The watch agent: read events; write windows, transitions, samples and dead letters (``monitor.watch``)."""

from __future__ import annotations

import asyncio
import time

from agents.runtime.clock import TICK_S, WallClock, wall_clock_us
from agents.runtime.partition import Partition
from monitor.protocol.read_progress import ReadProgress
from monitor.watch import Watch
from schemas.config.monitor_config import Config

LATE_S = 1.0  # after a tick that is later than this the clock starts anew


class WatchAgent:
    """Makes the cores of the events topic and advances their watermarks."""

    name, source = "watch", "events"

    def __init__(self, config: Config) -> None:
        self._config = config

    def core(self, partition: int, partitions: int) -> Watch:
        """Make the core of one partition of the events topic."""
        return Watch(self._config, partition, partitions)

    async def tend(self, partition: Partition) -> None:
        """Advance the watermark with the wall clock and write heartbeats, each second."""
        clock = WallClock()
        core = partition.core
        assert isinstance(core, Watch)
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(TICK_S)
            # A process that was suspended, or whose loop was busy, may not have read the newest records.
            stood_still = time.monotonic() - slept_at > TICK_S + LATE_S
            if core.watermark_us is None or not partition.caught_up or stood_still:
                clock.stand_still()
            elif (mark := clock.mark(core.watermark_us, time.monotonic())) > core.watermark_us:
                partition.add(core.advance(mark, wall_clock_us()))
            if outputs := core.heartbeat(
                ReadProgress(partition.caught_up, partition.lost, partition.recovery_s), wall_clock_us()
            ):
                partition.add(outputs)
