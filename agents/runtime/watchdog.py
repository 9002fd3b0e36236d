"""Restart the process (code 75) when the event loop hangs, lag makes no progress or partitions have no owner.

The watchdog asks the broker over its own connection, because the view of Faust may be wrong. It decides in
its own thread, because a hung event loop cannot notice that it hangs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from agents.kafka.connection import clients
from agents.kafka.consumer_group import unowned
from agents.kafka.topic_ids import TopicObserver
from agents.process import exits
from agents.runtime.owned_partitions import OwnedPartitions
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.watchdog")

STUCK_S = 60.0
# lag without progress for this long: fetch again. After a bundle that was lost at the end of the log no other
# bundle shows the gap
REWIND_S = 5.0
GROUP_S = 10.0  # how often the group is asked who owns what
WITHDRAWN_S = 20.0  # a log that ends before the applied position for this long was cut or re-created
TICK_S = 1.0


@dataclass
class WatchdogState:
    """Since when something is wrong, on the monotonic clock; None: it is not wrong."""

    tick: float
    stuck_since: float | None = None
    unowned_since: float | None = None
    cut_since: float | None = None

    def reason(self, now: float) -> str | None:
        """Return why the process must restart, or None.

        >>> WatchdogState(tick=0.0).reason(10.0) is None
        True
        >>> WatchdogState(tick=0.0).reason(61.0)
        'the event loop does not answer'
        """
        if now - self.tick > STUCK_S:
            return "the event loop does not answer"
        if self.stuck_since is not None and now - self.stuck_since > STUCK_S:
            return "lag and no progress"
        if self.unowned_since is not None and now - self.unowned_since > STUCK_S:
            return "the topic has partitions that nobody owns"
        return None

    def reset(self, now: float) -> None:
        """Forget all observations, because the process was suspended (SIGSTOP, a paused host) and did not
        hang.
        """
        self.tick, self.stuck_since, self.unowned_since, self.cut_since = now, None, None, None


class Watchdog:
    """Compares the log of the broker with the applied positions each second."""

    def __init__(
        self,
        kafka: Kafka,
        store: OwnedPartitions,
        assignment: Callable[[], set[TP]],
        rewind: Callable[[str], Awaitable[None]],
        group: str = "",
    ) -> None:
        self._kafka, self._store, self._assignment, self._rewind = kafka, store, assignment, rewind
        self._group = group
        self.state = WatchdogState(time.monotonic())
        self._seen: object = None
        self._rewound_at = 0.0
        self._asked_group_at = time.monotonic()  # joining takes the first seconds
        self._probe: AIOKafkaConsumer
        self._observing: asyncio.Task[None] | None = None
        self.observer: TopicObserver | None = None  # None: the broker keeps no identities of topics

    @property
    def is_stuck(self) -> bool:
        """Whether a fault lasts for half of the time after which the process restarts."""
        now = time.monotonic()
        return any(
            since is not None and now - since > STUCK_S / 2
            for since in (self.state.stuck_since, self.state.unowned_since)
        )

    async def start(self) -> None:
        """Connect and start to observe."""
        self._probe = AIOKafkaConsumer(
            **clients(self._kafka), isolation_level="read_committed", enable_auto_commit=False
        )
        await self._probe.start()
        self.state.reset(time.monotonic())
        self._observing = asyncio.create_task(self._observe())
        threading.Thread(target=self._judge, name="watchdog", daemon=True).start()

    async def earliest(self, tp: TP) -> int:
        """Return the first offset that the broker still has."""
        partition = TopicPartition(*tp)
        offset: int = (await asyncio.wait_for(self._probe.beginning_offsets([partition]), 5))[partition]
        return offset

    def _judge(self) -> None:
        before = time.monotonic()
        while True:
            time.sleep(TICK_S)
            now = time.monotonic()
            if now - before > 5 * TICK_S:
                self.state.reset(now)
            elif (why := self.state.reason(now)) is not None:
                exits.restart(exits.WATCHDOG, f"{why}; positions {_shown(self._store.positions())}")
            before = now

    async def _observe(self) -> None:
        while True:
            slept = time.monotonic()
            await asyncio.sleep(TICK_S)
            self.state.tick = time.monotonic()
            self._store.counters.loop_delays.observe(max(0.0, self.state.tick - slept - TICK_S))
            assigned = {TopicPartition(*tp) for tp in self._assignment()}  # the group's view, not the store's
            try:
                # the answer may have waited for the loop; it holds at least for the time of the question
                asked_at = time.monotonic()
                ends = await asyncio.wait_for(self._probe.end_offsets(assigned), 5) if assigned else {}
            except Exception as error:  # noqa: BLE001 - without a broker there is no judgement
                log.debug("no judgement: %r", error)
                self.state.reset(time.monotonic())
                continue
            await self.judge_ends({TP(*tp): end for tp, end in ends.items()}, asked_at)
            await self._look_at_group()

    async def judge_ends(self, ends: Mapping[TP, int], now: float) -> None:
        """Note the end of the log of each assigned partition, and look for lag without progress."""
        for tp, end in ends.items():
            if (partition := self._store.owned.get(tp)) is not None:
                partition.end, partition.end_seen = end, now
        positions, progress, state = self._store.positions(), self._store.progress(), self.state
        self._look_for_cut(ends, positions, now)
        if progress != self._seen or all(positions.get(tp, -1) >= end for tp, end in ends.items()):
            self._seen, state.stuck_since = progress, None
            return
        if state.stuck_since is None:
            state.stuck_since = now
        if positions and now - state.stuck_since >= REWIND_S and now - self._rewound_at >= REWIND_S:
            self._rewound_at = now
            for partition in self._store.owned.values():
                partition.refetched_from = None
            await self._rewind(f"lag without progress at {_shown(positions)}, ends {_shown(ends)}")

    def _look_for_cut(self, ends: Mapping[TP, int], positions: Mapping[TP, int], now: float) -> None:
        cut = {
            tp: (positions[tp], end) for tp, end in ends.items() if tp in positions and end < positions[tp]
        }
        if not cut:
            self.state.cut_since = None
        elif self.state.cut_since is None:
            self.state.cut_since = now
        elif now - self.state.cut_since > WITHDRAWN_S:
            tp, (position, end) = min(cut.items())
            exits.leave(
                exits.CONFIGURATION,
                f"{tp.topic}/{tp.partition} ends at {end}, but {position} is already applied: was the topic"
                f" re-created? {self._store.owned[tp].changelog.remedy}",
            )

    async def look_at_topics(self) -> None:
        """Compare the source topics with those of the start; another topic ends the process with 78."""
        if self.observer is None or self._store.sources is None:
            return
        try:
            identities = await asyncio.wait_for(self.observer.look(), 15)
        except Exception as error:  # noqa: BLE001 - without an answer there is no judgement
            log.debug("the topics cannot be described: %r", error)
            return
        before = self._store.sources.missing
        fault = self._store.sources.observe(identities)
        if fault is not None:
            exits.leave(exits.CONFIGURATION, fault)
        if missing := set(self._store.sources.missing) - set(before):
            log.error("topic %s was deleted; run: python -m agents topics", ", ".join(sorted(missing)))

    async def _look_at_group(self) -> None:
        now = time.monotonic()
        if self._kafka.embedded or now - self._asked_group_at < GROUP_S:
            return
        self._asked_group_at = now
        await self.look_at_topics()
        try:
            missing = await asyncio.wait_for(unowned(self._kafka, list(self._store.agents), self._group), 10)
        except Exception as error:  # noqa: BLE001 - without an answer there is no judgement
            log.debug("the group does not answer: %r", error)
            missing = set()
        if not missing:
            self.state.unowned_since = None
        elif self.state.unowned_since is None:
            self.state.unowned_since = now
            log.info("nobody owns %s", ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(missing)[:8]))


def _shown(offsets: Mapping[TP, int]) -> dict[str, int]:
    return {f"{tp.topic}/{tp.partition}": offset for tp, offset in sorted(offsets.items())}
