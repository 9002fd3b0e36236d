"""/metrics: built at each scrape from the owned partitions, so the series of a revoked partition vanish with
it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from agents.web.worker_status import LiveWorker, worker_measures
from monitor.protocol.metrics import METRICS, SUM, Measure

log = logging.getLogger("softfail.web")

Totals = dict[str, dict[tuple[str, ...], float]]
"""Metric to labels to value, added up over partitions."""


class ScrapeCollector(Collector):
    """The metric families of a scrape, in the order and with the texts of ``METRICS``."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Return a family for each metric that has values."""
        for name, metric in METRICS.items():
            values = self._totals.get(name)
            if not values:
                continue
            if metric.kind == "histogram":
                yield _histogram(name, metric.help, metric.labels, values)
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def _histogram(
    name: str, help_text: str, names: tuple[str, ...], values: dict[tuple[str, ...], float]
) -> HistogramMetricFamily:
    """Build a histogram; the last label of each value is its bucket or ``SUM``."""
    family = HistogramMetricFamily(name, help_text, labels=names)
    by_labels: dict[tuple[str, ...], dict[str, float]] = {}
    for labels_and_bucket, value in values.items():
        by_labels.setdefault(labels_and_bucket[:-1], {})[labels_and_bucket[-1]] = value
    for labels, buckets in by_labels.items():
        total = buckets.pop(SUM, 0.0)
        family.add_metric(labels, sorted(buckets.items(), key=lambda item: float(item[0])), total)
    return family


def add_up(measures: Iterable[Measure], totals: Totals) -> None:
    """Add measures to ``totals``.

    A measure that ``METRICS`` does not have is a defect: it is logged and left out, and the scrape goes on.

    >>> totals: Totals = {}
    >>> add_up([Measure("softfail_dead_letters_total", ("json",), n) for n in (1, 2)], totals)
    >>> totals
    {'softfail_dead_letters_total': {('json',): 3}}
    """
    for name, labels, value in measures:
        values = totals.get(name)
        if values is None:
            if name not in METRICS:
                _complain(name, "is not in monitor/protocol/metrics.py")
                continue
            values = totals[name] = {}
        expected = len(METRICS[name].labels) + (METRICS[name].kind == "histogram")
        if len(labels) != expected:
            _complain(name, f"has {len(labels)} labels, monitor/protocol/metrics.py says {expected}")
            continue
        labels = tuple(
            label if label.isascii() else label.encode("utf-8", "replace").decode() for label in labels
        )
        values[labels] = values.get(labels, 0) + value


_complained: set[str] = set()


def _complain(name: str, why: str) -> None:
    if name not in _complained and len(_complained) < 100:
        _complained.add(name)
        log.error("metric %s %s; it is not exported", name, why)


async def gather(worker: LiveWorker, now_s: float) -> Totals:
    """Return all measures of a worker.

    Other tasks run between partitions, never within one: a core must not change while it is read.

    Args:
        worker: read in its own event loop.
        now_s: the wall clock, seconds since 1970, for the watermark's lag.
    """
    async with worker.running.scrape_lock:
        return await _gathered(worker, now_s)


async def _gathered(worker: LiveWorker, now_s: float) -> Totals:
    totals: Totals = {}
    add_up(worker_measures(worker, time.monotonic()), totals)
    due = [(part.agent, part.partition) for part in worker.partitions()]
    for agent, number in due:
        part = next(
            (part for part in worker.partitions() if (part.agent, part.partition) == (agent, number)), None
        )
        if part is None or part.restoring:  # revoked meanwhile, or not restored yet
            continue
        core: Any = part.core
        add_up(worker.running.take(part, core.measures()), totals)
        await asyncio.sleep(0)
    add_up(worker.running.counters(), totals)
    watermarks = totals.get("softfail_watermark_seconds", {})
    if watermarks:
        totals["softfail_watermark_lag_seconds"] = {
            labels: now_s - mark for labels, mark in watermarks.items() if math.isfinite(mark)
        }
    return totals


async def exposition(worker: LiveWorker, accept: str, now_s: float) -> tuple[bytes, str]:
    """Return body and content type of a scrape: OpenMetrics if it is accepted, else Prometheus text."""
    totals = await gather(worker, now_s)
    encoder: Callable[[Any], bytes]
    encoder, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ScrapeCollector(totals))
    # in a thread: 100,000 series take longer than a heartbeat may wait
    return await asyncio.to_thread(encoder, registry), content_type
