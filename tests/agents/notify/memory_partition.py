"""A partition of the notify agent without Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from monitor.protocol.messages import FileRecord, Outputs


class MemoryPartition:
    """Keeps outputs and checkpoints in memory.

    Attributes:
        durable: the state of the last checkpoint; ``checkpoints``: how many there were.
        is_caught_up: what ``caught_up`` says; ``looks``: how often a task has asked for it.
    """

    def __init__(self, core: Any, durable: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.core, self.is_caught_up, self.changed_event = core, True, asyncio.Event()
        self.durable: dict[bytes, Any] = dict(durable)
        self.looks = self.checkpoints = 0
        self.outputs = Outputs()
        self.core.restore(self.durable.items())

    @property
    def caught_up(self) -> bool:
        self.looks += 1
        return self.is_caught_up

    def add(self, outputs: Outputs) -> None:
        assert isinstance(outputs, Outputs)
        self.outputs.extend(outputs)
        self.changed_event.set()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)
        self.durable.update(self.core.changed())
        self.checkpoints += 1

    def put(self, *models: Any) -> None:
        """Apply records of the alerts topic."""
        records = [FileRecord(model.model_dump_json().encode()) for model in models]
        self.add(self.core.apply(records, time.time_ns() // 1000))
