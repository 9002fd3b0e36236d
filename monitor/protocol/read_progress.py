"""How far a caller has read a partition."""

from __future__ import annotations

from typing import NamedTuple


class ReadProgress(NamedTuple):
    """How far a partition has been read, which only the shell knows."""

    caught_up: bool
    lost: int
    """Records that were deleted before they were read, since the partition is owned."""
    recovery_s: float = 0.0
    """Seconds from taking over the partition until its state was read."""
