"""Counters of a process and the status of its partitions, as /metrics and the status page read them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.runtime.backend import WriteResult
from monitor.protocol.messages import Core
from monitor.protocol.metrics import (
    APPLY_BOUNDS_S,
    CHECKPOINT_BOUNDS_S,
    LOOP_DELAY_BOUNDS_S,
    SIZE_BOUNDS_BYTES,
    FixedBucketHistogram,
)

# bytes; a single step that changes more is written nevertheless, counted and logged
MOST_CHECKPOINT = 16 << 20

log = logging.getLogger("softfail.partition")


@dataclass
class Counters:
    """Counts since the process started; ``restarts`` also counts those before."""

    restarts: int = 0
    checkpoints: int = 0
    checkpoint_seconds: float = 0.0
    checkpoint_times: FixedBucketHistogram = field(
        default_factory=lambda: FixedBucketHistogram(CHECKPOINT_BOUNDS_S)
    )
    checkpoint_sizes: FixedBucketHistogram = field(
        default_factory=lambda: FixedBucketHistogram(SIZE_BOUNDS_BYTES)
    )
    large_checkpoints: int = 0  # above 16 MB
    apply_times: FixedBucketHistogram = field(default_factory=lambda: FixedBucketHistogram(APPLY_BOUNDS_S))
    loop_delays: FixedBucketHistogram = field(
        default_factory=lambda: FixedBucketHistogram(LOOP_DELAY_BOUNDS_S)
    )
    restore_seconds: float = 0.0
    restored_records: int = 0
    gaps: int = 0  # times a bundle did not join the position and was fetched again
    lost_events: int = 0  # offsets that were deleted from the log before they were read
    records: int = 0  # applied
    oversized: int = 0  # outputs above 256 KB, dropped
    large_records: int = 0  # of state, above 256 KB

    def count_checkpoint(self, tp: tuple[str, int], written: WriteResult, took_s: float) -> None:
        """Count a checkpoint of a partition of a source."""
        self.checkpoints += 1
        self.checkpoint_seconds += took_s
        self.checkpoint_times.observe(took_s)
        self.checkpoint_sizes.observe(written.size)
        self.oversized += written.oversized
        self.large_records += written.large
        if written.size > MOST_CHECKPOINT:
            self.large_checkpoints += 1
            log.warning(
                "a checkpoint of %s/%d wrote %d bytes in %.2f s, above %d",
                *tp,
                written.size,
                took_s,
                MOST_CHECKPOINT,
            )


@dataclass(frozen=True)
class PartitionStatus:
    """One partition as others may read it. Times are of the monotonic clock, in seconds."""

    agent: str
    topic: str
    partition: int
    core: Core | None
    """None while it is restored."""
    position: int
    durable: int
    end_offset: int | None
    caught_up: bool
    restoring: bool
    restored_records: int
    pending_bytes: int
    last_checkpoint_monotonic: float | None
    restored_share: float = 0.0
    """Read share of the log of its state, 0 to 1."""
    state_records: int = 0
    state_bytes: int = 0
    counted_at_start: Mapping[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)
    """The counters of its core when it was restored, by name and labels."""
