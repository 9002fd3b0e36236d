"""One partition of a state topic: fencing, barrier, restore and transactions (the scheme of Kafka Streams).

One Kafka transaction per checkpoint holds the changed state, the outputs AND the source position they belong
to; nothing else is durable. Partition p of the source has its state in partition p of the state topic,
and a transactional id of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from faust.types import TP

from agents.kafka.state_topic import BARRIER, HEADER, POSITION, StateRecord, keep_latest
from agents.kafka.topics import ALERTS
from agents.process import exits
from agents.runtime.backend import Backend, LogReader, Recovery, Row, Target, WriteResult
from agents.runtime.careful_replay import RELEASED, Attempt, decode_attempt
from agents.runtime.kafka_backend import KafkaBackend
from agents.runtime.state_header import FACTS, compare_with_lead, expected_header, read_header
from agents.runtime.state_sizes import MOST_BYTES, StateSizes, check_sizes
from monitor.protocol.messages import Message, Outputs
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.journal")

EXEMPT = {"events", "deadletter"}
READ_RECORDS = 2000  # at a time; the event loop is busy for some 20 ms
OPEN_S = 60.0  # to fence the earlier owner, broker restarts included
LEAD_S = 0.2  # between two looks for the header of the leading partition
WAIT_LOG_S = 5.0
SETTLE_S = 15.0  # how long a broker that has just started may report too early an end


class Changelog:
    """Reads and writes the state of one source partition.

    Args:
        cluster: id of the Kafka cluster, which stands in the header of the state.
        readers: bounds how many states are read at the same time.
        backend: where topics are; None: the Kafka of the configuration.
        facts: those of ``state_header.FACTS`` that are known; others stay as they are in the header.
        lead: the partition of state whose header a new one must agree with; None: this is the only one.
    """

    def __init__(
        self,
        kafka: Kafka,
        agent: str,
        source: TP,
        cluster: str,
        readers: asyncio.Semaphore | None = None,
        backend: Backend | None = None,
        facts: Mapping[str, Any] | None = None,
        lead: Target | None = None,
    ) -> None:
        self._kafka, self._agent, self._source, self._cluster = kafka, agent, source, cluster
        self._facts = dict(facts or {})
        self._readers = readers or asyncio.Semaphore(1)
        self.state_topic = f"{kafka.prefix}.{agent}.state"
        self.restored = 0  # records of state read so far
        self.share = 0.0  # of the log of the state that is read, 0 to 1
        self._sizes = StateSizes()
        self.bytes = 0  # of keys and values of the records that the state holds now
        self._state: Target = self.state_topic, source.partition
        self._lead = self._state if lead is None else lead
        self._partitions: dict[str, int] = {}
        self._has_header = False
        self._attempt: Attempt | None = None  # the last note of earlier owners
        self._unclean = False  # whether the last of them did not release the state in order
        self._began: int | None = None  # the source offset at which this state began to count
        self._open = False
        self._backend: Backend = KafkaBackend(kafka) if backend is None else backend
        self._writer = self._backend.writer(
            transactional_id=f"{kafka.prefix}.{agent}-{source.topic}-{source.partition}"
        )

    @property
    def remedy(self) -> str:
        """The remedy for state that cannot be used, as part of a message."""
        return (
            "take another kafka.prefix; or, to delete what was measured, stop the workers and run: python -m"
            f" agents state reset --agent {self._agent} (of this partition alone: --partition"
            f" {self._source.partition})"
        )

    async def open(self) -> Recovery:
        """Fence every earlier owner, then read the committed state.

        Raises:
            Misconfigured: the state belongs to another deployment, or its position is beyond the log.
        """
        async with asyncio.timeout(OPEN_S):
            await self._writer.start()  # fences every older owner and ends its open transaction
            self._open = True
            partitions = await self._count(self._source.topic)
            # The barrier is a record behind everything that older owners wrote. Reading up to its POSITION
            # cannot end early, whatever end offset a broker that has just started reports.
            barrier = await self._write_barrier()
        async with self._backend.reader() as reader:
            async with self._readers:
                latest = await self._read_to(reader, barrier)
            header = latest.pop(HEADER, None)
            self._check_header(header, partitions, bool(latest))
            if header is None and self._lead != self._state:
                await self._agree_with_lead(reader)
            recorded = latest.pop(POSITION, None)
            position, lost = await self._begin_at(reader, None if recorded is None else int(recorded))
        if recorded is None:
            self._began = position
        return Recovery(
            list(latest.items()), position, partitions, recorded is None, lost, self._unclean, self._attempt
        )

    @property
    def records(self) -> int:
        """Number of records in the state."""
        return len(self._sizes)

    async def write(
        self,
        position: int,
        changed: Sequence[StateRecord],
        outputs: Outputs,
        attempt: Attempt | None = None,
    ) -> WriteResult:
        """Write state, outputs and position in one transaction, and the attempt that follows.

        Raises:
            Misconfigured: a record of state is above 960 KB.
        """
        large = check_sizes(self.state_topic, changed)
        rows: dict[Target, list[Row]] = {self._state: [(key, value, ()) for key, value in changed]}
        state = rows[self._state]
        if not self._has_header:
            state.append((HEADER, self.header(await self._count(self._source.topic)), ()))
        state.append((POSITION, b"%d" % position, ()))
        if attempt is not None:
            state.append((BARRIER, attempt.encode(), ()))
        oversized = 0
        for suffix, messages in outputs.messages.items():
            for message in messages:
                if len(message.value) > MOST_BYTES and suffix not in EXEMPT:
                    log.error(
                        "left out: a record of %d bytes for %s, key %r, is above %d",
                        len(message.value),
                        suffix,
                        message.key,
                        MOST_BYTES,
                    )
                    oversized += 1
                    continue
                rows.setdefault(await self._target(suffix, message), []).append(
                    (message.key, message.value, message.headers)
                )
        size = sum(
            len(key or b"") + len(value or b"")
            for target_rows in rows.values()
            for key, value, _ in target_rows
        )
        await self._writer.transact(rows)
        self._has_header = True
        self.bytes = self._sizes.count(changed)
        return WriteResult(size, oversized, large)

    async def close(self) -> None:
        """Disconnect. The next owner aborts what is not committed."""
        if self._open:
            self._open = False
            await self._writer.stop()

    def header(self, partitions: int) -> bytes:
        """Return the header record, which says whose state this is; ``partitions``: of the source."""
        return json.dumps(
            self._header(partitions) | ({} if self._began is None else {"began": self._began})
        ).encode()

    async def _target(self, suffix: str, message: Message) -> Target:
        topic = f"{self._kafka.prefix}.{suffix}"
        if suffix == ALERTS:
            return topic, 0
        if message.partition is not None:
            return topic, message.partition
        # All outputs of a feature come from one partition; murmur2 in Python over each key costs more than
        # the write.
        return topic, self._source.partition % await self._count(topic)

    async def _count(self, topic: str) -> int:
        if topic not in self._partitions:
            self._partitions[topic] = await self._writer.partitions(topic)
        return self._partitions[topic]

    async def _write_barrier(self) -> int:
        """Write a barrier and return its offset."""
        return (await self._writer.transact({self._state: [(BARRIER, b"{}", ())]}))[self._state]

    async def _read_to(self, reader: LogReader, barrier: int) -> dict[bytes, bytes]:
        """Return the latest value of each key, in the order of the log."""
        state = TopicPartition(*self._state)
        first = (await reader.begins([state]))[state]
        latest: dict[bytes, bytes] = {}
        async for records in reader.batches({state: range(first, barrier + 1)}, READ_RECORDS):
            keep_latest(latest, records)
            for record in records:
                if record.key == BARRIER and record.offset < barrier:
                    attempt = decode_attempt(record.value)
                    self._attempt, self._unclean = attempt or self._attempt, attempt != RELEASED
            self.restored += len(records)
            self.share = min(1.0, (reader.position(state) - first) / (barrier + 1 - first))
            await asyncio.sleep(0)  # fetched records come without waiting
        self.bytes = self._sizes.count(
            (key, value) for key, value in latest.items() if not key.startswith(b"\x00")
        )
        return latest

    def _header(self, partitions: int) -> dict[str, Any]:
        return expected_header(self._agent, self._cluster, self._source.topic, partitions, self._facts)

    def _check_header(self, value: bytes | None, partitions: int, has_records: bool) -> None:
        where = f"{self.state_topic}/{self._source.partition}"
        if value is None:
            if has_records:
                raise exits.Misconfigured(
                    f"{where} has records without a header, so they are not of softfail; {self.remedy}"
                )
            return
        expected = self._header(partitions)
        header = read_header(value, expected, where, self.remedy)
        began = header.get("began")
        self._began = began if isinstance(began, int) else None
        # An older format is read record by record. The new header goes into the first transaction, so that no
        # older worker reads newer records.
        self._has_header = header["layout"] == expected["layout"] and self._facts.keys() <= header.keys()
        self._facts = {name: header[name] for name in FACTS if name in header} | self._facts

    async def _agree_with_lead(self, reader: LogReader) -> None:
        """Wait for the header of the leading partition, and compare what a whole group must agree on.

        The owner of that partition writes it at its start, under fencing, so all new headers agree with it.
        """
        lead, logged_at = TopicPartition(*self._lead), 0.0
        while True:
            latest: dict[bytes, bytes] = {}
            bounds = range((await reader.begins([lead]))[lead], (await reader.ends([lead]))[lead])
            async for records in reader.batches({lead: bounds}, READ_RECORDS):
                keep_latest(latest, records)
            if (value := latest.get(HEADER)) is not None:
                compare_with_lead(
                    value,
                    self._facts,
                    f"{lead.topic}/{lead.partition}",
                    f"{self.state_topic}/{self._source.partition}",
                )
                return
            if time.monotonic() - logged_at > WAIT_LOG_S:
                log.info("%s/%d waits for the header of %s/%d", *self._state, *lead)
                logged_at = time.monotonic()
            await asyncio.sleep(LEAD_S)

    async def _begin_at(self, reader: LogReader, recorded: int | None) -> tuple[int, int]:
        """Return the position to begin at, and how many offsets before it are lost."""
        source = TopicPartition(*self._source)
        start: int = (await reader.begins([source]))[source]
        if recorded is None:
            first = start if self._kafka.start == "earliest" else (await reader.ends([source]))[source]
            log.info(
                "%s/%d has no state yet: it begins at %d, the %s record (kafka.start)",
                *self._source,
                first,
                self._kafka.start,
            )
            return first, 0
        for _ in range(int(SETTLE_S)):
            end: int = (await reader.ends([source]))[source]
            if recorded <= end:
                break
            await asyncio.sleep(1)
        else:
            raise exits.Misconfigured(
                f"{source.topic}/{source.partition} ends at {end}, but its state has position {recorded}: was"
                f" the topic re-created? {self.remedy}"
            )
        if recorded < start:
            log.error(
                "LOST %s/%d [%d, %d): the log begins after the position of the state",
                *self._source,
                recorded,
                start,
            )
            return start, start - recorded
        return recorded, 0
