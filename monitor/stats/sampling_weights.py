"""Weight classes: the sampling probabilities that a statistic tells apart, as integers in parts per million.

A probability is rounded to three significant digits. A statistic keeps at most eight classes. When a ninth
comes, all are rounded more coarsely: to two digits, one digit, powers of ten. Each level rounds the result of
the level before, so the outcome does not depend on the order of events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MAX_CLASSES = 8
COARSEST_LEVEL = 3
MILLION = 1_000_000
"""Probability 1 in parts per million; an event of probability ``ppm`` weighs ``MILLION / ppm``."""
FORGET_FACTOR = 100.0
"""A weight is forgotten when this many times the calls that it stands for were counted since it was last seen.
A class that still had 13 % of the calls would have been seen by then, except with probability e^-15.
"""
_POWERS: tuple[int, ...] = tuple(10**exponent for exponent in range(8))


def to_ppm(probability: float) -> int:
    """Round a probability to the finest grid: parts per million, 1 to 1,000,000, three significant digits.

    >>> to_ppm(1.0), to_ppm(0.1), to_ppm(0.12345), to_ppm(1e-9)
    (1000000, 100000, 123000, 1)
    """
    return _round_significant(max(1, min(MILLION, round(probability * MILLION))), 3)


def coarsen(ppm: int, level: int) -> int:
    """Round a value of grid ``level - 1`` to grid ``level`` (1: two digits, 2: one digit, 3: powers of ten).

    >>> coarsen(123000, 1), coarsen(120000, 2), coarsen(400000, 3), coarsen(300000, 3)
    (120000, 100000, 1000000, 100000)
    """
    if level < COARSEST_LEVEL:
        return _round_significant(ppm, 3 - level)
    return min(MILLION, next(power for power in _POWERS if ppm * ppm < 10 * power * power))


def _round_significant(ppm: int, digits: int) -> int:
    unit: int = 10 ** max(0, len(str(ppm)) - digits)
    return min(MILLION, (ppm + unit // 2) // unit * unit)


class Units(NamedTuple):
    """The heaviest weights that a rate of a series is known to have; 0 where none is known.

    ``any``: of any event. ``failed``: of an event that failed. Counts in these units, failures and other
    events apart, support exact intervals (``monitor.stats.rate``).
    """

    any: float = 0.0
    failed: float = 0.0


NO_UNITS = Units()


class WeightMemory:
    """Remember the heaviest weights of one rate of one series, in seven numbers; initially none.

    A class of events exists also in a minute in which none of it was sampled. Without a memory of it, a
    minute with two errors of probability 1 and no sampled success reads as an outage.

    >>> memory = WeightMemory()
    >>> memory.observe({1_000_000: [2, 2], 10_000: [3, 0]}), memory.units
    (True, Units(any=100.0, failed=1.0))
    >>> memory.observe({1_000_000: [2, 2]}), memory.units
    (True, Units(any=100.0, failed=1.0))
    >>> memory.observe({1_000_000: [10_000, 0]}), memory.units
    (True, Units(any=1.0, failed=1.0))
    """

    __slots__ = ("_any", "_failed", "has_passed", "units")

    def __init__(self) -> None:
        # heaviest weight, calls counted since it was last seen, heaviest weight since then
        self._any = [0.0, 0.0, 0.0]
        self._failed = [0.0, 0.0, 0.0]
        self.has_passed = False
        """Whether any event did not fail."""
        self.units = NO_UNITS
        """The heaviest weights that are known."""

    def observe(self, classes: Mapping[int, Sequence[int]]) -> bool:
        """Add the counts since the last edge; return whether the memory has changed.

        Args:
            classes: ppm -> events, failures. A class without events is one that is known to exist.
        """
        if len(classes) == 1:  # in most cases nothing changes
            ((ppm, (n, f)),) = classes.items()
            latest = [MILLION / ppm, 0.0, 0.0]
            if self._any == latest and (not f or self._failed == latest) and (self.has_passed or n == f):
                return False
        before = self.state()
        counts = [(MILLION / ppm, n, f) for ppm, (n, f) in sorted(classes.items())]
        self.has_passed = self.has_passed or any(n > f for _, n, f in counts)
        _remember(self._any, [(weight, n) for weight, n, _ in counts])
        _remember(self._failed, [(weight, f) for weight, _, f in counts if f])
        self.units = Units(self._any[0], self._failed[0])
        return self.state() != before

    def merge(self, other: WeightMemory) -> None:
        """Add what ``other`` remembers, which stays as it is. The order of merges does not matter."""
        for own, others in ((self._any, other._any), (self._failed, other._failed)):
            if others[0] == own[0]:
                own[:] = [own[0], min(own[1], others[1]), max(own[2], others[2])]
            else:
                lighter = min(own[0], others[0])
                heavier = own if own[0] > others[0] else others
                own[:] = [heavier[0], heavier[1], max(own[2], others[2], lighter)]
        self.has_passed = self.has_passed or other.has_passed
        self.units = Units(self._any[0], self._failed[0])

    def state(self) -> list[float]:
        """Return seven plain numbers."""
        return [*self._any, *self._failed, float(self.has_passed)]

    @classmethod
    def from_state(cls, state: Sequence[float]) -> WeightMemory:
        """Restore a memory from ``state``."""
        memory = cls()
        memory._any, memory._failed = [*map(float, state[:3])], [*map(float, state[3:6])]
        memory.has_passed = bool(state[6])
        memory.units = Units(memory._any[0], memory._failed[0])
        return memory


def _remember(column: list[float], counts: Sequence[tuple[float, int]]) -> None:
    """Update heaviest weight, calls since it was seen, and heaviest weight since then."""
    if not counts:
        return
    heaviest = max(weight for weight, _ in counts)
    if heaviest >= column[0]:
        column[:] = [heaviest, 0.0, 0.0]
        return
    column[1] += sum(weight * n for weight, n in counts)
    column[2] = max(column[2], heaviest)
    if column[1] >= FORGET_FACTOR * column[0]:
        column[:] = [column[2], 0.0, 0.0]
