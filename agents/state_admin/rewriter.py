"""Rewrite one partition of a state topic while no worker owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka.errors import ProducerFenced
from faust.types import TP

from agents.kafka.state_topic import BARRIER, HEADER, POSITION, StateRecord, StateTopic
from agents.kafka.topics import ALERTS
from agents.process.exits import Refused
from agents.runtime.backend import Row, Target
from agents.runtime.changelog import OPEN_S, Changelog
from monitor.protocol.messages import Message


class Rewriter(Changelog):
    """A changelog that can also change state that a worker would refuse.

    It takes the transactional id of the worker, so an owner that comes back is fenced.
    """

    async def fence_and_read(self) -> dict[bytes, bytes]:
        """Fence every earlier owner, then read all committed records, header and position included; check
        nothing.
        """
        async with asyncio.timeout(OPEN_S):
            await self._writer.start()
            self._open = True
            barrier = await self._write_barrier()
        async with self._backend.reader() as reader:
            return await self._read_to(reader, barrier)

    def check(self, header: bytes | None, partitions: int) -> None:
        """Check whose state it is, as a worker does; ``partitions``: of the source.

        Raises:
            Misconfigured: it belongs to another owner, cluster or source, or has a newer layout.
        """
        self._check_header(header, partitions, has_records=True)

    async def rewrite(self, records: Iterable[StateRecord], messages: Sequence[Message] = ()) -> None:
        """Write these records, and messages for the alerts topic, in one transaction.

        Raises:
            Refused: a worker took the partition meanwhile.
        """
        try:
            rows: dict[Target, list[Row]] = {
                self._state: [(key, value, ()) for key, value in records] or [(BARRIER, b"{}", ())]
            }
            if messages:
                rows[f"{self._kafka.prefix}.{ALERTS}", 0] = [
                    (message.key, message.value, ()) for message in messages
                ]
            await self._writer.transact(rows)
        except ProducerFenced as error:
            raise Refused(
                f"a worker took {self.state_topic}/{self._source.partition} meanwhile, so the partition is"
                " unchanged; stop it first"
            ) from error

    async def start_at(self, position: int) -> list[StateRecord]:
        """Return header and position of a partition on which a worker shall begin at this source offset."""
        self._began = position
        return [(HEADER, self.header(await self._count(self._source.topic))), (POSITION, b"%d" % position)]


def rewriter_for(state: StateTopic, number: int, cluster: str) -> Rewriter:
    """Make the rewriter of a partition."""
    return Rewriter(state.kafka, state.agent, TP(state.source, number), cluster)
