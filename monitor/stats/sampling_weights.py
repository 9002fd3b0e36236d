"""Weight classes: the sampling probabilities that a statistic tells apart, as integers in parts per million.

A probability is rounded to three significant digits. A statistic keeps at most eight classes. When a ninth
comes, all are rounded more coarsely: to two digits, one digit, powers of ten. Each level rounds the result of
the level before, so the outcome does not depend on the order of events.
"""

from __future__ import annotations

MAX_CLASSES = 8
COARSEST_LEVEL = 3
MILLION = 1_000_000
"""Probability 1 in parts per million; an event of probability ``ppm`` weighs ``MILLION / ppm``."""
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
