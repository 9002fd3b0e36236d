"""Calls by pane, as the meters of a feature's producers count them: the known denominator of sampled rates."""

from __future__ import annotations

from typing import Any

from monitor.stats.known_calls import Calls
from monitor.windows.segment_series import FINE_RETENTION_US

MAX_INTERVAL_PANES = 2
"""A meter that counts for longer does not say in which pane the calls were."""


class MeteredCalls:
    """Calls of one feature by pane, initially none, and all known.

    >>> calls = MeteredCalls()
    >>> calls.add(50_000_000, 60_000_000, 10, pane_us=60_000_000)
    >>> calls.add(60_000_000, 70_000_000, 30, pane_us=60_000_000)
    >>> calls.add(110_000_000, 130_000_000, 8, pane_us=60_000_000)
    >>> calls.within(60_000_000, 120_000_000)
    Calls(least=26, n=34, most=42)
    """

    def __init__(self) -> None:
        self._panes: dict[int, list[int]] = {}  # start -> [calls, those of meters that cross the start]
        self._known_from_us = 0

    def add(self, after_us: int, until_us: int, n: int, pane_us: int) -> None:
        """Add the calls that a meter counted in (after, until], microseconds since 1970.

        If that is longer than two panes, it is not known in which pane each call was: no window that begins
        before its end is known.
        """
        if until_us - after_us > MAX_INTERVAL_PANES * pane_us:
            self.lose(until_us)
        if n <= 0 or until_us <= after_us:
            return
        counted = 0
        first_us, last_us = after_us // pane_us * pane_us, -(-until_us // pane_us) * pane_us - pane_us
        first_us = max(first_us, last_us - MAX_INTERVAL_PANES * pane_us)
        for start_us in range(first_us, last_us + pane_us, pane_us):
            pane = self._panes.setdefault(start_us, [0, 0])
            share = n * (min(until_us, start_us + pane_us) - after_us) // (until_us - after_us)
            pane[0] += share - counted
            counted = share
            if start_us > first_us:
                pane[1] += n
        if len(self._panes) > FINE_RETENTION_US // pane_us + 10:
            oldest_us = last_us - FINE_RETENTION_US
            self.lose(oldest_us)
            self._panes = {start: pane for start, pane in self._panes.items() if start >= oldest_us}

    def lose(self, until_us: int) -> None:
        """Note that not all calls before this time are known."""
        self._known_from_us = max(self._known_from_us, until_us)

    def within(self, start_us: int, end_us: int) -> Calls | None:
        """Return the calls in [start, end), both pane edges; None if not all of them are known.

        A meter whose interval crosses an edge of the window does not say on which side its calls were: ``n``
        shares them by time; ``least`` is without them, ``most`` has them twice at worst.
        """
        if start_us < self._known_from_us:
            return None
        n = sum(calls for start, (calls, _) in self._panes.items() if start_us <= start < end_us)
        crossing = sum(self._panes.get(edge_us, (0, 0))[1] for edge_us in (start_us, end_us))
        return Calls(max(0, n - crossing), n, n + crossing)

    def state(self) -> list[Any]:
        """Return plain values."""
        return [self._panes, self._known_from_us]

    @classmethod
    def from_state(cls, panes: dict[int, list[int]], known_from_us: int) -> MeteredCalls:
        """Restore the calls from ``state``."""
        calls = cls()
        calls._panes, calls._known_from_us = panes, known_from_us
        return calls
