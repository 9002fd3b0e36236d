"""Weight classes: at most eight distinct probabilities a statistic, as integers in parts per million.

A probability is rounded to three significant digits. When more than eight classes come together, all are
rounded more coarsely: two digits, one digit, powers of ten. Each step rounds the result of the step before,
so the outcome does not depend on order.
"""

from __future__ import annotations

MAX_CLASSES = 8
COARSEST_LEVEL = 3
MILLION = 1_000_000  # probability 1
_POWERS: tuple[int, ...] = tuple(10**exponent for exponent in range(8))


def to_ppm(probability: float) -> int:
    """A probability on the finest grid, parts per million in [1, 1_000_000].

    >>> to_ppm(1.0), to_ppm(0.1), to_ppm(0.12345), to_ppm(1e-9)
    (1000000, 100000, 123000, 1)
    """
    return _significant(max(1, min(MILLION, round(probability * MILLION))), 3)


def coarsen(ppm: int, level: int) -> int:
    """A value of grid ``level - 1`` on grid ``level`` (1: two digits, 2: one digit, 3: powers of ten).

    >>> coarsen(123000, 1), coarsen(120000, 2), coarsen(400000, 3), coarsen(300000, 3)
    (120000, 100000, 1000000, 100000)
    """
    if level < COARSEST_LEVEL:
        return _significant(ppm, 3 - level)
    return min(MILLION, next(power for power in _POWERS if ppm * ppm < 10 * power * power))


def _significant(ppm: int, digits: int) -> int:
    unit: int = 10 ** max(0, len(str(ppm)) - digits)
    return min(MILLION, (ppm + unit // 2) // unit * unit)
