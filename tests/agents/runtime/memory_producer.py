"""A transactional producer of aiokafka in memory."""

from __future__ import annotations

import asyncio
from typing import Any


class Batch:
    """A batch of at most three records."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def append(self, *, timestamp: Any, key: Any, value: Any, headers: Any) -> object | None:
        """Add a record; return None if the batch is full."""
        del timestamp
        if len(self.rows) == 3:
            return None
        self.rows.append((key, value, headers))
        return self

    def record_count(self) -> int:
        return len(self.rows)


class MemoryProducer:
    """Keeps the records of each committed transaction. A batch whose record has the value ``refused`` fails.

    A commit yields to the event loop before it takes effect.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.sent: list[Any] = []
        self.committed: list[list[Any]] = []

    async def begin_transaction(self) -> None:
        self.sent = []

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Any:
        """Return a future of the acknowledgement."""
        future = asyncio.get_running_loop().create_future()
        if any(value == b"refused" for _, value, _ in batch.rows):
            future.set_exception(ValueError("refused"))
        else:
            future.set_result(type("Metadata", (), {"offset": 100})())
        self.sent += [(topic, partition, *row) for row in batch.rows]
        return future

    async def commit_transaction(self) -> None:
        await asyncio.sleep(0)
        self.committed.append(self.sent)

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range({"p.windows": 16, "p.events": 16, "p.alerts": 4}.get(topic, 4)))
