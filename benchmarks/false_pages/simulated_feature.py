"""A feature of the core that is fed with counts instead of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.false_pages.traffic import EVALUATORS
from monitor.alerts.pane_close import PaneCloser
from monitor.protocol.messages import Outputs
from monitor.state.partition_state import PartitionState
from monitor.stats.number_summary import NumberSummary
from monitor.stats.sampling_weights import MILLION
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries
from schemas.config.monitor_config import Config
from schemas.config.rules import DEFAULT_RULES


class WindowlessPaneCloser(PaneCloser):
    """The edges of the core, which write no windows."""

    def _write_window(self, *_: Any) -> None:
        pass


class Feature:
    """One feature in a book of its own, with its segments."""

    def __init__(self, name: str, segments: int, *, tickets: bool) -> None:
        config = Config() if tickets else Config(default_rules=False, rules=DEFAULT_RULES)
        self.partition_state, self.key = (
            PartitionState(config.time.pane_us, "simulated"),
            FeatureKey("simulated", name, "production"),
        )
        self.edges = WindowlessPaneCloser(config, self.partition_state)
        self.keys = [SegmentKey(f"model-{nth}", "1") for nth in range(segments)]

    def count(
        self,
        start_us: int,
        calls: list[int],
        failures: list[list[int]],
        day_numbers: list[dict[str, NumberSummary]] | None,
    ) -> None:
        """One minute's pane of each segment, as ``monitor.ingest.ingestor`` and
        ``monitor.ingest.aggregation`` would leave it.
        """
        feature = self.partition_state.feature(self.key)
        for nth, n in enumerate(calls):
            if n:
                segment = feature.segments.get(self.keys[nth]) or feature.segments.setdefault(
                    self.keys[nth], SegmentSeries(self.keys[nth])
                )
                self._pane(
                    feature,
                    segment,
                    start_us,
                    n,
                    [row[nth] for row in failures],
                    day_numbers[nth] if day_numbers else None,
                )
        if total := sum(calls):
            feature.first_us = feature.first_us or start_us
            feature.received["response"] = feature.received.get("response", 0) + total
            feature.count_arrivals(start_us, total, self.partition_state.pane_us)

    def _pane(
        self,
        feature: FeatureState,
        segment: SegmentSeries,
        start_us: int,
        n: int,
        failed: list[int],
        day_numbers: dict[str, NumberSummary] | None,
    ) -> None:
        pane = self.partition_state.pane(feature, segment, start_us)
        pane.events += n
        pane.rate("error_rate").add(MILLION, n, failed[0])
        pane.rate("evaluator.error.fail_rate").add(MILLION, n, failed[0])
        pane.rate("pass_rate").add(MILLION, n, sum(failed))
        if answered := n - failed[0]:
            for name, f in zip(EVALUATORS, failed[1:], strict=True):
                pane.rate(f"evaluator.{name}.fail_rate").add(MILLION, answered, f)
        if day_numbers is None:
            return
        pane.numbers |= day_numbers
        finished = {
            "length": failed[4],
            "content_filter": failed[5],
            "stop": answered - failed[4] - failed[5],
        }
        for name, counts in {
            "finish_reason": finished,
            "response_model": {segment.key.model: n},
            "provider": {"openai": n},
            "error_type": {"timeout": failed[0]},
            "outcome": {"parse_error": failed[1]},
        }.items():
            if any(counts.values()):
                pane.category(name).add(MILLION, counts)

    def close(self, edge_us: int) -> Iterator[dict[str, Any]]:
        """Close an edge; gives the episodes that were written."""
        out = Outputs()
        for _ in self.edges.close_steps(edge_us, None, out):
            pass
        for message in out.messages.get("alerts", ()):
            record = json.loads(message.value)
            if record["record"] == "episode":
                yield record
