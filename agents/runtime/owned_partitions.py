"""The partitions of this process: assigned by the group, restored, and revoked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faust.types import TP

from agents.kafka.rights import Denied
from agents.process import exits
from agents.runtime.backend import Backend
from agents.runtime.changelog import Changelog
from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.partition import Agent, Partition
from agents.runtime.source_topics import SourceTopics
from agents.runtime.step_slices import Turn
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.store")

# partitions whose state is read at the same time: each needs twice its size in memory meanwhile
READERS = 4
SAY_S = 2.0  # how often the progress of a restore is logged


class OwnedPartitions:
    """All partitions of this process, by source topic and number; the ``Ledger`` of the transport.

    Args:
        backend: where state is; None: the Kafka of the configuration.
        facts: what all workers of a prefix must agree on, as in ``state_header.FACTS``.
    """

    def __init__(
        self,
        kafka: Kafka,
        agents: Sequence[Agent],
        counters: Counters,
        backend: Backend | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._facts = dict(facts or {})
        self.kafka, self.counters, self._backend = kafka, counters, backend
        self.agents = {f"{kafka.prefix}.{agent.source}": agent for agent in agents}
        self._lead = (f"{kafka.prefix}.{agents[0].name}.state", 0) if agents else None
        self.cluster = ""
        self.sources: SourceTopics | None = None  # None: the broker keeps no identities
        self.owned: dict[TP, Partition] = {}
        self.restoring: dict[TP, tuple[Partition, asyncio.Task[None]]] = {}
        self._readers = asyncio.Semaphore(READERS)
        self._turn = asyncio.Lock()  # of the partitions that search for poison
        self._slices = Turn()  # of the partitions that apply
        self.assigned = False  # whether the group has assigned partitions, or none, to this process

    def positions(self) -> dict[TP, int]:
        """Return the positions to fetch from. Called from the thread of the consumer."""
        return {tp: partition.position for tp, partition in list(self.owned.items())}

    def durable(self) -> dict[TP, int]:
        """Return the positions to commit to the group, for displays of lag. Called from the thread of the
        consumer.
        """
        return {tp: partition.durable for tp, partition in list(self.owned.items())}

    def progress(self) -> tuple[dict[TP, int], int]:
        """Return a value that changes with every progress."""
        steps = sum(partition.steps for partition in self.owned.values())
        return self.positions(), steps + sum(
            partition.changelog.restored for partition, _ in self.restoring.values()
        )

    def status(self) -> list[PartitionStatus]:
        """Return the status of every partition that is owned or being restored."""
        restoring = [partition.status(True) for partition, _ in self.restoring.values()]
        return [partition.status(False) for partition in self.owned.values()] + restoring

    async def assign(self, tps: set[TP]) -> None:
        """Restore new partitions; return when all of them are owned."""
        if self.sources is not None and (fault := self.sources.assignment_fault(tps)) is not None:
            exits.leave(exits.CONFIGURATION, fault)
        for tp in sorted(tps - self.owned.keys() - self.restoring.keys()):
            agent = self.agents[tp.topic]
            partition = Partition(
                agent,
                TP(*tp),
                Changelog(
                    self.kafka,
                    agent.name,
                    TP(*tp),
                    self.cluster,
                    self._readers,
                    self._backend,
                    self._facts | ({} if self.sources is None else self.sources.facts(tp.topic)),
                    self._lead,
                ),
                self.kafka.checkpoint,
                self.counters,
                self._turn,
                self._slices,
            )
            self.restoring[partition.tp] = partition, asyncio.create_task(self._restore(partition))
        began, records = time.monotonic(), self.counters.restored_records
        tasks = [task for _, task in self.restoring.values()]
        with _without_garbage_collection():
            progress = asyncio.create_task(self._log_progress(began))
            await asyncio.gather(*tasks)
            progress.cancel()
        if tasks:
            log.info(
                "restored %d partitions: %s records of state in %.2f s",
                len(tasks),
                f"{self.counters.restored_records - records:,}",
                time.monotonic() - began,
            )
        self.assigned = True

    async def revoke(self, tps: set[TP]) -> None:
        """Make partitions durable and release them; bundles that arrive later are ignored."""
        self.assigned = False
        restores = [task for tp, (_, task) in self.restoring.items() if tp in tps]
        for task in restores:
            task.cancel()
        await asyncio.gather(*restores, *(self.owned.pop(tp).close() for tp in tps & self.owned.keys()))

    async def revoke_all(self) -> None:
        """Release all partitions, because the process is about to end."""
        await self.revoke(set(self.owned) | set(self.restoring))

    async def _log_progress(self, began: float) -> None:
        while True:
            await asyncio.sleep(SAY_S)
            for tp, (partition, _) in list(self.restoring.items()):
                if (share := partition.changelog.share) > 0:
                    log.info(
                        "restoring %s/%d: %s records, %.0f %% of its log, %.1f s",
                        *tp,
                        f"{partition.changelog.restored:,}",
                        100 * share,
                        time.monotonic() - began,
                    )

    async def _restore(self, partition: Partition) -> None:
        began, tp = time.monotonic(), partition.tp
        try:
            await partition.restore()
            self.owned[tp] = partition
            took_s = partition.recovery_s = time.monotonic() - began
            partition.begin()
            self.counters.restore_seconds += took_s
            self.counters.restored_records += partition.changelog.restored
            log.info(
                "owns %s/%d from %d: %d records of state in %.2f s",
                *tp,
                partition.position,
                partition.changelog.restored,
                took_s,
            )
        except asyncio.CancelledError:
            log.info("%s/%d was revoked while it was restored", *tp)
            await partition.abandon()
        except exits.Misconfigured as error:
            exits.leave(exits.CONFIGURATION, str(error))
        except Exception as error:  # noqa: BLE001 - otherwise the partition would stay without an owner
            code = exits.CONFIGURATION if isinstance(error, Denied) else exits.STATE
            exits.restart(code, f"restoring {tp.topic}/{tp.partition}: {error!r}")
        finally:
            self.restoring.pop(tp, None)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Stop garbage collection during a restore.

    Restored state is no garbage, and scanning it again and again takes ten times as long (measured).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
