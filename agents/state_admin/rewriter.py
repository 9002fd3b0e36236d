"""Rewrite one partition of a state topic while no worker owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka.errors import ProducerFenced
from faust.types import TP

from agents.kafka.state_topic import BARRIER, HEADER, POSITION, StateRecord, StateTopic
from agents.kafka.topics import ALERTS
from agents.process.exits import Refused
from agents.runtime.changelog import OPEN_S, Changelog
from monitor.protocol.messages import Message


class Rewriter(Changelog):
    """A journal that is opened to change what a worker would refuse: it takes the same transactional id, so
    an owner that wakes up is fenced.
    """

    async def take(self) -> dict[bytes, bytes]:
        """Fence every earlier owner, then read what is committed, the store's own records included; nothing
        is checked.
        """
        async with asyncio.timeout(OPEN_S):
            await self._producer.start()
            self._open = True
            barrier = await self._transact({self._state: [(BARRIER, b"{}", ())]})
        async with self._reader() as reader:
            return await self._read_to(reader, barrier)

    def check(self, header: bytes | None, partitions: int) -> None:
        """Look at whose state it is, as a worker does; ``partitions``: of the source.

        Raises:
            Misconfigured: of another owner, cluster, source or layout.
        """
        self._check_header(header, partitions, has_records=True)

    async def rewrite(self, records: Iterable[StateRecord], told: Sequence[Message] = ()) -> None:
        """All of these or none, in one transaction; with them what the alerts topic is told.

        Raises:
            Refused: a worker took the partition meanwhile.
        """
        try:
            rows: dict[
                tuple[str, int], list[tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]]
            ] = {self._state: [(key, value, ()) for key, value in records] or [(BARRIER, b"{}", ())]}
            if told:
                rows[f"{self._kafka.prefix}.{ALERTS}", 0] = [(one.key, one.value, ()) for one in told]
            await self._transact(rows)
        except ProducerFenced as error:
            raise Refused(
                f"a worker took {self.state_topic}/{self._source.partition} meanwhile: this partition is as"
                " it was. Stop it first"
            ) from error

    async def beginning(self, position: int) -> list[StateRecord]:
        """The store's own records of a partition on which a worker is to begin at this source offset."""
        self._began = position
        return [(HEADER, self.header(await self._count(self._source.topic))), (POSITION, b"%d" % position)]


def rewriter_of(state: StateTopic, number: int, cluster: str) -> Rewriter:
    """What changes a partition of state."""
    return Rewriter(state.kafka, state.agent, TP(state.source, number), cluster)
