"""Progress of a caller in reading a partition."""

from __future__ import annotations

from typing import NamedTuple


class ReadProgress(NamedTuple):
    """Progress in reading a partition, which only the caller knows."""

    caught_up: bool
    lost: int
    """Records that were deleted before they were read, since the caller took over the partition."""
    recovery_s: float = 0.0
    """Seconds from taking over the partition until its state was read."""
