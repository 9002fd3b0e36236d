"""Feed the read model from Kafka: what all workers publish, without a consumer group and without writing.

It runs in the worker's event loop, so it takes records in small steps. A fault never reaches the worker: the
page says what it does not show, and reading goes on later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiokafka.errors
from aiokafka import TopicPartition
from kafka.errors import KafkaError

from agents.kafka.topic_reader import TopicReader
from agents.process import exits
from agents.runtime.clock import wall_clock_us
from monitor.fleet.read_model import Fleet
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.web")

POLL_S = 1.0  # between two reads of what is new
RETRY_S = 10.0  # after a fault
STEP = 100  # records between two turns of the event loop
FETCH_BYTES = 1 << 20
HISTORY_S = {"windows": 65 * 60, "samples": 6 * 3600, "alerts": 8 * 86_400}
"""How far back a start reads: an hour of charts, and episodes that began within eight days."""
_FAULTS = (KafkaError, aiokafka.errors.KafkaError, OSError, TimeoutError, exits.Refused, exits.Misconfigured)


class FleetReader:
    """Follows the topics ``windows``, ``alerts`` and ``samples``.

    Attributes:
        fleet: the read model.
        fault: why the read model is not complete; empty once everything was read.
    """

    def __init__(self, kafka: Kafka, fleet: Fleet) -> None:
        self._kafka, self.fleet = kafka, fleet
        self.fault = "what other workers measure is being read"
        self._positions: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._follow()
            except _FAULTS as error:
                self.fault = f"what other workers measure is not read: {type(error).__name__}"
                log.warning("the page shows this worker only: %s: %s", type(error).__name__, error)
            except Exception as error:
                self.fault = f"what other workers measure is not read: {type(error).__name__}"
                log.exception("the page shows this worker only")
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        async with TopicReader(self._kafka, fetch_bytes=FETCH_BYTES) as reader:
            partitions = await self._start(reader)
            while True:
                ends = await reader.ends(partitions)
                ranges = {
                    partition: range(self._positions[partition], end)
                    for partition, end in ends.items()
                    if end > self._positions[partition]
                }
                if ranges:
                    reader.assign(ranges)
                for partition in ranges:
                    await self._read(reader, partition)
                self.fault = ""
                await asyncio.sleep(POLL_S)

    async def _start(self, reader: TopicReader) -> Sequence[TopicPartition]:
        """Find the partitions, and where to begin in those that were not read yet; alerts come first."""
        all_partitions = []
        for name in ("alerts", "windows", "samples"):
            partitions = await reader.partitions(f"{self._kafka.prefix}.{name}")
            if not partitions:
                raise exits.Refused(f"topic {self._kafka.prefix}.{name} does not exist")
            all_partitions += partitions
            new = [partition for partition in partitions if partition not in self._positions]
            if not new:
                continue
            since_ms = wall_clock_us() // 1000 - HISTORY_S[name] * 1000
            ranges = await reader.ranges(new, since_ms)
            self._positions |= {partition: offsets.start for partition, offsets in ranges.items()}
        return all_partitions

    async def _read(self, reader: TopicReader, partition: TopicPartition) -> None:
        topic = partition.topic.removeprefix(f"{self._kafka.prefix}.")
        while records := await reader.fetch(partition):
            for begin in range(0, len(records), STEP):
                now_us = wall_clock_us()
                for record in records[begin : begin + STEP]:
                    self.fleet.take(topic, record, now_us)
                await asyncio.sleep(0)
            self._positions[partition] = records[-1].offset + 1
        self._positions[partition] = max(self._positions[partition], reader.position(partition))
