"""Circuit breaker of one channel: probe a receiver that is down now and then, instead of once for every
waiting delivery.

Pure: the wall clock and the jitter are arguments. Nothing is durable: after a restart the breaker is closed.
"""

from __future__ import annotations

from typing import Literal

from softfail.backoff import Backoff

State = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """Count the failures of one channel and decide whether a step may go out.

    Closed: every step may. Open: none may before the next probe is due. Half-open: one step may, and its
    answer closes or opens the breaker.

    Args:
        failures: failures in a row that open it.
        probes: waits between two probes while it is open.

    >>> breaker = CircuitBreaker(failures=3, probes=Backoff(first_s=5.0, longest_s=60.0))
    >>> [breaker.failed(0, jitter=0.0) for _ in range(3)]
    [None, None, 5.0]
    >>> breaker.state(0), breaker.state(5_000_000)
    ('open', 'half-open')
    >>> breaker.answered()
    >>> breaker.state(5_000_000)
    'closed'
    """

    def __init__(self, failures: int, probes: Backoff) -> None:
        self._limit, self._probes = failures, probes
        self._failures = 0
        self._next_probe_us = self._next_untried_us = 0
        self.open_since_us: int | None = None
        """When it opened, wall clock, microseconds since 1970; None while it is closed."""
        self.reason = ""
        """Why the last step failed."""
        self.unexpected_answer: str | None = None
        """An answer since the last success that was not the receiver's own; empty: none; None: not known yet."""

    def state(self, now_us: int) -> State:
        """Return what may go out now. ``now_us``: wall clock, microseconds since 1970."""
        if self.open_since_us is None:
            return "closed"
        return "half-open" if now_us >= self._next_probe_us else "open"

    def may_try_untried(self, now_us: int) -> bool:
        """Return whether a page that was never tried may go out before the next probe is due.

        A person wants a new page to be tried soon. ``now_us``: wall clock, microseconds since 1970.
        """
        return now_us >= self._next_untried_us

    def answered(self) -> None:
        """Close: the receiver took a step, or refused it for good, so it is there."""
        self._failures, self._next_untried_us, self.open_since_us = 0, 0, None
        self.reason = self.unexpected_answer = ""

    def failed(self, now_us: int, jitter: float, after_s: float = 0.0, reason: str = "") -> float | None:
        """Count a failure; return the seconds until the next probe, or None while it is still closed.

        Args:
            now_us: wall clock, microseconds since 1970.
            jitter: drawn from [0, 1); shortens the time until the next probe by up to half.
            after_s: the shortest wait that the receiver itself asked for, seconds.
            reason: why the step failed.
        """
        self._failures += 1
        self.reason = reason
        if self._failures < self._limit:
            return None
        if self.open_since_us is None:
            self.open_since_us = now_us
        wait_s = self._probes.wait_s(self._failures - self._limit + 1, jitter, after_s)
        self._next_probe_us = now_us + round(wait_s * 1e6)
        self._next_untried_us = now_us + round(max(after_s, min(wait_s, self._probes.first_s)) * 1e6)
        return wait_s
