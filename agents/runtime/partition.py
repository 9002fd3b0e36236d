"""One owned partition: it is restored, applies bundles while other tasks run, and is released."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Protocol

from faust.types import TP

from agents.process import exits, pulse
from agents.runtime.backend import StateLog
from agents.runtime.careful_replay import RELEASED, Attempt, CarefulReplay
from agents.runtime.checkpointed_core import CheckpointedCore
from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.faust_transport import Bundle
from agents.runtime.set_aside import is_unreadable, pass_poison
from agents.runtime.step_slices import StepSlices, Turn
from monitor.protocol.messages import Core, Outputs

log = logging.getLogger("softfail.partition")

FRESH_S = 3.0  # how long a known end offset counts as the end


class Agent(Protocol):
    """The interface of an agent; see ``agents.runtime.app``."""

    @property
    def name(self) -> str:
        """Part of the names of the state topic and the transactional ids."""

    @property
    def source(self) -> str:
        """Last part of the name of the topic that it reads."""

    def core(self, partition: int, partitions: int) -> Core:
        """Make the core of one partition of the source."""

    async def tend(self, partition: Partition) -> None:
        """Do the work of the agent beside applying records, while the partition is owned."""


class Partition(CheckpointedCore):
    """One owned partition of a source, from its assignment until it is released.

    Args:
        turn: taken by the partition that searches for poison; slices: by the partition that applies, for
            each slice of time. Both are one for all partitions of the process.
    """

    def __init__(
        self,
        agent: Agent,
        tp: TP,
        changelog: StateLog,
        checkpoint_s: float,
        counters: Counters,
        turn: asyncio.Lock | None = None,
        slices: Turn | None = None,
    ) -> None:
        super().__init__(tp, changelog, counters)
        self.agent = agent
        self.end: int | None = None
        self.end_seen = float("-inf")
        self.recovery_s = 0.0  # from its assignment until it was restored
        self._checkpoint_s = checkpoint_s
        self._tasks: list[asyncio.Task[None]] = []
        self.counted_at_start: dict[tuple[str, tuple[str, ...]], float] = {}
        self._turn = asyncio.Lock() if turn is None else turn
        self._replay: CarefulReplay | None = None  # while it searches for poison
        self.slices = StepSlices(slices)
        self._closed = False
        self._prepares = False  # a bundle has come, and its agent prepares it
        self.steps = 0  # taken while records wait: the progress within a long bundle or advance

    @property
    def caught_up(self) -> bool:
        """Whether everything is applied that the broker had at most 3 s ago."""
        return (
            self._between_bundles.is_set()
            and not self._prepares
            and self.end is not None
            and self.position >= self.end
            and time.monotonic() - self.end_seen < FRESH_S
        )

    @property
    def is_suspect(self) -> bool:
        """Whether a record that has ended the process may come next."""
        return self._replay is not None and self._replay.is_suspect(self.position)

    async def restore(self) -> None:
        """Fence earlier owners and read the state."""
        recovered = await self.changelog.open()
        self.core = self.agent.core(self.tp.partition, recovered.partitions)
        try:
            # In a thread, because it may take seconds and the event loop would seem to hang; nothing else
            # uses this core yet.
            await asyncio.to_thread(self.core.restore, recovered.records)
        except ValueError as error:
            repair = (
                "to repair it, stop the workers and run: python -m agents state"
                f" {'rebuild' if self.agent.name == 'watch' else 'drop'}"
            )
            raise exits.Misconfigured(
                f"{self.changelog.state_topic}/{self.tp.partition}: {error}; {repair} --agent"
                f" {self.agent.name} --partition {self.tp.partition}; or {self.changelog.remedy}"
            ) from error
        counted = getattr(self.core, "counted", None)
        self.counted_at_start = (
            {}
            if counted is None
            else {(measure.name, measure.labels): measure.value for measure in counted()}
        )
        self.position = self.durable = recovered.position
        self.lost += recovered.lost
        self.counters.lost_events += recovered.lost
        if recovered.unclean or exits.restarts():  # somebody has died, perhaps by the record that comes next
            self._replay = CarefulReplay(self.position, recovered.attempt, self._turn)
        if recovered.fresh:  # makes durable where this partition began
            self._mark += 1
            await self.checkpoint()

    def begin(self) -> None:
        """Start the tasks that run while the partition is owned."""
        self._tasks = [
            asyncio.create_task(_or_exit(step, self.tp)) for step in (self._keep(), self.agent.tend(self))
        ]

    async def take(self, bundle: Bundle) -> None:
        """Apply a bundle like ``apply``, but let other tasks run at pane edges; after an unclean end, only
        the first part of it, as an attempt.

        Hours of a quiet log take seconds, and transactions of other partitions would time out. Nothing is
        written meanwhile, and a cancelled task finishes first: a half applied bundle must never become
        durable.
        """
        if self._replay is None:
            await self._take(bundle)
            return
        async with self._replay.turn:
            await self._try(self._replay, bundle)

    async def _try(self, replay: CarefulReplay, bundle: Bundle) -> None:
        attempt = replay.attempt(self.position, bundle.stop)
        if not (replay.is_poison_next and self._set_aside(bundle, attempt)):
            self._attempt = attempt
            await self._checkpoint_now()
            if self._closed:
                return
            pulse.send(pulse.BRIEF)
            await self._take(bundle.until(attempt.stop))
            pulse.send(pulse.NORMAL)
            self._attempt = None
        await self._checkpoint_now()
        replay.survived(self.position)
        if replay.is_over:
            self._replay = None

    def _set_aside(self, bundle: Bundle, attempt: Attempt) -> bool:
        """Pass the record at the position, as a dead letter. False: the bundle has no record there."""
        record = next((record for record in bundle if record.offset == attempt.start), None)
        if record is None:
            return False
        outputs = pass_poison(self.core, record, attempt.deaths)
        self.position, self.refetched_from = record.offset + 1, None
        self.counters.records += 1
        self.add(outputs, 1)
        return True

    async def _checkpoint_now(self) -> None:
        if not self._closed:
            self._mark += 1
            await self.checkpoint()

    async def _prepare(self, prepare: Callable[..., Awaitable[None]], bundle: Bundle) -> None:
        """Let the agent prepare the records that are applied next, while other tasks run."""
        records, _ = self._next_records(bundle)
        if is_unreadable(records):
            records = records[:-1]
        self._prepares = True
        try:
            await prepare(self.core, records)
        finally:
            self._prepares = False

    async def _take(self, bundle: Bundle) -> None:
        if (prepare := getattr(self.agent, "prepare", None)) is not None:
            await self._prepare(prepare, bundle)
            if self._closed:
                return
        await self._whole()
        if not self._closed:
            await self._exhaust(self._applying(bundle), is_bundle=True)

    async def run(self, steps: Iterator[None], outputs: Outputs) -> None:
        """Exhaust steps that change the core and fill ``outputs``, then add these; other tasks run between
        the steps as in ``take``.
        """
        await self._whole()
        await self._exhaust(self._running(steps, outputs), is_bundle=False)

    def _running(self, steps: Iterator[None], outputs: Outputs) -> Iterator[None]:
        yield from steps
        self.add(outputs)

    async def _exhaust(self, steps: Iterator[None], *, is_bundle: bool) -> None:
        """Exhaust steps; a cancelled task does so without further pauses."""

        def note() -> None:
            # without records that wait, a step is no progress of the process: another partition may be stuck
            self.steps += is_bundle or (self.end is not None and self.position < self.end)

        self._between_bundles.clear()
        position = self.position
        try:
            longest_s = await self.slices.exhaust(steps, note)
        except asyncio.CancelledError:  # all steps are taken; after another error nothing may be written
            self._between_bundles.set()
            raise
        self._between_bundles.set()
        if is_bundle:
            self.slices.adapt(longest_s, self.position - position)

    async def close(self) -> None:
        """Make everything durable and release the partition."""
        self._closed = True
        self._attempt = RELEASED if self._replay is None else self._replay.release_note(self.position)
        self._mark += 1
        # A cancelled task keeps the frames in which it ended, and these keep this object: with it a cycle, which
        # is never collected once a restore has frozen it.
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        del tasks
        await self.checkpoint()
        await self.changelog.close()

    async def abandon(self) -> None:
        """Release a partition that is not restored yet."""
        # the first checkpoint of a new partition: cancelling it would look like a failure
        if self._commit is not None:
            await self._commit
        await self.changelog.close()

    def status(self, restoring: bool) -> PartitionStatus:
        """Return the status that others may read."""
        return PartitionStatus(
            self.agent.name,
            self.tp.topic,
            self.tp.partition,
            None if restoring else self.core,
            self.position,
            self.durable,
            self.end,
            self.caught_up,
            restoring,
            self.changelog.restored,
            self.queue.pending_bytes,
            self.last_checkpoint,
            self.changelog.share,
            self.changelog.records,
            self.changelog.bytes,
            self.counted_at_start,
        )

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                # wait_for of Python 3.11 swallows a cancellation that comes with the result
                async with asyncio.timeout(self._checkpoint_s):
                    await self.queue.due.wait()
            await self.checkpoint()


async def _or_exit(step: Coroutine[Any, Any, None], tp: TP) -> None:
    try:
        await step
    except Exception as error:  # a task that ends unnoticed would leave the partition without its work
        log.exception("%s/%d failed", tp.topic, tp.partition)
        exits.restart(exits.STATE, f"{tp.topic}/{tp.partition}: {error!r}")
