"""Which responses have their texts read, one response after the other (decision 71)."""

from __future__ import annotations

from typing import Any

GOLDEN, MINUTE, TURN = 0x9E3779B1, 0xB504F333, 2**32


class TextChoice:
    """Counts the responses with text of one feature by segment and minute."""

    def __init__(self) -> None:
        self._counts: dict[Any, dict[int, int]] = {}

    def is_read(self, segment: Any, minute: int) -> bool:
        """Count a response with text; return whether it is read. ``minute``: number of the latest pane."""
        number = self._counts.setdefault(segment, {}).get(minute, 0)
        self._counts[segment][minute] = number + 1
        parts = sorted(n for counts in self._counts.values() if (n := counts.get(minute - 1, 0)))
        place = (number * GOLDEN + minute * MINUTE) % TURN
        before = self._counts[segment].get(minute - 1, 0)
        return place * max(before, number + 1) < _quota(parts) * TURN


def _quota(counts: list[int]) -> float:
    budget = min(max(sum(counts) / 3, 12.0), 24.0)
    while counts and counts[0] < budget / len(counts):
        budget -= counts.pop(0)
    return max(budget / len(counts), 0.5) if counts else 24.0
