"""Steps of a core in slices of time, between which other tasks run and answers of the broker are read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agents.runtime.checkpoint_queue import MOST_RECORDS

SLICE_S = 0.1
"""How long steps are taken before other tasks run."""
SHORT_S = 0.01
"""A shorter slice, of the last steps, needs no pause."""
SLOW_S = 0.5
"""Records are applied without a pause, and no answer of the broker is read meanwhile: a longer slice is slow."""
FIRST_AT_ONCE, LEAST_AT_ONCE = 1_000, 250
OLD_S = 0.5
"""Age from which a transaction goes before slices."""
WAIT_S = 1.0
"""How long a slice waits at most: without a broker no transaction ends."""


class Turn:
    """What the partitions of a process take in turn: the time of the event loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._begun: dict[object, float] = {}
        self._ended = asyncio.Event()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Note that a transaction is open."""
        transaction = object()
        self._begun[transaction] = time.monotonic()
        try:
            yield
        finally:
            del self._begun[transaction]
            self._ended.set()

    async def wait_for_transactions(self) -> None:
        """Let other tasks run; while a transaction is old, until it is committed."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while self._has_old():
                    self._ended.clear()
                    await self._ended.wait()

    def _has_old(self) -> bool:
        now_s = time.monotonic()
        return now_s - min(self._begun.values(), default=now_s) > OLD_S


class StepSlices:
    """Takes the steps of one partition.

    Only one partition of a process takes a slice at a time, and waits for transactions that are old. If all
    took slices between two answers of the broker, transactions of a busy worker would exceed their timeout.

    Args:
        turn: one for all partitions of the process.

    Attributes:
        turn: taken for each slice.
        at_once: records to apply without a pause.
    """

    def __init__(self, turn: Turn | None = None) -> None:
        self.turn = Turn() if turn is None else turn
        self.at_once = FIRST_AT_ONCE

    async def exhaust(self, steps: Iterator[None], note: Callable[[], None]) -> float:
        """Take all steps, and return the length of the longest slice in seconds; ``note`` is called after each
        step. A cancelled task takes them without further pauses.
        """
        longest_s, is_over = 0.0, False
        try:
            while not is_over:
                async with self.turn.lock:
                    began = time.monotonic()
                    is_over = _take_slice(steps, note)
                    took_s = time.monotonic() - began
                    longest_s = max(longest_s, took_s)
                    if not is_over or took_s > SHORT_S:
                        await self.turn.wait_for_transactions()
        except asyncio.CancelledError:
            for _ in steps:
                pass
            raise
        return longest_s

    def adapt(self, longest_s: float, applied: int) -> None:
        """Apply fewer records at once if ``applied`` ones took a long slice, more if they took little time."""
        if longest_s > SLOW_S:
            self.at_once = max(LEAST_AT_ONCE, self.at_once // 2)
        elif longest_s < SLOW_S / 4 and 2 * applied > self.at_once:
            self.at_once = min(MOST_RECORDS, 2 * self.at_once)


def _take_slice(steps: Iterator[None], note: Callable[[], None]) -> bool:
    """Take steps for ``SLICE_S``; return whether all are taken."""
    since = time.monotonic()
    for _ in steps:
        note()
        if time.monotonic() - since > SLICE_S:
            return False
    return True
