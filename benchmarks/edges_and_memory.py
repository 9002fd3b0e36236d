"""What an edge and the memory of segments cost: without and with late events, in turn in one process, so that both
have the same machine; memory by part; one scrape of /metrics.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from agents.web.metrics_endpoint import ScrapeCollector, Totals, add_up
from benchmarks.markdown_table import print_table
from benchmarks.segments import START_S, Traffic, size_kb
from monitor.watch import Watch
from monitor.windows.feature_series import FeatureState
from schemas.config.monitor_config import Config

AVERAGED_EDGES = 10
LATE = 0.03
PER_FEATURE = 8
EVENTS = 10


class Run:
    """A core, its traffic and what its edges have cost. ``late``: share of late events."""

    def __init__(self, segments: int, late: float) -> None:
        self.watch, self._segments, self._minute = Watch(Config(), 0, 1), segments, 0
        self._traffic = Traffic(segments, PER_FEATURE, EVENTS, late, real_texts=False)
        self.edges_ms: list[float] = []

    def minute(self) -> None:
        """Apply the events of the next minute and close it."""
        for bundle in self._traffic.minute(self._minute, 1):
            self.watch.apply(bundle)
        self.watch.changed()
        before_s = time.process_time()
        self.watch.advance((START_S + 60 * self._minute + 90) * 1_000_000)
        self.watch.changed()
        self.edges_ms.append(1e3 * (time.process_time() - before_s) / self._segments)
        self._minute += 1

    def edge_ms(self) -> float:
        """Return the mean cost of the last edges for each segment, ms of CPU."""
        last = self.edges_ms[-AVERAGED_EDGES:]
        return sum(last) / len(last)


def memory_parts(features: list[FeatureState], baselines: object) -> dict[str, float]:
    """Return part -> kB. An object that two parts share counts in both."""
    parts: dict[str, Callable[[FeatureState], Any]] = {
        "arrays": lambda feature: feature.cache._columns,
        "panes of a minute": lambda feature: [segment.panes for segment in feature.segments.values()],
        "texts": lambda feature: [segment.texts for segment in feature.segments.values()],
        "merged panes of the feature": lambda feature: feature.cache.merged_panes,
        "other caches of references and rules": lambda feature: list(feature.cache._series.values()),
        "weights": lambda feature: feature.weights,
    }
    out = {name: size_kb([part(feature) for feature in features]) for name, part in parts.items()}
    return out | {"baselines": size_kb(baselines)}


def scrape(watch: Watch) -> tuple[float, float, int]:
    """Return what a scrape of one partition takes: ms of the event loop, ms of encoding, bytes."""
    totals: Totals = {}
    before_s = time.process_time()
    add_up(watch.measures(), totals)
    gathered_s = time.process_time()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ScrapeCollector(totals))
    body = generate_latest(registry)
    return 1e3 * (gathered_s - before_s), 1e3 * (time.process_time() - gathered_s), len(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=16)
    parser.add_argument("--history", type=int, nargs="+", default=[10, 30, 60, 90, 119], help="minutes")
    options = parser.parse_args()
    Watch(Config(), 0, 1).apply(next(Traffic(200, PER_FEATURE, EVENTS, 0.0, real_texts=False).minute(0, 1)))
    gc.collect()
    gc.freeze()  # as the worker does
    gc.set_threshold(50_000, 20, 100)
    runs = [Run(options.segments, late) for late in (0.0, LATE)]
    table = []
    for minute in range(1, max(options.history) + 1):
        for run in runs:
            run.minute()
        if minute in options.history:
            plain_ms, late_ms = (run.edge_ms() for run in runs)
            sizes = [f"{size_kb(run.watch) / options.segments:.0f}" for run in runs]
            table.append(
                [str(minute), f"{plain_ms:.2f}", f"{late_ms:.2f}", f"{late_ms / plain_ms:.2f}", *sizes]
            )
    late = f"{LATE:.0%} late"
    print_table(["minutes of history", "ms an edge and segment", late, "ratio", "kB a segment", late], table)
    state = runs[0].watch.partition_state
    sizes_kb = memory_parts(list(state.features.values()), state.baselines)
    print_table(
        ["part, without late events", "kB a segment"],
        [[name, f"{kb / options.segments:.1f}"] for name, kb in sizes_kb.items()],
    )
    loop_ms, encoding_ms, size = scrape(runs[0].watch)
    print(f"A scrape: {loop_ms:.0f} ms of the event loop, {encoding_ms:.0f} ms of encoding, {size:,} bytes")


if __name__ == "__main__":
    main()
