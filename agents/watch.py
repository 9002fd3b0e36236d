"""The watch agent: read events; write windows, transitions, samples and dead letters (``monitor.watch``)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from agents.runtime.clock import TICK_S, WallClock, wall_clock_us
from agents.runtime.partition import Partition
from monitor.config_check import user_evaluator_names
from monitor.protocol.cut_off import CutOffEvaluator
from monitor.protocol.messages import Core, Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.protocol.read_progress import ReadProgress
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from softfail.evaluator import Verdict
from softfail.evaluator_pool import EvaluatorPool, Request
from softfail.evaluator_process import EvaluatorSpec
from softfail.sanitize import sanitize

log = logging.getLogger("softfail.evaluators")
LOG_S = 60.0  # between two errors of an evaluator in the log
LATE_S = 1.0  # after a tick that is later than this the clock starts anew
WAIT_S, EACH_S = 2.0, 0.001
"""How long a bundle waits at most for evaluators of users, and more for each of its records."""


class WatchAgent:
    """Makes the cores of the events topic and advances their watermarks.

    Args:
        config: with the descriptions of its evaluators of users.
        pool: runs these; None: each of their evaluations is an error.
    """

    name, source = "watch", "events"

    def __init__(self, config: Config, pool: EvaluatorPool | None = None) -> None:
        self._config, self._pool = config, pool
        self._names = user_evaluator_names(config)
        self._logged_s: dict[EvaluatorSpec, float] = {}

    def core(self, partition: int, partitions: int) -> Watch:
        """Make the core of one partition of the events topic."""
        return Watch(self._config, partition, partitions)

    async def prepare(self, core: Core, records: Sequence[Record]) -> None:
        """Give the core the verdicts of users' evaluators on the records that it applies next.

        The event loop goes on meanwhile; the bundle waits for a bounded time.
        """
        assert isinstance(core, Watch)
        if self._pool is None or not (requests := core.requests(records)):
            return
        budget_s = WAIT_S + EACH_S * len(records)
        verdicts = await asyncio.to_thread(self._pool.evaluate, requests, None, budget_s)
        self._log_errors(verdicts)
        core.give(verdicts)

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
                outputs = Outputs()
                await partition.run(core.advance_steps(mark, wall_clock_us(), outputs), outputs)
            progress = ReadProgress(partition.caught_up, partition.lost, partition.recovery_s)
            if beat := core.heartbeat(progress, wall_clock_us(), self._cut_off()):
                partition.add(beat)

    def measures(self) -> Iterator[Measure]:
        """Yield the measures of users' evaluators for /metrics."""
        if self._pool is None:
            return
        cut_off = {cut_off.spec for cut_off in self._pool.cut_offs()}
        for spec, counts in self._pool.counts().items():
            name = self._names.get(spec, spec.use)
            yield Measure("softfail_user_evaluator_seconds_total", (name,), counts.seconds)
            yield Measure("softfail_user_evaluator_cut_off", (name,), int(spec in cut_off))
            for reason, n in counts.ends.items():
                yield Measure("softfail_user_evaluator_process_ends_total", (name, reason), n)

    def _log_errors(self, verdicts: Mapping[Request, Verdict]) -> None:
        """Log one error of each evaluator, at most once a minute."""
        now_s = time.monotonic()
        for (spec, _), verdict in verdicts.items():
            if verdict.state == "error" and now_s - self._logged_s.get(spec, -LOG_S) >= LOG_S:
                self._logged_s[spec] = now_s
                log.warning(
                    "evaluator %s: %s", self._names.get(spec, spec.use), sanitize(verdict.reason, 300)
                )

    def _cut_off(self) -> list[CutOffEvaluator]:
        if self._pool is None:
            return []
        now_us, now_s = wall_clock_us(), time.monotonic()
        return [
            CutOffEvaluator(
                self._names.get(cut_off.spec, cut_off.spec.use),
                cut_off.reason,
                now_us - round((now_s - cut_off.since_s) * 1e6),
            )
            for cut_off in self._pool.cut_offs()
        ]
