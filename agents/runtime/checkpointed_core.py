"""The core of one partition in memory, and its checkpoints.

Position, outputs and changed state of a partition move together: nothing here awaits between the changes of
them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

from faust.types import TP

from agents.kafka.rights import Denied
from agents.process import exits
from agents.runtime.backend import StateLog
from agents.runtime.careful_replay import Attempt
from agents.runtime.checkpoint_queue import CheckpointQueue
from agents.runtime.clock import wall_clock_us
from agents.runtime.counters import Counters
from agents.runtime.faust_transport import Bundle
from agents.runtime.set_aside import is_unreadable, pass_batch
from agents.runtime.step_slices import StepSlices
from monitor.protocol.messages import Core, Outputs

PATIENCE_S = 60.0  # for one checkpoint, broker restarts included


class CheckpointedCore:
    """Core and position of one partition, and outputs that wait to be written."""

    def __init__(self, tp: TP, changelog: StateLog, counters: Counters) -> None:
        self.tp, self.changelog, self.counters = tp, changelog, counters
        self.core: Core
        self.position = self.durable = 0  # the source offset to apply next: in memory, and in Kafka
        self.refetched_from: int | None = None  # the position from which records were fetched again
        self.changed_event = asyncio.Event()
        self.lost = 0  # offsets that were deleted from the log before they were read
        self.last_checkpoint: float | None = None
        self.queue = CheckpointQueue()
        self.slices = StepSlices()
        self._mark = self._saved = 0  # steps taken, steps that are durable
        self._commit: asyncio.Task[None] | None = None
        self._between_bundles = asyncio.Event()  # cleared while a bundle, or an advance, is applied in part
        self._between_bundles.set()
        self._attempt: Attempt | None = None  # the attempt that the next transaction notes

    def apply(self, bundle: Bundle) -> None:
        """Apply the records of a bundle from the position on, as many as fit into a checkpoint.

        No await: position, state and outputs move together.
        """
        for _ in self._applying(bundle):
            pass

    def _next_records(self, bundle: Bundle) -> tuple[Sequence[Any], int]:
        """Return the records of a bundle that are applied next, and the position after them."""
        records: Sequence[Any] = (
            bundle
            if bundle.start >= self.position
            else [record for record in bundle if record.offset >= self.position]
        )
        most = min(self.queue.most_records, self.slices.at_once)
        if len(records) > most:
            records = records[:most]
            return records, records[-1].offset + 1
        return records, bundle.stop

    def _applying(self, bundle: Bundle) -> Iterator[None]:
        records, stop = self._next_records(bundle)
        began = time.monotonic()
        outputs, now_us = Outputs(), wall_clock_us()
        unreadable: Any = None
        if is_unreadable(records):
            *records, unreadable = records
        if (steps := getattr(self.core, "steps", None)) is not None:
            yield from steps(records, now_us, outputs)
        elif records:
            outputs = self.core.apply(records, now_us)
        if unreadable is not None:
            outputs.extend(pass_batch(self.core, unreadable, self.tp, self.position))
        self.counters.apply_times.observe(time.monotonic() - began)
        self.position, self.refetched_from = stop, None
        self.counters.records += len(records)
        self.add(outputs, len(records))

    def add(self, outputs: Outputs, applied: int = 0) -> None:
        """Note a change of the core, its outputs, and how many records were applied for it."""
        self._mark += 1
        self.queue.add(outputs, applied)
        self.changed_event.set()

    def skip(self, position: int) -> None:
        """Continue at a later position, because the log lost the records before it."""
        self.lost += position - self.position
        self.counters.lost_events += position - self.position
        self.position = position
        self._mark += 1

    async def wait_for_space(self) -> None:
        """Wait while too many outputs or records wait for a checkpoint."""
        while self.queue.is_full:
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Return when everything that was applied and added until now is durable."""
        mark = self._mark
        while self._saved < mark:
            if self._commit is None or self._commit.done():
                self._commit = asyncio.create_task(self._write())
            # a waiting task may be cancelled, a transaction under way is not
            await asyncio.shield(self._commit)

    async def _whole(self) -> None:
        """Wait until nothing is applied in part."""
        # who waits may be woken after the next bundle has begun
        while not self._between_bundles.is_set():
            await self._between_bundles.wait()

    async def _write(self) -> None:
        while True:
            await self._whole()
            async with self.slices.turn.lock:  # encoding a large state takes long, too
                if self._between_bundles.is_set():
                    mark, position = self._mark, self.position
                    outputs, applied = self.queue.take()
                    began = time.monotonic()
                    changed = self.core.changed()
                    await asyncio.sleep(0)
                    break
        try:
            with self.slices.turn.transaction():
                async with asyncio.timeout(PATIENCE_S):
                    written = await self.changelog.write(position, changed, outputs, self._attempt)
        except exits.Misconfigured as error:
            exits.leave(exits.CONFIGURATION, str(error))
        except BaseException as error:  # noqa: BLE001 - fenced, failed or unknown: only a new process can read the durable state
            code = exits.CONFIGURATION if isinstance(error, Denied) else exits.STATE
            exits.restart(code, f"checkpoint of {self.tp.topic}/{self.tp.partition} at {position}: {error!r}")
        exits.reset_restarts()
        self.durable, self._saved, self.last_checkpoint = position, mark, time.monotonic()
        self.queue.adapt(written.size, applied)
        self.counters.count_checkpoint(self.tp, written, self.last_checkpoint - began)
