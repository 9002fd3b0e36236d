"""What was measured of each feature over time, from its windows: as many points as a plot can show, and no
extreme lost.

Panes that are merged are merged as counts, so a point is weighed as the events are. What a single pane said
surely (its 95 % interval) is kept beside the point as the extremes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Any

import msgspec

from monitor.protocol.messages import Message
from monitor.reports.plot_panels import EVENTS, Panel
from monitor.reports.window_histogram import Histogram, Spread
from monitor.stats.rate import NO_ESTIMATE, Estimate, Rate
from monitor.stats.sampling_weights import to_ppm
from monitor.windows.metric_definitions import SUCCESS_RATES, quantile_of
from monitor.windows.pane import Z95

POINTS = 200  # a plot: more than it has columns would only thicken its lines
LEAST = 40  # points that are not merged further, however few events they stand for
TYPICAL = 60  # events that half of the points should stand for: with fewer, chance is all that is seen
SETTLED_US = 3 * 3_600_000_000  # a window is revised for two hours; what is older is merged
_SEGMENT = b'{"record":"window","level":"segment"'

Key = tuple[str, str, str]


class Bin:
    """What was counted in one stretch of time of a feature. ``low`` of a line: the least upper end of a
    pane's interval, ``high`` the greatest lower end.
    """

    __slots__ = ("events", "high", "low", "panes", "rates", "spreads")

    def __init__(self) -> None:
        self.events = 0
        self.panes = 0
        self.rates: dict[str, Rate] = {}
        self.spreads: dict[str, Spread] = {}
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}

    def merge(self, other: Bin) -> None:
        """Take in another, which must not be used any more."""
        self.events += other.events
        self.panes += other.panes
        for name, rate in other.rates.items():
            self.rates.setdefault(name, Rate()).merge(rate)
        for name, spread in other.spreads.items():
            if name in self.spreads:
                self.spreads[name].merge(spread)
            else:
                self.spreads[name] = spread
        for line, value in other.low.items():
            self.low[line] = min(value, self.low.get(line, value))
        for line, value in other.high.items():
            self.high[line] = max(value, self.high.get(line, value))

    def read(self, name: str, reading: str) -> Estimate:
        """A line's value here; of numbers without an interval."""
        if not reading:
            rate = self.rates.get(name)
            return NO_ESTIMATE if rate is None else rate.estimate(Z95, inverted=name in SUCCESS_RATES)
        spread = self.spreads.get(name)
        if spread is None:
            return NO_ESTIMATE
        q = quantile_of(reading)
        return Estimate(spread.mean() if q is None else spread.quantile(q), spread.n, None, None)


class Series:
    """One feature over time, in at most ``POINTS`` bins of equal width that begin at whole multiples of it.
    Times are microseconds since 1970.

    Where events are few, bins are fewer, so that a point stands for some of them.
    """

    def __init__(self, pane_us: int) -> None:
        self.width_us = pane_us
        self.events = 0
        self._recent: dict[int, Bin] = {}
        self._bins: dict[int, Bin] = {}
        self._settle_at_us = -(2**62)

    def take(self, start_us: int, one: Bin) -> None:
        """Take in a window; a later revision of the same replaces it."""
        known = self._recent.get(start_us)
        self.events += one.events - (known.events if known else 0)
        self._recent[start_us] = one
        if start_us >= self._settle_at_us:
            self._pour(start_us - SETTLED_US)
            self._settle_at_us = start_us + SETTLED_US // 3

    def points(self) -> list[tuple[int, Bin]]:
        """The bins with their starts, in order of time. Ends the taking in."""
        self._pour(2**62)
        while len(self._bins) >= 2 * LEAST and median(one.events for one in self._bins.values()) < TYPICAL:
            self._widen()
        return sorted(self._bins.items())

    def _pour(self, until_us: int) -> None:
        for start_us in sorted(start for start in self._recent if start < until_us):
            self._put(start_us, self._recent.pop(start_us))
            while len(self._bins) > POINTS:
                self._widen()

    def _widen(self) -> None:
        self.width_us *= 2
        bins, self._bins = self._bins, {}
        for at, one in bins.items():
            self._put(at, one)

    def _put(self, start_us: int, one: Bin) -> None:
        at = start_us // self.width_us * self.width_us
        if at in self._bins:
            self._bins[at].merge(one)
        else:
            self._bins[at] = one


class Measured:
    """The series of all features, and the time that they cover."""

    def __init__(self, pane_us: int, panels: Sequence[Panel]) -> None:
        self.pane_us, self.panels = pane_us, panels
        self.series: dict[Key, Series] = {}
        self.start: datetime | None = None
        self.end: datetime | None = None
        self._lines = [
            (panel.name, reading)
            for panel in panels
            if panel.name != EVENTS
            for reading in (panel.readings or ("",))
        ]
        self._fields = _fields(self._lines)
        self._decoder = msgspec.json.Decoder(_window_of(self._fields))

    @property
    def events(self) -> int:
        """Events measured."""
        return sum(series.events for series in self.series.values())

    def take(self, messages: Iterable[Message]) -> None:
        """Take in records of the windows topic; of segments, nothing."""
        for message in messages:
            if message.value.startswith(_SEGMENT):
                continue
            window: Any = self._decoder.decode(message.value)
            if window.level != "feature":
                continue
            self.start = window.start if self.start is None else min(self.start, window.start)
            self.end = window.end if self.end is None else max(self.end, window.end)
            key = (window.service, window.feature, window.environment)
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = Series(self.pane_us)
            series.take(round(window.start.timestamp()) * 1_000_000, self._bin(window))

    def _bin(self, window: Any) -> Bin:
        one = Bin()
        one.events, one.panes = window.events, 1
        one.low[EVENTS] = one.high[EVENTS] = window.events
        for metric, field in self._fields.items():
            shown: Shown | None = getattr(window.metrics, field)
            if shown is None or shown.value is None:
                continue
            name, _, reading = metric.rpartition(".")
            if shown.classes is not None:
                rate = one.rates[metric] = Rate()
                for probability, n, failures in shown.classes:
                    rate.add(to_ppm(probability), n, failures)
            elif shown.histogram is not None:
                one.spreads[name] = Spread(shown.histogram, shown.unit or 1.0, shown.sum or 0.0)
            if (name, reading) in self._lines or (metric, "") in self._lines:
                if shown.high is not None:
                    one.low[metric] = shown.high
                if shown.low is not None:
                    one.high[metric] = shown.low
        return one


class Shown(msgspec.Struct):
    """A metric of a window."""

    value: float | None
    low: float | None = None
    high: float | None = None
    classes: list[tuple[float, int, int]] | None = None
    sum: float | None = None
    unit: float | None = None
    histogram: Histogram | None = None


def _fields(lines: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Metric of a window -> name of the field that holds it once decoded."""
    metrics = [
        metric
        for name, reading in lines
        for metric in ((f"{name}.{reading}", f"{name}.mean") if reading else (name,))
    ]
    return {metric: f"m{at}" for at, metric in enumerate(dict.fromkeys(metrics))}


def _window_of(fields: dict[str, str]) -> type[msgspec.Struct]:
    """A struct that takes of a window what is shown and leaves the rest undecoded."""
    metrics = msgspec.defstruct(
        "Metrics",
        [(field, Shown | None, None) for field in fields.values()],
        rename={field: at for at, field in fields.items()},
    )
    columns: list[Any] = [(name, str) for name in ("level", "service", "feature", "environment")]
    return msgspec.defstruct(
        "Window", [*columns, ("start", datetime), ("end", datetime), ("events", int), ("metrics", metrics)]
    )
