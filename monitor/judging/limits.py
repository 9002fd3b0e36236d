"""How many calls a judge may have under way: the limit halves when the provider refuses, and grows with answers."""

from __future__ import annotations


class AdaptiveLimit:
    """Additive increase, multiplicative decrease.

    Args:
        most: calls at the same time that the configuration allows, at least 1.

    >>> limit = AdaptiveLimit(8)
    >>> limit.refused(0.0), limit.refused(0.5), int(limit.calls)
    (None, None, 4)
    >>> for _ in range(40):
    ...     limit.answered()
    >>> int(limit.calls)
    8

    Source: Chiu and Jain, Computer Networks and ISDN Systems 17 (1989).
    """

    COOLDOWN_S = 5.0  # calls that were under way are refused together

    def __init__(self, most: int) -> None:
        self._most = most
        self.calls = float(most)
        self._refused_s = float("-inf")

    def answered(self) -> None:
        """Note an answer."""
        self.calls = min(float(self._most), self.calls + 1 / self.calls)

    def refused(self, now_s: float) -> None:
        """Note that the provider refused a call as one too many. ``now_s``: monotonic clock."""
        if now_s - self._refused_s >= self.COOLDOWN_S:
            self._refused_s = now_s
            self.calls = max(1.0, self.calls / 2)
