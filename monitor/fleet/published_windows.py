"""Figures of a feature over its published windows: the last hour by pane, the last five minutes merged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate
from typing import Any

import msgspec

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.exponential_buckets import CODE_OFFSET, ZERO_CODE, bucket_middle, downscaled
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import to_ppm
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.record import Z95
from schemas.times import microseconds, rfc3339

WINDOW_US = 5 * 60 * 1_000_000
PANES = 60  # of a feature's small chart
_RATES = {
    "pass_rate": "pass_rate",
    "error_rate": "error_rate",
    "refusal_rate": "evaluator.refusal.fail_rate",
}


class Histogram(msgspec.Struct):
    """Counts of ``schemas.window_record.Histogram``."""

    scale: int
    offset: int = 0
    counts: list[float] = []
    zero: float = 0
    negative: Histogram | None = None

    def by_code(self) -> dict[int, float]:
        """Return count by bucket code of its scale."""
        codes = {self.offset + index + CODE_OFFSET: n for index, n in enumerate(self.counts) if n}
        if self.negative is not None:
            codes |= {-code: n for code, n in self.negative.by_code().items() if code}
        return codes | ({ZERO_CODE: self.zero} if self.zero else {})


class PublishedMetric(msgspec.Struct):
    """The part of a metric of a window record that is merged here."""

    n: float = 0
    classes: list[tuple[float, int, int]] | None = None
    sum: float | None = None
    unit: float | None = None
    histogram: Histogram | None = None


class PublishedWindow(msgspec.Struct):
    """The part of a window record that is read here."""

    level: str
    service: str
    feature: str
    environment: str
    start: datetime
    end: datetime
    revision: int
    events: int
    metrics: dict[str, PublishedMetric] = {}


class PublishedSeries:
    """The published windows of one feature.

    It keeps the figures of the last ``PANES`` panes, and what merges of the panes of the last five minutes.
    """

    def __init__(self) -> None:
        self.end_us = 0
        self._panes: OrderedDict[int, tuple[int, int, float | None]] = OrderedDict()
        self._mergeable: dict[int, PublishedWindow] = {}

    def add(self, window: PublishedWindow) -> None:
        """Add a window, or replace an earlier revision of it."""
        start_us, end_us = microseconds(window.start), microseconds(window.end)
        previous = self._panes.get(start_us)
        if previous is not None and previous[0] >= window.revision:
            return
        self.end_us = max(self.end_us, end_us)
        passed = _rate([window], "pass_rate").value
        self._panes[start_us] = window.revision, window.events, passed
        while len(self._panes) > PANES:
            self._panes.pop(min(self._panes))
        self._mergeable[start_us] = window
        for old_us in [start for start in self._mergeable if start < self.end_us - WINDOW_US]:
            del self._mergeable[old_us]

    def figures(self, edge_us: int) -> dict[str, Any]:
        """Return the figures of the status page at an edge, microseconds since 1970."""
        windows = [
            window
            for start_us, window in self._mergeable.items()
            if edge_us - WINDOW_US <= start_us < edge_us
        ]
        readings = {name: _rate(windows, metric) for name, metric in _RATES.items()}
        readings["duration_p90_s"] = _quantile(windows, "duration_s", 0.9)
        readings["output_tokens_mean"] = _mean(windows, "output_tokens")
        return {
            "events_5m": sum(window.events for window in windows),
            **{name: reading._asdict() if reading.n else None for name, reading in readings.items()},
            "series": [
                {"start": rfc3339(start_us), "events": events, "pass_rate": passed}
                for start_us, (_, events, passed) in sorted(self._panes.items())
            ],
        }


def _rate(windows: Iterable[PublishedWindow], metric: str) -> Estimate:
    rate = Rate()
    for window in windows:
        for probability, n, failures in _classes(window, metric):
            rate.add(to_ppm(probability), n, failures)
    return rate.estimate(Z95, inverted=metric in SUCCESS_RATES)


def _classes(window: PublishedWindow, metric: str) -> list[tuple[float, int, int]]:
    found = window.metrics.get(metric)
    return found.classes or [] if found is not None else []


def _numbers(windows: Iterable[PublishedWindow], metric: str) -> list[PublishedMetric]:
    found = (window.metrics.get(f"{metric}.mean") for window in windows)
    return [number for number in found if number is not None and number.histogram is not None]


def _mean(windows: Iterable[PublishedWindow], metric: str) -> Estimate:
    numbers = _numbers(windows, metric)
    weight = sum(sum(number.histogram.by_code().values()) for number in numbers if number.histogram)
    if not weight:
        return NO_ESTIMATE
    total = sum((number.sum or 0.0) * (number.unit or 1.0) for number in numbers)
    return Estimate(total / weight, sum(number.n for number in numbers), None, None)


def _quantile(windows: Iterable[PublishedWindow], metric: str, q: float) -> Estimate:
    """Return a quantile of the merged histograms, without an interval."""
    numbers = _numbers(windows, metric)
    histograms = [number.histogram for number in numbers if number.histogram is not None]
    scale = min((histogram.scale for histogram in histograms), default=0)
    counts: dict[int, float] = {}
    for histogram in histograms:
        for code, n in downscaled(histogram.by_code(), histogram.scale - scale).items():
            counts[code] = counts.get(code, 0.0) + n
    if not counts:
        return NO_ESTIMATE
    ordered = sorted(counts)
    sums = list(accumulate(counts[code] for code in ordered))
    code = next(
        code for code, below in zip(ordered, sums, strict=True) if below >= q * sums[-1] * (1 - 1e-12)
    )
    unit = numbers[0].unit or 1.0
    return Estimate(bucket_middle(code, scale) * unit, sum(number.n for number in numbers), None, None)
