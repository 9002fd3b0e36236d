"""Queue of a partition's next checkpoint: unwritten outputs and applied records, and when to write them."""

from __future__ import annotations

import asyncio

from monitor.protocol.messages import Message, Outputs

# applied between two checkpoints; FIRST_RECORDS until the size of a checkpoint is known, LEAST_RECORDS at
# least
MOST_RECORDS = 20_000
FIRST_RECORDS, LEAST_RECORDS = 5_000, 200
# bytes; a larger checkpoint halves the records that are applied before the next one, a smaller one doubles
# them
AIM_CHECKPOINT = 8 << 20
MOST_PENDING = 8 << 20  # bytes of unwritten outputs above which a partition accepts no bundle
URGENT = {"windows", "alerts"}  # topics whose outputs are written at once
# how long other outputs wait: without it, a publisher with another partitioner costs a transaction a bundle
LINGER_S = 0.25


class CheckpointQueue:
    """Outputs and the number of applied records that no checkpoint has taken yet; initially none.

    Attributes:
        due: set when the next checkpoint must not wait for its interval.
        most_records: records that are applied between two checkpoints.
        pending_bytes: size of the unwritten outputs.
    """

    def __init__(self) -> None:
        self.due = asyncio.Event()
        self.most_records = min(FIRST_RECORDS, MOST_RECORDS)
        self.pending_bytes = 0
        self._outputs, self._applied = Outputs(), 0
        self._linger: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        """Whether a checkpoint must be written before more is applied."""
        return self.pending_bytes > MOST_PENDING or self._applied >= 2 * self.most_records

    def add(self, outputs: Outputs, applied: int = 0) -> None:
        """Add outputs, and the number of records that were applied with them."""
        self._applied += applied
        if outputs:
            self._outputs.extend(outputs)
            self.pending_bytes += sum(
                map(_size, (message for messages in outputs.messages.values() for message in messages))
            )
        if outputs.messages.keys() & URGENT or self._applied >= self.most_records:
            self.due.set()
        elif outputs and self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self.due.set)

    def take(self) -> tuple[Outputs, int]:
        """Return all outputs and the number of applied records for a checkpoint, and empty the queue."""
        outputs, applied = self._outputs, self._applied
        self._outputs, self.pending_bytes, self._applied = Outputs(), 0, 0
        self.due.clear()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        return outputs, applied

    def adapt(self, size_bytes: int, applied: int) -> None:
        """Adapt ``most_records`` to a checkpoint of ``applied`` records that wrote ``size_bytes``."""
        if size_bytes > AIM_CHECKPOINT:
            self.most_records = max(min(LEAST_RECORDS, self.most_records), self.most_records // 2)
        elif 2 * applied >= self.most_records:
            self.most_records = min(MOST_RECORDS, 2 * self.most_records)


def _size(message: Message) -> int:
    return len(message.value) + len(message.key or b"") + 64
