"""The error budget of an evaluator: who breaks too often is not asked for a while."""

from __future__ import annotations

from collections import deque

RECENT = 100  # responses that the share is taken over
LEAST = 20  # responses before a share says anything
MAX_SHARE = 0.5
DEATHS = 10
DEATHS_S = 600.0
CUT_OFF_S = 600.0


class ErrorBudget:
    """Counts what an evaluator left without a verdict, and how often its process ended.

    Times are in seconds of any clock.

    Args:
        cuts_off: whether an evaluator can be cut off; False: it is only counted.

    Attributes:
        reason: why it is cut off, or was the last time.
        since_s: since when it is cut off; None if it is not.
    """

    def __init__(self, *, cuts_off: bool = True) -> None:
        self._cuts_off = cuts_off
        self.reason = ""
        self.since_s: float | None = None
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._deaths: deque[float] = deque(maxlen=DEATHS)

    def is_cut_off(self, now_s: float) -> bool:
        """Return whether the evaluator must not be asked now."""
        if self.since_s is None:
            return False
        if self.since_s <= now_s < self.since_s + CUT_OFF_S:
            return True
        self.since_s = None
        self._recent.clear()
        self._deaths.clear()
        return False

    def note(self, now_s: float, why: str = "") -> None:
        """Count a response. ``why``: it has no verdict; empty: it has one."""
        self._recent.append(bool(why))
        broken = sum(self._recent) if why else 0
        if why and len(self._recent) >= LEAST and broken >= MAX_SHARE * len(self._recent):
            self._cut_off(now_s, f"{broken} of its last {len(self._recent)} responses got no verdict: {why}")

    def note_death(self, now_s: float, why: str) -> None:
        """Count an end of the process."""
        self._deaths.append(now_s)
        if len(self._deaths) == DEATHS and 0 <= now_s - self._deaths[0] <= DEATHS_S:
            self._cut_off(now_s, f"its process ended {DEATHS} times within 10 min: {why}")

    def _cut_off(self, now_s: float, reason: str) -> None:
        if self._cuts_off and self.since_s is None:
            self.since_s, self.reason = now_s, reason
