"""When a silence is in force: once, or weekly by a wall clock.

Pure: instants are arguments, microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.times import microseconds

DAY_US = 86_400_000_000


class OneTimeWindow(NamedTuple):
    """A window that occurs once: [start, end)."""

    start_us: int
    end_us: int

    def end(self, at_us: int) -> int | None:
        """Return when the window that contains this instant ends, or None if it does not contain it."""
        return self.end_us if self.start_us <= at_us < self.end_us else None

    def next_change(self, at_us: int) -> int | None:
        """Return the first start or end after this instant, or None if there is none."""
        if self.start_us >= self.end_us:
            return None
        return next((edge_us for edge_us in sorted(self) if edge_us > at_us), None)


class WeeklyWindow(NamedTuple):
    """A window that starts at a local time on some weekdays and lasts a fixed time.

    A change of the clock does not change its length. If the clock skips the start (spring), it starts later
    by as much as the clock jumps. If the clock shows the start twice (autumn), it starts at the first.

    ``days``: weekdays on which it starts, 0 is Monday. ``start``: local time in ``zone``.
    """

    days: frozenset[int]
    start: time
    length_us: int
    zone: ZoneInfo

    def end(self, at_us: int) -> int | None:
        """Return when the window that contains this instant ends (of two that overlap the later end), or
        None.
        """
        ends = [start_us + self.length_us for start_us in self._starts(at_us, 1) if start_us <= at_us]
        return max((end_us for end_us in ends if at_us < end_us), default=None)

    def next_change(self, at_us: int) -> int:
        """Return the first start or end after this instant."""
        return min(
            edge_us
            for start_us in self._starts(at_us, 8)
            for edge_us in (start_us, start_us + self.length_us)
            if edge_us > at_us
        )

    def _starts(self, at_us: int, days_ahead: int) -> Iterator[int]:
        """Yield the starts whose window may contain this instant, and those of the days ahead."""
        today = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(self.zone).date()
        for offset in range(-(self.length_us // DAY_US) - 2, days_ahead + 1):
            day: date = today + timedelta(days=offset)
            if day.weekday() in self.days:
                yield microseconds(datetime.combine(day, self.start, self.zone))
