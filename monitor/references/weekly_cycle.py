"""The weekly cycle: the rate of the same hours one week before.

A rule tolerates it, so that a rate that was higher at the same hours of last week counts as no rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.references.daily_cycle import no_interval
from monitor.stats.rate import Rate
from monitor.windows.pane import Pane

KNOWN_AFTER_DAYS = 7
"""Age in days from which a feature has the same hours of last week."""
SPAN_HOURS = 12
"""Hours that are read together: the hour and those before, after or around it."""
MIN_EVENTS = 100.0
"""Effective events that a span needs."""
MAX_TOLERANCE = 5.0
SHORT_OUTAGE_US = 6 * 3_600_000_000
"""An incident that was shorter is no cycle: its hours are left out."""


class WeeklyCycle:
    """The hours around one hour of last week, of one series, read on demand.

    Args:
        hour: its number since 1970.
        hours: the panes of hours, by number, from ``SPAN_HOURS`` before it to as long after it.
    """

    def __init__(self, hour: int, hours: Mapping[int, Sequence[Pane]]) -> None:
        self._hour, self._hours = hour, hours
        self._rates: dict[str, float] = {}

    def failure_rate(self, metric: str) -> float:
        """Return the highest failure rate of the spans that contain the hour; 0 if all have too few events.

        Spans before, after and around the hour: at the edge of a weekend one lies inside it.
        """
        if metric not in self._rates:
            half = SPAN_HOURS // 2
            firsts = (self._hour - SPAN_HOURS + 1, self._hour - half, self._hour)
            self._rates[metric] = max(self._rate_of(metric, first) for first in firsts)
        return self._rates[metric]

    def tolerance(self, metric: str, usual_rate: float) -> float:
        """Return by which factor the failure rate may exceed the usual one, 1 to 5."""
        return min(MAX_TOLERANCE, max(1.0, self.failure_rate(metric) / usual_rate)) if usual_rate > 0 else 1.0

    def _rate_of(self, metric: str, first: int) -> float:
        merged = Rate()
        merged.merge_all(
            [
                rate
                for hour in range(first, first + SPAN_HOURS)
                for pane in self._hours.get(hour, ())
                if (rate := pane.find_rate(metric)) is not None
            ]
        )
        estimate = merged.estimate(0.0, interval=no_interval)
        return estimate.value if estimate.value is not None and estimate.n >= MIN_EVENTS else 0.0
