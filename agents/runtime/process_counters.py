"""Counters as Prometheus reads them: from zero when the process took a partition, and never falling while
somebody still counts.

What a core counts is durable and goes back by some seconds when a worker is killed, and the sum over
partitions falls when one moves away. Prometheus takes a counter that falls for one that began anew at zero,
and would add all of it once more: millions of events that nobody sent, and an alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from agents.runtime.counters import PartitionStatus
from monitor.protocol.metrics import METRICS, Measure

Series = tuple[str, tuple[str, ...]]


class ProcessCounters:
    """What was counted since, over all partitions that this process has had."""

    def __init__(self) -> None:
        self.one_at_a_time = asyncio.Lock()  # of scrapes
        self._sums: dict[Series, float] = {}
        self._last: dict[tuple[str, int], tuple[Any, dict[Series, float]]] = {}
        self._seen: set[Series] = set()

    def take(self, part: PartitionStatus, measures: Iterable[Measure]) -> Iterator[Measure]:
        """The gauges as they are; counters are kept for ``counters``."""
        core, last = self._last.get((part.agent, part.partition), (None, {}))
        if core is not part.core:  # another ownership: counts from where it was restored
            last = dict(part.began)
        now: dict[Series, float] = {}
        for measure in measures:
            if measure.name not in METRICS or METRICS[measure.name].kind != "counter":
                yield measure
                continue
            series = measure.name, measure.labels
            now[series] = now.get(series, 0) + measure.value
        for series, value in now.items():
            self._sums[series] = self._sums.get(series, 0) + max(0.0, value - last.get(series, 0))
        self._last[part.agent, part.partition] = part.core, now
        self._seen |= now.keys()

    def counters(self) -> Iterator[Measure]:
        """The counters of what was taken since the last call; whatever nobody counts any more is forgotten."""
        self._sums = {series: value for series, value in self._sums.items() if series in self._seen}
        self._seen = set()
        yield from (Measure(name, labels, value) for (name, labels), value in self._sums.items())
