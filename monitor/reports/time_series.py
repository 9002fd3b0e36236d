"""Reduce the windows of each feature to as many points as a plot can show, without losing extremes.

Panes are merged as counts, so each event has the same weight. The 95 % interval of a single pane is kept
beside the merged point as its extremes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median

import msgspec

from monitor.protocol.messages import OutputRecord
from monitor.reports.plot_panels import EVENTS, Panel
from monitor.reports.window_histogram import HistogramRecord, MergeableHistogram
from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import to_ppm
from monitor.windows.metric_definitions import SUCCESS_RATES, quantile_of
from monitor.windows.record import Z95, WindowRecord

POINTS = 200  # points of a plot: about its width in pixels
LEAST = 40  # points are not merged below this number, however few events they have
TYPICAL = 60  # median number of events of a point; with fewer, the plot shows only random variation
REVISED_FOR_US = 3 * 3_600_000_000  # a window may be revised for two hours; older windows are merged

Key = tuple[str, str, str]


class Bin:
    """Counts of a feature in one period of time.

    ``low`` is, for each line, the lowest upper end of a pane's interval; ``high`` the highest lower end.
    """

    __slots__ = ("events", "high", "low", "panes", "rates", "spreads")

    def __init__(self) -> None:
        self.events = 0
        self.panes = 0
        self.rates: dict[str, Rate] = {}
        self.spreads: dict[str, MergeableHistogram] = {}
        self.low: dict[str, float] = {}
        self.high: dict[str, float] = {}

    def merge(self, other: Bin) -> None:
        """Merge another bin into this bin_. The other bin must not be used afterwards."""
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
        """Return the value of a line. Values of numbers have no interval."""
        if not reading:
            rate = self.rates.get(name)
            return NO_ESTIMATE if rate is None else rate.estimate(Z95, inverted=name in SUCCESS_RATES)
        spread = self.spreads.get(name)
        if spread is None:
            return NO_ESTIMATE
        q = quantile_of(reading)
        return Estimate(spread.mean() if q is None else spread.quantile(q), spread.n, None, None)


class TimeSeries:
    """One feature over time, in at most ``POINTS`` bins of equal width, aligned to multiples of the width.

    Times are microseconds since 1970. With few events the bins are wider, so that each point has enough of
    them.
    """

    def __init__(self, pane_us: int) -> None:
        self.width_us = pane_us
        self.events = 0
        self._recent: dict[int, Bin] = {}
        self._bins: dict[int, Bin] = {}
        self._next_merge_us = -(2**62)

    def take(self, start_us: int, window: Bin) -> None:
        """Add a window; a later revision of the same window replaces it."""
        previous = self._recent.get(start_us)
        self.events += window.events - (previous.events if previous else 0)
        self._recent[start_us] = window
        if start_us >= self._next_merge_us:
            self._merge_until(start_us - REVISED_FOR_US)
            self._next_merge_us = start_us + REVISED_FOR_US // 3

    def points(self) -> list[tuple[int, Bin]]:
        """Return the bins with their starts, sorted by time. No window may be added afterwards."""
        self._merge_until(2**62)
        while len(self._bins) >= 2 * LEAST and median(bin_.events for bin_ in self._bins.values()) < TYPICAL:
            self._widen()
        return sorted(self._bins.items())

    def _merge_until(self, until_us: int) -> None:
        for start_us in sorted(start for start in self._recent if start < until_us):
            self._add(start_us, self._recent.pop(start_us))
            while len(self._bins) > POINTS:
                self._widen()

    def _widen(self) -> None:
        self.width_us *= 2
        bins, self._bins = self._bins, {}
        for start_us, bin_ in bins.items():
            self._add(start_us, bin_)

    def _add(self, start_us: int, bin_: Bin) -> None:
        aligned_us = start_us // self.width_us * self.width_us
        if aligned_us in self._bins:
            self._bins[aligned_us].merge(bin_)
        else:
            self._bins[aligned_us] = bin_


class Measurements:
    """The series of all features, and the period that they cover."""

    def __init__(self, pane_us: int, panels: Sequence[Panel]) -> None:
        self.pane_us, self.panels = pane_us, panels
        self.series: dict[Key, TimeSeries] = {}
        self.start: datetime | None = None
        self.end: datetime | None = None
        self._lines = [
            (panel.name, reading)
            for panel in panels
            if panel.name != EVENTS
            for reading in (panel.readings or ("",))
        ]
        self._metrics = _metrics_of(self._lines)

    @property
    def events(self) -> int:
        """Number of events measured."""
        return sum(series.events for series in self.series.values())

    def take(self, records: Iterable[OutputRecord]) -> None:
        """Add records of the windows topic. Windows of segments are left out."""
        for record in records:
            if not isinstance(record, WindowRecord) or record.level != "feature":
                continue
            start, end = datetime.fromisoformat(record.start), datetime.fromisoformat(record.end)
            self.start = start if self.start is None else min(self.start, start)
            self.end = end if self.end is None else max(self.end, end)
            key = (record.service, record.feature, record.environment)
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = TimeSeries(self.pane_us)
            series.take(round(start.timestamp()) * 1_000_000, self._bin(record))

    def _bin(self, window: WindowRecord) -> Bin:
        bin_ = Bin()
        bin_.events, bin_.panes = window.events, 1
        bin_.low[EVENTS] = bin_.high[EVENTS] = window.events
        for metric in self._metrics:
            fields = window.metrics.get(metric)
            if fields is None or fields["value"] is None:
                continue
            value = msgspec.convert(fields, WindowMetric)
            name, _, reading = metric.rpartition(".")
            if value.classes is not None:
                rate = bin_.rates[metric] = Rate()
                for probability, n, failures in value.classes:
                    rate.add(to_ppm(probability), n, failures)
            elif value.histogram is not None:
                bin_.spreads[name] = MergeableHistogram(value.histogram, value.unit or 1.0, value.sum or 0.0)
            if (name, reading) in self._lines or (metric, "") in self._lines:
                if value.high is not None:
                    bin_.low[metric] = value.high
                if value.low is not None:
                    bin_.high[metric] = value.low
        return bin_


class WindowMetric(msgspec.Struct):
    """A metric of a window record."""

    value: float
    low: float | None = None
    high: float | None = None
    classes: list[tuple[float, int, int]] | None = None
    sum: float | None = None
    unit: float | None = None
    histogram: HistogramRecord | None = None


def _metrics_of(lines: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the metrics of a window that the lines are made of; a number needs its mean, with the histogram."""
    return tuple(
        dict.fromkeys(
            metric
            for name, reading in lines
            for metric in ((f"{name}.{reading}", f"{name}.mean") if reading else (name,))
        )
    )
