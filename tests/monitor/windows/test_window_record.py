"""Windows of segments have what merges; ``complete_metrics`` gives them intervals and quantiles."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.stats.sampling_weights import Units
from monitor.watch import Watch
from monitor.windows.metric_definitions import QUANTILES
from monitor.windows.metric_reader import estimate_metric
from monitor.windows.pane import Pane
from monitor.windows.record import Z95, complete_metrics, mergeable_metrics
from schemas.config.monitor_config import Config
from schemas.window_record import Window
from tests.monitor.ingest.event_records import record_of


def windows(records: list[FileRecord]) -> dict[str, dict[str, Any]]:
    """Return level -> the last window record, of events of one segment."""
    watch = Watch(Config())
    outputs = watch.apply(records)
    messages = [*outputs.messages.get("windows", ()), *watch.finish().messages["windows"]]
    return {record["level"]: record for record in (json.loads(message.value) for message in messages)}


def records(probabilities: tuple[float, ...]) -> list[FileRecord]:
    rng = random.Random(4)
    return [
        record_of(
            number,
            output="" if rng.random() < 0.3 else "It ships.",
            error_type="timeout" if rng.random() < 0.1 else None,
            duration_s=rng.lognormvariate(0, 1),
            output_tokens=rng.randrange(3, 40),
            sample_probability=rng.choice(probabilities),
        )
        for number in range(60)
    ]


@pytest.mark.parametrize("probabilities", [(1.0,), (0.1,), (1.0, 0.5, 0.02)])
def test_the_completed_window_of_the_only_segment_is_that_of_its_feature(probabilities):
    last = windows(records(probabilities))
    completed, whole = complete_metrics(last["segment"]["metrics"]), last["feature"]["metrics"]
    assert completed.keys() == whole.keys()
    for name, metric in whole.items():
        assert completed[name] == metric, name


def test_a_segment_has_values_and_what_merges_but_no_intervals_and_quantiles():
    last = windows(records((1.0, 0.5)))
    metrics = last["segment"]["metrics"]
    assert not any(metric.keys() & {"low", "high"} for metric in metrics.values())
    assert not any(name.rpartition(".")[2] in QUANTILES for name in metrics)
    assert metrics["pass_rate"].keys() >= {"value", "n", "classes"}
    assert metrics["duration_s.mean"].keys() == {"value", "n", "sum", "unit", "histogram"}
    for record in last.values():
        assert Window.model_validate_json(json.dumps(record)).schema_version == 2


def test_completed_metrics_are_the_estimates_of_the_pane():
    pane = Pane(0)
    pane.rate("pass_rate").add(500_000, 30, 3)
    pane.number("output_tokens").add(1_000_000, 4, 60, {33: 1, 66: 2, 129: 1})
    completed = complete_metrics(mergeable_metrics(pane))
    for name in ("pass_rate", "output_tokens.mean", "output_tokens.p50", "output_tokens.p99"):
        expected = estimate_metric([pane], name, Z95)
        assert {key: completed[name][key] for key in expected._fields} == expected._asdict()


def test_a_heavier_weight_that_the_series_had_before_makes_the_interval_wider():
    pane = Pane(0)
    pane.rate("error_rate").add(1_000_000, 2, 2)
    alone = mergeable_metrics(pane)
    sampled = mergeable_metrics(pane, lambda name: Units(100.0, 1.0))
    assert "known_weights" not in alone["error_rate"]
    assert sampled["error_rate"]["known_weights"] == [100.0, 1.0]
    expected = pane.rates["error_rate"].estimate(Z95, known=Units(100.0, 1.0))
    completed = complete_metrics(json.loads(json.dumps(sampled)))["error_rate"]
    assert (completed["low"], completed["high"]) == (expected.low, expected.high)
    assert completed["low"] < complete_metrics(alone)["error_rate"]["low"]


def test_a_rate_of_a_class_without_events_has_no_value():
    pane = Pane(0)
    pane.rate("error_rate").add(1_000_000, 0, 0)
    metric = complete_metrics(mergeable_metrics(pane))["error_rate"]
    assert (metric["value"], metric["low"], metric["high"]) == (None, None, None)


def test_a_record_of_version_1_stays_as_it_is():
    metrics = {
        "pass_rate": {"value": 0.5, "n": 2.0, "low": 0.1, "high": 0.9, "classes": [[1.0, 2, 1]]},
        "duration_s.p90": {"value": 3.1, "n": 2.0, "low": None, "high": None},
    }
    record = {
        "record": "window",
        "level": "segment",
        "service": "bot",
        "feature": "chat",
        "environment": "production",
        "start": "2026-03-02T09:00:00Z",
        "end": "2026-03-02T09:01:00Z",
        "revision": 1,
        "events": 2,
        "metrics": metrics,
    }
    assert Window.model_validate_json(json.dumps(record)).schema_version == 1
    assert complete_metrics(metrics) == metrics
