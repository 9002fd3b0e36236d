"""Exponential backoff."""

from __future__ import annotations


def backoff_s(failures: int, first_s: float, longest_s: float, jitter: float = 0.0) -> float:
    """Return the seconds to wait after a number of consecutive failures.

    Args:
        failures: at least 1.
        first_s: wait after the first failure, seconds; doubles with each further one.
        longest_s: upper limit, seconds.
        jitter: share by which the wait is shortened, [0, 1); drawn by the caller.

    >>> [backoff_s(failures, 0.5, 30.0) for failures in (1, 2, 3, 100)]
    [0.5, 1.0, 2.0, 30.0]
    >>> backoff_s(1, 10.0, 30.0, jitter=0.25)
    7.5
    """
    return min(longest_s, first_s * 2.0 ** min(failures - 1, 20)) * (1.0 - jitter)
