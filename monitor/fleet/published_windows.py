"""Figures of a feature over its published windows: the last hour by pane, the last five minutes merged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.exponential_buckets import CODE_OFFSET, ZERO_CODE, downscaled
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import to_ppm
from monitor.stats.weighted_values import mean_and_quantiles
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.record import Z95
from schemas.times import microseconds, rfc3339

WINDOW_US = 5 * 60 * 1_000_000
PANES = 60  # of a feature's small chart
_RATES = ("pass_rate", "error_rate", "refusal_rate")


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

    @property
    def weight(self) -> float:
        """Weighted number of values in the histogram."""
        return sum(self.histogram.by_code().values()) if self.histogram is not None else 0.0


class PublishedMetrics(msgspec.Struct):
    """The metrics that are read here; all others are skipped without being decoded."""

    pass_rate: PublishedMetric | None = None
    error_rate: PublishedMetric | None = None
    refusal_rate: PublishedMetric | None = msgspec.field(name="evaluator.refusal.fail_rate", default=None)
    duration_s: PublishedMetric | None = msgspec.field(name="duration_s.mean", default=None)
    output_tokens: PublishedMetric | None = msgspec.field(name="output_tokens.mean", default=None)


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
    metrics: PublishedMetrics


class _Mergeable(NamedTuple):
    """What merges of one pane. ``rates``: classes by name; ``tokens``: sum, weight and n."""

    events: int
    rates: dict[str, list[tuple[float, int, int]]]
    tokens: tuple[float, float, float]
    durations: PublishedMetric | None


class PublishedSeries:
    """The published windows of one feature.

    It keeps the figures of the last ``PANES`` panes, and what merges of the panes of the last five minutes.
    """

    def __init__(self) -> None:
        self.end_us = 0
        self._panes: OrderedDict[int, tuple[int, int, float | None]] = OrderedDict()
        self._mergeable: dict[int, _Mergeable] = {}
        self._figures: tuple[int, dict[str, Any]] | None = None  # edge, and the figures at it

    def add(self, window: PublishedWindow) -> None:
        """Add a window, or replace an earlier revision of it."""
        start_us, end_us = microseconds(window.start), microseconds(window.end)
        previous = self._panes.get(start_us)
        if previous is not None and previous[0] >= window.revision:
            return
        self.end_us = max(self.end_us, end_us)
        mergeable, self._figures = _mergeable(window), None
        self._panes[start_us] = window.revision, window.events, _rate([mergeable], "pass_rate").value
        while len(self._panes) > PANES:
            self._panes.pop(min(self._panes))
        self._mergeable[start_us] = mergeable
        for old_us in [start for start in self._mergeable if start < self.end_us - WINDOW_US]:
            del self._mergeable[old_us]

    def figures(self, edge_us: int) -> dict[str, Any]:
        """Return the figures of the status page at an edge, microseconds since 1970."""
        if self._figures is None or self._figures[0] != edge_us:
            self._figures = edge_us, self._computed(edge_us)
        return self._figures[1]

    def _computed(self, edge_us: int) -> dict[str, Any]:
        panes = [
            pane for start_us, pane in self._mergeable.items() if edge_us - WINDOW_US <= start_us < edge_us
        ]
        readings = {name: _rate(panes, name) for name in _RATES}
        readings["duration_p90_s"] = _quantile(panes, 0.9)
        readings["output_tokens_mean"] = _mean(panes)
        return {
            "events_5m": sum(pane.events for pane in panes),
            **{name: reading._asdict() if reading.n else None for name, reading in readings.items()},
            "series": [
                {"start": rfc3339(start_us), "events": events, "pass_rate": passed}
                for start_us, (_, events, passed) in sorted(self._panes.items())
            ],
        }


def _mergeable(window: PublishedWindow) -> _Mergeable:
    metrics, tokens = window.metrics, window.metrics.output_tokens
    rates = {name: metric.classes or [] for name in _RATES if (metric := getattr(metrics, name)) is not None}
    if tokens is None:
        return _Mergeable(window.events, rates, (0.0, 0.0, 0.0), metrics.duration_s)
    total = (tokens.sum or 0.0) * (tokens.unit or 1.0)
    return _Mergeable(window.events, rates, (total, tokens.weight, tokens.n), metrics.duration_s)


def _rate(panes: Iterable[_Mergeable], name: str) -> Estimate:
    rate = Rate()
    for pane in panes:
        for probability, n, failures in pane.rates.get(name, ()):
            rate.add(to_ppm(probability), n, failures)
    return rate.estimate(Z95, inverted=name in SUCCESS_RATES)


def _mean(panes: Sequence[_Mergeable]) -> Estimate:
    total, weight, n = (sum(pane.tokens[index] for pane in panes) for index in range(3))
    return Estimate(total / weight, n, None, None) if weight else NO_ESTIMATE


def _quantile(panes: Iterable[_Mergeable], q: float) -> Estimate:
    """Return a quantile of the merged durations, without an interval."""
    durations = [pane.durations for pane in panes if pane.durations is not None]
    histograms = [metric.histogram for metric in durations if metric.histogram is not None]
    scale = min((histogram.scale for histogram in histograms), default=0)
    counts: dict[int, float] = {}
    for histogram in histograms:
        for code, n in downscaled(histogram.by_code(), histogram.scale - scale).items():
            counts[code] = counts.get(code, 0.0) + n
    if not counts:
        return NO_ESTIMATE
    n, unit = sum(metric.n for metric in durations), durations[0].unit or 1.0
    _, quantile = mean_and_quantiles(n, 0.0, dict(sorted(counts.items())), scale, Z95, (q,))
    return quantile.scaled(unit)._replace(n=n, low=None, high=None)
