"""The status of a partition and its metrics."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.protocol.metrics import METRICS
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, event
from tests.monitor.restarted_watch import restarted


def watch_of(values: list[dict[str, Any]]) -> Watch:
    watch = Watch(Config())
    records = [
        FileRecord(event(nth, **{"output": "Fine.", "duration_s": 0.5, **more}), nth)
        for nth, more in enumerate(values)
    ]
    watch.apply([*records, FileRecord(b"garbage", len(records))])
    return watch


def read(watch: Watch) -> dict[tuple[Any, ...], float]:
    return {(measure.name, *measure.labels): measure.value for measure in watch.measures()}


def test_every_measure_is_in_the_metric_list_with_its_labels() -> None:
    watch = watch_of([{"error_type": "timeout"} if 700 < nth < 1000 else {} for nth in range(1100)])
    names = set()
    for measure in watch.measures():
        assert len(measure.labels) == len(METRICS[measure.name].labels), measure
        assert all(isinstance(label, str) for label in measure.labels), measure
        names.add(measure.name)
    assert {
        "softfail_pass_rate",
        "softfail_incidents",
        "softfail_episodes",
        "softfail_dead_letters_total",
        "softfail_quantile",
    } <= names


def test_counters_with_known_labels_are_zero_before_they_count() -> None:
    shown = read(watch_of([{}]))
    feature = ("bot", "answer", "production")
    for reason in ("empty", "unreadable", "invalid", "future", "misplaced"):
        assert ("softfail_dead_letters_total", reason) in shown
    for kind in ("response", "feedback", "evaluation"):
        assert ("softfail_received_events_total", *feature, kind) in shown
    for evaluator in ("error", "refusal", "empty", "truncation"):
        assert shown["softfail_evaluator_errors_total", *feature[:2], evaluator] == 0
        assert ("softfail_verdicts_total", *feature, evaluator) in shown


def test_measures_cover_the_last_five_closed_minutes() -> None:
    shown = read(
        watch_of(
            [
                {"output": "" if nth >= 600 else "Fine.", "duration_s": 0.5 if nth < 600 else 2.0}
                for nth in range(1000)
            ]
        )
    )
    labels = ("feature", "bot", "answer", "production", "", "", "", "")
    assert shown[("softfail_pass_rate", *labels)] == 0.0  # 09:11 to 09:16, all of it bad
    assert shown[("softfail_window_events", *labels)] == 300
    assert abs(shown[("softfail_mean", *labels, "duration_s")] - 2.0) < 1e-9
    assert shown[("softfail_received_events_total", "bot", "answer", "production", "response")] == 1000
    assert shown[("softfail_dead_letters_total", "unreadable")] == 1


def test_a_partition_exports_its_firing_segments_first_then_the_busiest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.exported_segments.MAX_EXPORTED_SEGMENTS", 2)
    monkeypatch.setattr("monitor.status.MAX_EXPORTED_SEGMENTS", 2)
    watch = watch_of(
        [
            *({"model": "busy"} for _ in range(40)),
            *({"model": "fails", "output": ""} for _ in range(4)),
            *({"model": "quiet"} for _ in range(6)),
        ]
        * 20
    )
    watch.advance(int((NINE + timedelta(minutes=17)).timestamp() * 1e6))
    measures = list(watch.measures())
    models = {
        measure.labels[4]
        for measure in measures
        if measure.name == "softfail_window_events" and measure.labels[0] == "segment"
    }
    assert models == {"fails", "busy"}
    assert read(watch)["softfail_segments_not_exported", "0"] == 1
    assert any(
        measure.name == "softfail_pass_rate" and measure.labels[0] == "feature" for measure in measures
    )


def test_a_rarely_used_feature_shows_its_last_minute() -> None:
    watch = watch_of([{} for _ in range(100)])
    watch.advance(int((NINE + timedelta(hours=1)).timestamp() * 1e6))
    shown = read(watch)
    assert shown[("softfail_window_events", "feature", "bot", "answer", "production", "", "", "", "")] == 40


def test_the_outcome_of_every_call_is_exported_and_shown_and_survives_a_restart() -> None:
    meter = {
        "kind": "meter",
        "producer_id": "p",
        "started_at": NINE.isoformat(),
        "seen": 120,
        "sampled": 13,
        "sent": 12,
        "dropped": 1,
    }
    numbered = [
        {"producer_id": "p", "sequence": number, "output": None if number == 5 else "Fine."}
        for number in range(12)
        if number not in (3, 4)
    ]
    watch = watch_of([*numbered, meter])
    for item in (watch, restarted(watch)):
        shown, labels = read(item), ("bot", "answer", "production")
        stages = ("seen", "sampled", "sent", "dropped")
        assert [shown[("softfail_producer_calls_total", *labels, stage)] for stage in stages] == [
            120,
            13,
            12,
            1,
        ]
        assert shown[("softfail_missing_events", *labels)] == 2
        assert shown[("softfail_verdicts_total", *labels, "refusal")] == 9
        assert shown[("softfail_skipped_verdicts_total", *labels, "refusal", "no output text")] == 1
        status = item.status()
        account = status["features"][0]["account"]
        assert [account[name] for name in (*stages, "received", "missing", "late", "expired")] == [
            120,
            13,
            12,
            1,
            10,
            2,
            0,
            0,
        ]
        assert account["skipped"]["refusal"] == {"no output text": 1}
        assert (status["dead_letters"], status["forwarded"]) == ({"unreadable": 1}, 0)


def test_a_feature_with_meters_only_is_shown_and_missing_meters_are_stated() -> None:
    meter = {
        "kind": "meter",
        "feature": "lost",
        "producer_id": "p",
        "started_at": NINE.isoformat(),
        "seen": 9,
        "sampled": 9,
        "sent": 0,
        "dropped": 9,
    }
    features = {item["feature"]: item["account"] for item in watch_of([meter, {}]).status()["features"]}
    assert (features["lost"]["dropped"], features["lost"]["received"]) == (9, 0)
    assert (features["answer"]["seen"], features["answer"]["received"]) == (None, 1)


def test_counts_survive_a_restart() -> None:
    watch = watch_of([{} for _ in range(300)])
    again = Watch(Config())
    again.restore(watch.changed())
    assert read(again) == read(watch)


def test_the_status_names_broken_evaluators() -> None:
    status = watch_of([{"error_type": "timeout"} if nth > 700 else {} for nth in range(1100)]).status()
    (feature,) = status["features"]
    assert feature["pass_rate"]["value"] < 0.1
    assert len(feature["series"]) == 60
    assert [episode["urgency"] for episode in status["episodes"]] == ["high"]
    assert {record["state"] for record in status["recent"]} == {"pending", "firing"}
    assert json.dumps(status)


def test_an_open_episode_has_the_text_of_its_page_on_the_status_page() -> None:
    broken = {"error_type": "timeout", "prompt_version": "v8"}
    watch, written = Watch(Config()), []
    for nth in range(1100):
        event = {
            "event_id": str(nth),
            "time": (NINE + timedelta(seconds=nth)).isoformat(),
            "service": "bot",
            "feature": "answer",
            "model": "m",
            "output": "Fine.",
            "prompt_version": "v7",
            **(broken if nth > 700 else {}),
        }
        out = watch.apply([FileRecord(json.dumps(event).encode(), nth)])
        written += [json.loads(message.value) for message in out.messages.get("alerts", ())]
    last = [item for item in written if item["record"] == "episode"][-1]
    (shown,) = watch.status()["episodes"]
    assert shown["causes"] == last["causes"] != []
    assert [item["event_id"] for item in shown["examples"]] != []
    assert " of calls failed (" in shown["headline"]
    assert [
        item
        for item in shown["findings"]
        if (item["rule"], item["state"]) == ("error-rate", "firing")
        and re.search(r"should stay under 2 %.*, [\d,]+ events in ", item["text"])
    ]
    assert shown["next_step"].startswith("Look at the provider's status page")
