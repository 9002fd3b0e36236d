"""The circuit breaker of one channel: a receiver that is down is asked now and then whether it is back, not
once for every waiting episode.

Pure: the wall clock and the jitter are arguments. It is not durable: a restart asks at once, and finds out
anew.
"""

from __future__ import annotations

from typing import Literal

FAILURES = 3  # in a row, whatever they were about, before it opens
FIRST_PROBE_S, LONGEST_PROBE_S = 5.0, 60.0  # recovery is noticed within a minute

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed, everything goes out. Open, nothing does until the next probe is due; half-open, one step may
    go, and its answer decides.

    >>> breaker = Breaker()
    >>> for _ in range(FAILURES):
    ...     wait_s = breaker.failed(0, jitter=0.0)
    >>> breaker.state(0), breaker.state(5_000_000)
    ('open', 'half-open')
    >>> breaker.answered()
    >>> breaker.state(5_000_000)
    'closed'
    """

    def __init__(self) -> None:
        self._failures = 0
        self._probe_us = self._untried_us = 0
        self.open_since_us: int | None = None
        """Since when it is open, wall clock, microseconds since 1970; None when it is closed."""
        self.reason = ""
        """What the last failure was."""

    def state(self, now_us: int) -> State:
        """What may go out now. ``now_us``: wall clock, microseconds since 1970."""
        if self.open_since_us is None:
            return "closed"
        return "half-open" if now_us >= self._probe_us else "open"

    def may_try_the_untried(self, now_us: int) -> bool:
        """Whether a page that was never tried may go out although the next probe is not due: a person would
        want it tried, soon.
        """
        return now_us >= self._untried_us

    def answered(self) -> None:
        """The receiver took a step, or refused it for good: in both cases it is there."""
        self._failures, self._untried_us, self.open_since_us, self.reason = 0, 0, None, ""

    def failed(self, now_us: int, jitter: float, after_s: float = 0.0, reason: str = "") -> float | None:
        """A step did not get through. Gives the seconds until the next probe, None while it is still closed.

        Args:
            now_us: wall clock, microseconds since 1970.
            jitter: drawn from [0, 1); shortens the time until the next probe by up to half.
            after_s: seconds that the receiver itself asked to be left alone.
            reason: what it said.
        """
        self._failures += 1
        self.reason = reason
        if self._failures < FAILURES:
            return None
        if self.open_since_us is None:
            self.open_since_us = now_us
        wait_s = min(LONGEST_PROBE_S, FIRST_PROBE_S * 2.0 ** min(self._failures - FAILURES, 20))
        wait_s = max(after_s, wait_s * (1 - jitter / 2))
        self._probe_us = now_us + round(wait_s * 1e6)
        self._untried_us = now_us + round(max(after_s, min(wait_s, FIRST_PROBE_S)) * 1e6)
        return wait_s
