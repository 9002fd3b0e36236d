"""Status of a partition, for /metrics and the status page. Figures are computed once a pane edge, at the
first request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from monitor.channels.links import with_trace_urls
from monitor.diagnosis.likely_causes import likely_causes
from monitor.exported_segments import MAX_EXPORTED_SEGMENTS, count_segments, exported_segments
from monitor.incidents.episode import Episode
from monitor.incidents.records import TransitionRecord
from monitor.ingest.dead_letters import REASONS
from monitor.ingest.failure_samples import chosen
from monitor.protocol.examples import Example
from monitor.protocol.messages import Outputs
from monitor.protocol.metrics import Measure
from monitor.rules.threshold import Series
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import QUANTILES, SUCCESS_RATES, unit_of
from monitor.windows.metric_reader import estimate_metric
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.record import Z95
from monitor.windows.segment_keys import UNLABELLED, SegmentKey, segment_labels
from monitor.wording.explanation import with_text
from schemas.config.monitor_config import Links
from schemas.times import rfc3339

WINDOW_US = 5 * 60 * 1_000_000
RECENT = 50
MEASURED_KINDS = ("response", "feedback", "evaluation")
SPARK = 60  # panes of a feature's small chart
_SHOWN = {
    "pass_rate": "pass_rate",
    "error_rate": "error_rate",
    "refusal_rate": "evaluator.refusal.fail_rate",
    "duration_p90_s": "duration_s.p90",
    "output_tokens_mean": "output_tokens.mean",
}


class StatusView:
    """Status of a partition as of its last pane edge.

    Args:
        partition_state: of the partition.
        evaluators: returns the names of the evaluators of a service and feature.
        links: of examples.
    """

    def __init__(
        self, partition_state: PartitionState, evaluators: Callable[[str, str], Sequence[str]], links: Links
    ) -> None:
        self._partition_state, self._evaluators, self._links = partition_state, evaluators, links
        self._edge_us: int | None = None
        self._recent: deque[TransitionRecord] = deque(maxlen=RECENT)
        self._gauges: list[Measure] | None = None
        self._episodes: list[dict[str, Any]] | None = None

    def show(self, edge_us: int, out: Outputs) -> None:
        """Show the edge that was closed, and the transitions that were written at it."""
        self._edge_us = edge_us
        self._gauges = self._episodes = None
        for record in out.records.get("alerts", ())[-RECENT:]:
            if isinstance(record, TransitionRecord) and record not in self._recent:
                self._recent.append(record)

    def measures(self, partition: int) -> Iterator[Measure]:
        """Yield every measure of this partition."""
        partition_state = self._partition_state
        yield from self.counted(partition)
        for key, feature in partition_state.features.items():
            yield Measure("softfail_missing_events", key, feature.missing)
            yield Measure("softfail_segments", key, len(feature.segments))
        left_out = max(0, count_segments(partition_state) - MAX_EXPORTED_SEGMENTS)
        yield Measure("softfail_segments_not_exported", (str(partition),), left_out)
        if partition_state.watermark_us is not None:
            yield Measure("softfail_watermark_seconds", (str(partition),), partition_state.watermark_us / 1e6)
        for key, incidents in partition_state.incidents.items():
            for incident in incidents.values():
                if incident.state == "firing":
                    yield Measure("softfail_incidents", (*key, incident.rule, incident.severity), 1)
        for key, episode in partition_state.episodes.items():
            yield Measure("softfail_episodes", (*key, episode.urgency), 1)
        if self._gauges is None:
            self._gauges = list(self._quality())
        yield from self._gauges

    def status(self) -> dict[str, Any]:
        """Return the status page's data: open episodes, features, the last transitions."""
        partition_state, edge_us = self._partition_state, self._closed_us()
        if self._episodes is None:
            self._episodes = [
                self._episode(episode, edge_us or 0)
                for _, episode in sorted(partition_state.episodes.items(), key=lambda pair: pair[0])
            ]
        since_us = (edge_us or 0) - 86_400_000_000
        features = [
            feature
            for feature in partition_state.features.values()
            if feature.producers.entries or (feature.first_us and feature.active_us >= since_us)
        ]
        return {
            "watermark": None
            if partition_state.watermark_us is None
            else rfc3339(partition_state.watermark_us),
            "features": [
                self._feature(feature, edge_us)
                for feature in sorted(features, key=lambda feature: feature.key)
            ],
            "episodes": list(self._episodes),
            "recent": [msgspec.to_builtins(record) for record in self._recent],
            "dead_letters": dict(partition_state.dead_letters),
            "left_out": dict(partition_state.left_out),
            "forwarded": partition_state.forwarded,
        }

    def counted(self, partition: int) -> Iterator[Measure]:
        """Yield every counter, also those that are 0: Prometheus sees no increase of a series that begins above
        0.
        """
        yield Measure("softfail_forwarded_events_total", (str(partition),), self._partition_state.forwarded)
        dead_letters = self._partition_state.dead_letters
        for reason, n in (dict.fromkeys(REASONS, 0) | dead_letters).items():
            yield Measure("softfail_dead_letters_total", (reason,), n)
        for field_reason, n in self._partition_state.left_out.items():
            yield Measure("softfail_left_out_fields_total", tuple(field_reason.split(".")), n)
        for key, feature in self._partition_state.features.items():
            name = (key.service, key.feature)
            evaluators = dict.fromkeys(self._evaluators(*name), 0)
            for kind, n in (dict.fromkeys(MEASURED_KINDS, 0) | feature.received).items():
                yield Measure("softfail_received_events_total", (*key, kind), n)
            yield Measure("softfail_merged_segments_total", key, feature.overflowed)
            for label, n in feature.unrepeated.events.items():
                yield Measure("softfail_unrepeated_label_events_total", (*key, label), n)
            for stage, n in feature.producer_totals()._asdict().items():
                yield Measure("softfail_producer_calls_total", (*key, stage), n)
            for evaluator, n in (evaluators | feature.verdicts).items():
                yield Measure("softfail_verdicts_total", (*key, evaluator), n)
            for evaluator, reasons in feature.skipped.items():
                for reason, n in reasons.items():
                    yield Measure("softfail_skipped_verdicts_total", (*key, evaluator, reason), n)
            yield Measure("softfail_late_events_total", name, feature.late)
            yield Measure("softfail_expired_events_total", name, feature.expired)
            for evaluator, n in (evaluators | feature.evaluator_errors).items():
                yield Measure("softfail_evaluator_errors_total", (*name, evaluator), n)

    def _closed_us(self) -> int | None:
        if self._edge_us is None and self._partition_state.watermark_us is not None:  # after a restart
            self._edge_us = (
                self._partition_state.watermark_us
                // self._partition_state.pane_us
                * self._partition_state.pane_us
            )
        return self._edge_us

    def _quality(self) -> Iterator[Measure]:
        edge_us = self._closed_us()
        if edge_us is None:
            return
        exported = exported_segments(self._partition_state, edge_us - WINDOW_US, edge_us)
        for feature in self._partition_state.features.values():
            all_series: list[tuple[SegmentKey | None, Series]] = [
                (None, feature),
                *(
                    (key, segment)
                    for key, segment in feature.segments.items()
                    if key != UNLABELLED and (exported is None or (feature.key, key) in exported)
                ),
            ]
            for segment_key, series in all_series:
                panes = list(series.window(edge_us - WINDOW_US, edge_us)) or _last_pane(
                    series, feature, edge_us
                )
                if panes:
                    names = segment_labels(feature.key, segment_key)
                    names["dimensions"] = ",".join(
                        f"{name}={value}" for name, value in names["dimensions"].items()
                    )
                    yield from _of_window(merge_panes(panes, 0), tuple(names.values()))

    def _episode(self, episode: Episode, edge_us: int) -> dict[str, Any]:
        feature = self._partition_state.features.get(episode.feature)
        examples, causes = list[Example](), list[str]()
        if feature is not None:
            causes = likely_causes(feature, episode.incidents, edge_us, self._partition_state.rolled_us)
            metrics = [incident.evidence.metric for incident in episode.shown_firing()]
            examples = chosen(feature.examples, metrics)
        record = episode.record("opened", "", edge_us, edge_us, "", examples, causes)
        return with_trace_urls(with_text(msgspec.to_builtins(record)), self._links)

    def _feature(self, feature: FeatureState, edge_us: int | None) -> dict[str, Any]:
        series: list[dict[str, Any]] = []
        panes: list[Pane] = []
        if edge_us is not None:
            panes = list(feature.window(edge_us - WINDOW_US, edge_us))
            for nth in range(SPARK, 0, -1):
                start_us = edge_us - nth * self._partition_state.pane_us
                pane = feature.pane(start_us)
                passed = estimate_metric([pane], "pass_rate", Z95).value if pane else None
                series.append(
                    {"start": rfc3339(start_us), "events": pane.events if pane else 0, "pass_rate": passed}
                )
        readings = {
            name: reading._asdict() if (reading := estimate_metric(panes, metric, Z95)).n else None
            for name, metric in _SHOWN.items()
        }
        return {
            **feature.key._asdict(),
            "events_5m": sum(pane.events for pane in panes),
            **readings,
            "segments": len(feature.segments),
            "series": series,
            "account": _account(feature),
        }


def _account(feature: FeatureState) -> dict[str, Any]:
    """Account for a feature's calls from the service to the verdicts. What producers saw is None without
    meters.
    """
    calls = feature.producer_totals()
    return {
        **(calls._asdict() if calls.seen else dict.fromkeys(calls._fields)),
        "received": feature.received.get("response", 0),
        "missing": feature.missing,
        "late": feature.late,
        "expired": feature.expired,
        "verdicts": feature.verdicts,
        "skipped": feature.skipped,
        "errors": feature.evaluator_errors,
    }


def _last_pane(series: Series, feature: FeatureState, edge_us: int) -> list[Pane]:
    """Return the last closed pane that had events, for a series that is seldom used."""
    return (
        list(series.window(feature.active_us, feature.active_us + 1)) if feature.active_us < edge_us else []
    )


def _of_window(pane: Pane, label_values: tuple[str, ...]) -> Iterator[Measure]:
    yield Measure("softfail_window_events", label_values, pane.events)
    for name, rate in sorted(pane.rates.items()):
        value = rate.estimate(Z95, inverted=name in SUCCESS_RATES).value
        if value is None:
            continue
        if name in ("pass_rate", "error_rate"):
            yield Measure(f"softfail_{name}", label_values, value)
        elif name.startswith("evaluator."):
            yield Measure(
                "softfail_evaluator_fail_rate",
                (*label_values, name.removeprefix("evaluator.").removesuffix(".fail_rate")),
                value,
            )
    for name, number in sorted(pane.numbers.items()):
        unit = unit_of(name)
        mean, *quantiles = number.mean_and_quantiles(Z95, QUANTILES.values())
        if mean.value is not None:
            yield Measure("softfail_mean", (*label_values, name), mean.value * unit)
        for q, quantile in zip(QUANTILES.values(), quantiles, strict=True):
            if quantile.value is not None:
                yield Measure("softfail_quantile", (*label_values, name, f"{q:g}"), quantile.value * unit)
