"""Counters of a process for Prometheus: they start at zero with a partition and never fall.

The counters of a core are durable. They go back by some seconds when a worker is killed, and their sum over
partitions falls when a partition moves away. Prometheus takes a falling counter for a reset and would add all
of it once more. And it sees no increase of a series that begins above 0.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from agents.runtime.counters import PartitionStatus
from monitor.protocol.metrics import METRICS, Measure

SeriesKey = tuple[str, tuple[str, ...]]


class ProcessCounters:
    """Sums over all partitions that this process has had."""

    def __init__(self) -> None:
        self.scrape_lock = asyncio.Lock()
        self._sums: dict[SeriesKey, float] = {}
        # a reference to a core would keep the state of a released partition in memory
        self._last: dict[tuple[str, int], tuple[weakref.ref[Any], dict[SeriesKey, float]]] = {}
        self._seen: set[SeriesKey] = set()
        self._exported: set[SeriesKey] | None = None  # None: nobody has read them yet

    def take(self, part: PartitionStatus, measures: Iterable[Measure]) -> Iterator[Measure]:
        """Return the gauges of a partition; add its counters to the sums."""
        previous, last = self._last.get((part.agent, part.partition), (None, {}))
        # another ownership: counts from where it was restored
        if previous is None or previous() is not part.core:
            last = dict(part.counted_at_start)
        now: dict[SeriesKey, float] = {}
        for measure in measures:
            if measure.name not in METRICS or METRICS[measure.name].kind != "counter":
                yield measure
                continue
            series = measure.name, measure.labels
            now[series] = now.get(series, 0) + measure.value
        for series, value in now.items():
            self._sums[series] = self._sums.get(series, 0) + max(0.0, value - last.get(series, 0))
        self._last[part.agent, part.partition] = weakref.ref(part.core), now
        self._seen |= now.keys()

    def counters(self) -> Iterator[Measure]:
        """Return the sums of the counters that were added since the last call, and delete all others.

        A series with labels that appears after the first call is 0 in the call in which it appears, and has its
        value from the next call on.
        """
        self._sums = {series: value for series, value in self._sums.items() if series in self._seen}
        self._seen = set()
        self._last = {key: last for key, last in self._last.items() if last[0]() is not None}
        for series, value in self._sums.items():
            name, labels = series
            is_new = bool(labels) and self._exported is not None and series not in self._exported
            yield Measure(name, labels, 0.0 if is_new else value)
        self._exported = set(self._sums)
