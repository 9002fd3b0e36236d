"""When a channel may be tried again: backoff of each step, circuit breaker of the channel.

Pure: the wall clock and the jitter are arguments. Nothing is durable: a restart tries at once.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.delivery.circuit_breaker import CircuitBreaker
from softfail.backoff import Backoff


class RetryPolicy(NamedTuple):
    """Settings of the retries of one kind of step.

    Args:
        failures: failures in a row, of whichever step, that open the circuit breaker.
        probes: waits between two probes while it is open.
        steps: waits of each step while it is closed; None: only the breaker delays steps.
    """

    failures: int
    probes: Backoff
    steps: Backoff | None


EPISODES = RetryPolicy(failures=3, probes=Backoff(5.0, 60.0), steps=Backoff(1.0, 300.0))
"""A receiver that is back gets its pages within a minute."""
CHANGES = RetryPolicy(failures=1, probes=Backoff(1.0, 300.0), steps=None)
"""Nobody waits for a change, so one attempt at a time is enough."""


class RetryLane:
    """Attempts of the steps of one kind at one channel.

    >>> lane = RetryLane(EPISODES)
    >>> lane.failed("e1", 0, jitter=0.0)
    1.0
    >>> lane.rank("e1", 0), lane.rank("e1", 1_000_000)
    (None, 0)
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.breaker = CircuitBreaker(policy.failures, policy.probes)
        self._attempts: dict[str, tuple[int, int]] = {}  # id -> failures, not before
        self._paused_until_us = 0

    def is_paused(self, now_us: int) -> bool:
        """Return whether the receiver asked to be left alone until later than ``now_us``."""
        return now_us < self._paused_until_us

    def may_send(self, now_us: int) -> bool:
        """Return whether any step may go out. ``now_us``: wall clock, microseconds since 1970."""
        closed = self.breaker.state(now_us) == "open" and not self.breaker.may_try_untried(now_us)
        return not closed and not self.is_paused(now_us)

    def rank(self, name: str, now_us: int) -> int | None:
        """Return how late a step stands in line (the lowest goes first), or None if it has to wait.

        While the breaker is open, those that were tried least go first, so that a step that the receiver
        cannot take does not keep it from the others.

        Args:
            name: id of the episode or change.
            now_us: wall clock, microseconds since 1970.
        """
        failures, not_before_us = self._attempts.get(name, (0, 0))
        state = self.breaker.state(now_us)
        if state == "closed" and self._policy.steps is not None:
            return None if now_us < not_before_us else 0
        return None if state == "open" and failures else failures

    def answered(self, name: str) -> None:
        """Note that the receiver took or refused a step. If it was down, all other steps may go at once."""
        self._attempts.pop(name, None)
        self._paused_until_us = 0
        if self.breaker.open_since_us is not None and self._policy.steps is not None:
            self._attempts.clear()
        self.breaker.answered()

    def failed(
        self,
        name: str,
        now_us: int,
        jitter: float,
        after_s: float = 0.0,
        *,
        hold: bool = False,
        reason: str = "",
        unexpected: bool = False,
    ) -> float:
        """Note a failed attempt; return the seconds until the next of this step, or until the next probe of
        any while the breaker is open.

        Args:
            name: id of the episode or change.
            now_us: wall clock, microseconds since 1970.
            jitter: drawn from [0, 1), shortens the wait by up to half.
            after_s: the shortest wait that the receiver asked for, seconds.
            hold: whether the whole channel waits for that long.
            reason: why it failed.
            unexpected: whether there was an answer that was not the receiver's own.
        """
        if unexpected:
            self.breaker.unexpected_answer = reason
        probe_s = self.breaker.failed(now_us, jitter, after_s, reason)
        failures = self._attempts.get(name, (0, 0))[0] + 1
        wait_s = probe_s or 0.0
        if self._policy.steps is not None:
            wait_s = self._policy.steps.wait_s(failures, jitter, after_s)
        self._attempts[name] = failures, now_us + round(wait_s * 1e6)
        if hold:
            self._paused_until_us = self._attempts[name][1]
        return wait_s if probe_s is None or hold else probe_s

    def forget(self, name: str) -> None:
        """Forget the attempts of what is not to be sent any more."""
        self._attempts.pop(name, None)
