"""The judge agent: choose responses, have them judged, write the verdicts as evaluation events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping

from agents.judging.caller import Caller
from agents.runtime.clock import wall_clock_us
from agents.runtime.partition import Partition
from monitor.judging.core import JudgeCore
from monitor.judging.measures import standing_measures
from monitor.judging.prompt import Texts
from monitor.judging.records import Pending
from monitor.judging.standing import Standing
from monitor.protocol.messages import Outputs
from monitor.protocol.metrics import Measure
from schemas.config.monitor_config import Config

log = logging.getLogger("softfail.judge")
POLL_S = (
    0.25  # between two looks at what waits, without a change: the breaker and the limit change by the clock
)
BEAT_S = 5.0
ANCHORS_S = 5.0  # between two looks whether the anchors are due


class JudgeAgent:
    """Reads the events topic in a consumer group of its own.

    Args:
        config: with its judges.
        callers: judge -> what makes its calls; ``standings``: judge -> what this process knows of it.
    """

    name, source = "judge", "events"

    def __init__(
        self, config: Config, callers: Mapping[str, Caller], standings: Mapping[str, Standing]
    ) -> None:
        self._config, self._callers, self.standings = config, callers, standings
        self._owned: set[int] = set()
        self._under_way = dict.fromkeys(standings, 0)
        self._anchor_calls = time.time_ns()

    def core(self, partition: int, partitions: int) -> JudgeCore:
        """Make the core of one partition of the events topic."""
        return JudgeCore(self._config, self.standings, partition, partitions)

    async def tend(self, partition: Partition) -> None:
        """Judge what waits in this partition, while it is owned."""
        core = _core(partition)
        self._owned.add(core.partition)
        self._attach(core)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat(partition))
                for name in self.standings:
                    group.create_task(self._judge(name, partition))
                    group.create_task(self._judge_anchors(name, partition))
        finally:
            self._owned.discard(core.partition)
            share = len(self._owned) / max(1, core.partitions)
            for name, standing in self.standings.items():
                standing.detach(core.partition, core.pending_usd(name), share, wall_clock_us())

    def measures(self) -> Iterator[Measure]:
        """Yield the measures of the judges for /metrics."""
        for standing in self.standings.values():
            yield from standing_measures(standing, wall_clock_us())

    def _attach(self, core: JudgeCore) -> None:
        share = len(self._owned) / max(1, core.partitions)
        for name, standing in self.standings.items():
            standing.attach(
                core.partition, core.ledgers[name], core.pending_usd(name), share, wall_clock_us()
            )

    async def _judge(self, name: str, partition: Partition) -> None:
        """Start a task for each response that waits, as many as the limit allows in this process."""
        core, standing = _core(partition), self.standings[name]
        started: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                now_us = wall_clock_us()
                if late := core.drop_late(name, now_us, started):
                    partition.add(late)
                for offset, pending in list(core.pending[name].items()):
                    if not self._may_call(name, standing, now_us):
                        break
                    if offset not in started:
                        started.add(offset)
                        self._under_way[name] += 1
                        group.create_task(self._judge_one(name, offset, pending, partition, started))
                partition.changed_event.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await partition.changed_event.wait()

    def _may_call(self, name: str, standing: Standing, now_us: int) -> bool:
        match standing.breaker.state(now_us):
            case "closed":
                return self._under_way[name] < int(standing.limit.calls)
            case "half-open":
                return self._under_way[name] < 1
            case _:
                return False

    async def _judge_one(
        self, name: str, offset: int, pending: Pending, partition: Partition, started: set[int]
    ) -> None:
        try:
            judgement = await self._callers[name].judge(Texts(pending.input, pending.output, pending.context))
        finally:
            self._under_way[name] -= 1
        # no await between the change of the core and its outputs
        partition.add(_core(partition).complete(offset, name, judgement, wall_clock_us()))
        started.discard(offset)

    async def _judge_anchors(self, name: str, partition: Partition) -> None:
        """Judge the anchors when they are due, in the first partition of this process, and keep the result."""
        core, standing = _core(partition), self.standings[name]
        while True:
            await asyncio.sleep(ANCHORS_S)
            is_first = core.partition == min(self._owned, default=-1)
            if not is_first or not partition.caught_up or not standing.anchors_due(wall_clock_us()):
                if is_first and standing.anchors_differ:
                    core.keep_anchors(name)
                    partition.add(Outputs())
                continue
            verdicts: dict[str, bool] = {}
            identities: set[str] = set()
            slots = asyncio.Semaphore(max(1, int(standing.limit.calls)))

            async def judge_one(
                anchor_id: str,
                texts: Texts,
                slots: asyncio.Semaphore,
                verdicts: dict[str, bool],
                identities: set[str],
            ) -> None:
                async with slots:
                    judgement = await self._callers[name].judge(texts)
                self._anchor_calls += 1
                partition.add(core.anchor_call(name, self._anchor_calls, judgement, wall_clock_us()))
                if judgement.error is None:
                    verdicts[anchor_id] = standing.judge.rubric.passed(judgement.choice)
                    identities.add(standing.answered_by(judgement.model))

            async with asyncio.TaskGroup() as group:
                for anchor in standing.judge.anchors:
                    texts = Texts(anchor.input, anchor.output, anchor.context)
                    group.create_task(judge_one(anchor.id, texts, slots, verdicts, identities))
            result = standing.take_anchors(
                verdicts, min(identities, default=standing.identity), wall_clock_us()
            )
            log.info("judge %s: %d of %d anchors differ", name, result.flips, result.n)
            core.keep_anchors(name)
            partition.add(Outputs())

    async def _beat(self, partition: Partition) -> None:
        while True:
            if partition.caught_up and (outputs := _core(partition).heartbeat(wall_clock_us())):
                partition.add(outputs)
            await asyncio.sleep(BEAT_S)


def _core(partition: Partition) -> JudgeCore:
    core = partition.core
    assert isinstance(core, JudgeCore)
    return core
