"""Exponential backoff with jitter: how long to wait before the next attempt."""

from __future__ import annotations

from typing import NamedTuple

_MAX_DOUBLINGS = 20  # limits the power, which would overflow after about a thousand failures


class Backoff(NamedTuple):
    """Waits that double with each failure, from ``first_s`` up to ``longest_s`` seconds.

    >>> backoff = Backoff(first_s=1.0, longest_s=300.0)
    >>> [backoff.wait_s(failures, jitter=0.0) for failures in (1, 2, 3, 10)]
    [1.0, 2.0, 4.0, 300.0]
    >>> backoff.wait_s(3, jitter=0.5), backoff.wait_s(3, jitter=0.5, at_least_s=30.0)
    (3.0, 30.0)

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
    """

    first_s: float
    longest_s: float

    def wait_s(self, failures: int, jitter: float, at_least_s: float = 0.0) -> float:
        """Return the seconds until the next attempt.

        Args:
            failures: failures in a row, 1 or more.
            jitter: drawn from [0, 1); shortens the wait by up to half.
            at_least_s: the shortest wait, as a receiver asks for in ``Retry-After``; jitter does not shorten
                it.
        """
        doubled_s = self.first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return max(at_least_s, min(self.longest_s, doubled_s) * (1 - jitter / 2))
