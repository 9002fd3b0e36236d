"""Apply bundles to partitions: a bundle that joins the position is applied, after a gap records are fetched
again.

So no record is lost or counted twice on the way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from faust.types import TP

from agents.runtime.faust_transport import Bundle, Continuity, continuity
from agents.runtime.owned_partitions import OwnedPartitions
from agents.runtime.partition import Partition

log = logging.getLogger("softfail.intake")

OTHERS_FIRST_S = 5.0  # of a process, in which partitions that may end it are not applied
RETRY_S = 1.0


class BundleIntake:
    """Accepts every bundle of the stream.

    Args:
        earliest: returns the first offset that the broker still has of a partition.
        rewind: fetches again from the positions that are applied; its argument says why.
    """

    def __init__(
        self,
        store: OwnedPartitions,
        earliest: Callable[[TP], Awaitable[int]],
        rewind: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store, self._earliest, self._rewind = store, earliest, rewind
        self._suspects_from: float | None = None  # monotonic clock
        self._fetching_suspects: asyncio.Task[None] | None = None

    async def take(self, tp: TP, bundle: Bundle) -> None:
        """Apply the bundle if it joins the position; else fetch again."""
        partition = self._store.owned.get(tp)
        if partition is None:
            return  # revoked
        if partition.is_suspect and self._others_go_first():
            return
        await partition.wait_for_space()
        if not await self._heal(partition, bundle):
            return
        # or revoked meanwhile
        while (
            self._store.owned.get(tp) is partition
            and continuity(bundle.start, bundle.stop, partition.position) is Continuity.JOINS
        ):
            await partition.take(bundle)
            await partition.wait_for_space()

    def _others_go_first(self) -> bool:
        """Return whether bundles of suspect partitions are dropped for now. They are fetched again soon.

        A record that ends the process ends it for all partitions. So that they advance in each life of it, and
        their pages are sent, the others have the first seconds.
        """
        if all(partition.is_suspect for partition in self._store.owned.values()):
            return False
        now = time.monotonic()
        if self._suspects_from is None:
            self._suspects_from = now + OTHERS_FIRST_S
            self._fetching_suspects = asyncio.create_task(self._fetch_suspects())
        return now < self._suspects_from

    async def _fetch_suspects(self) -> None:
        await asyncio.sleep(OTHERS_FIRST_S)
        while True:
            try:
                await self._rewind("partitions in which the last process ended come now")
            except Exception as error:  # noqa: BLE001 - the broker is away; nothing else would fetch them
                log.warning("cannot fetch again: %r", error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _heal(self, partition: Partition, bundle: Bundle) -> bool:
        """Return whether the bundle can be applied. After a gap nothing can until the missing records have
        come.
        """
        tp, position = partition.tp, partition.position
        if continuity(bundle.start, bundle.stop, position) is not Continuity.GAP:
            return True
        if partition.refetched_from == position:
            return False
        try:
            oldest = await self._earliest(tp)
        except Exception as error:  # noqa: BLE001 - without a broker, the watchdog rewinds once there is one
            log.warning(
                "%s/%d: a gap at %d, and the broker does not say where its log begins: %r",
                *tp,
                position,
                error,
            )
            return False
        if oldest > position:
            log.error("LOST %s/%d [%d, %d): the log begins at %d", *tp, position, oldest, oldest)
            partition.skip(oldest)
            if bundle.start <= oldest:
                return True
        partition.refetched_from = partition.position
        self._store.counters.gaps += 1
        await self._rewind(f"gap in {tp.topic}/{tp.partition} at [{partition.position}, {bundle.start})")
        return False
