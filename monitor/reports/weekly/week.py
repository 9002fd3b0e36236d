"""Collect a week: windows of each feature, money, inputs, verdicts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from monitor.protocol.messages import OutputRecord
from monitor.reports.plot_panels import Panel
from monitor.reports.time_series import Bin, Measurements
from monitor.reports.weekly.new_inputs import MOST_TEXTS
from monitor.windows.record import WindowRecord
from schemas.times import microseconds
from softfail.sampling import hash_to_unit

Feature = tuple[str, str, str]
"""Service, feature, environment."""
_SALT = b"weekly-inputs"
_MOST_CHARS = 2_000


class Costs:
    """Calls, cost and tokens of a feature, each event weighted by 1/p."""

    def __init__(self) -> None:
        self.calls = self.priced = self.usd = self.input_tokens = self.output_tokens = 0.0

    def add(self, event: Any) -> None:
        """Add a response."""
        weight = 1 / event.sample_probability
        self.calls += weight
        if event.cost_usd is not None:
            self.priced += weight
            self.usd += weight * event.cost_usd
        self.input_tokens += weight * (event.input_tokens or 0)
        self.output_tokens += weight * (event.output_tokens or 0)

    @property
    def usd_a_call(self) -> float | None:
        """Mean cost of a call that states its cost."""
        return self.usd / self.priced if self.priced else None


class Period(NamedTuple):
    """A period of time, microseconds since 1970; ``end_us`` is exclusive."""

    start_us: int
    end_us: int

    def __contains__(self, time_us: object) -> bool:
        return isinstance(time_us, int) and self.start_us <= time_us < self.end_us


class Week:
    """What is known of one week.

    Args:
        period: of the week.
        pane_us: of the configuration.
        panels: metrics that are kept.
    """

    def __init__(self, period: Period, pane_us: int, panels: Sequence[Panel]) -> None:
        self.period = period
        self.costs: dict[Feature, Costs] = {}
        self._measurements = Measurements(pane_us, panels)
        self._inputs: dict[Feature, list[tuple[float, str]]] = {}

    def take_windows(self, records: Iterable[OutputRecord]) -> None:
        """Add the windows that begin in the week."""
        self._measurements.take(
            record
            for record in records
            if isinstance(record, WindowRecord) and microseconds_of(record.start) in self.period
        )

    def take_response(self, event: Any) -> None:
        """Add a decoded response of the week: its cost, and its input if the sample of inputs takes it."""
        key = (event.service, event.feature, event.environment)
        self.costs.setdefault(key, Costs()).add(event)
        if event.input and event.input.strip():
            inputs = self._inputs.setdefault(key, [])
            item = (-hash_to_unit(event.event_id, _SALT), event.input[:_MOST_CHARS])
            if len(inputs) < MOST_TEXTS:
                heapq.heappush(inputs, item)
            else:
                heapq.heappushpop(inputs, item)

    def inputs(self, feature: Feature) -> list[str]:
        """Return the sample of inputs of a feature, in random order."""
        return [text for _, text in sorted(self._inputs.get(feature, ()))]

    def bins(self) -> dict[Feature, Bin]:
        """Return the merged counts of each feature. No window may be added afterwards."""
        out: dict[Feature, Bin] = {}
        for feature, series in self._measurements.series.items():
            merged = out[feature] = Bin()
            for _, part in series.points():
                merged.merge(part)
        return out


def microseconds_of(time: str) -> int:
    """Return an RFC 3339 time as microseconds since 1970."""
    return microseconds(datetime.fromisoformat(time))
