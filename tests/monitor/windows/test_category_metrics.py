"""Categories from the event to the window record and the finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.rules.drift_evidence import shares
from monitor.stats.category_counts import MAX_NAMES
from monitor.watch import Watch
from monitor.windows.pane import Pane
from schemas.config.monitor_config import Config
from schemas.window_record import Window
from tests.monitor.event_values import event


def records(values: list[bytes], config: Config | None = None) -> list[dict[str, Any]]:
    watch = Watch(config or Config())
    out = watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    out.extend(watch.finish())
    return [json.loads(message.value) for _, message in out.order]


def windows(values: list[bytes], level: str = "segment") -> list[dict[str, Any]]:
    return [record for record in records(values) if record["record"] == "window" and record["level"] == level]


def firing_transitions(alerts: list[dict[str, Any]], rule: str = "drift") -> list[dict[str, Any]]:
    return [
        record
        for record in alerts
        if record["record"] == "transition" and record["rule"] == rule and record["state"] == "firing"
    ]


def traffic(
    minutes: float, fields: Callable[[int, float], dict[str, Any]], a_minute: int = 20
) -> list[bytes]:
    """``fields`` returns the fields of the nth event at that minute."""
    return [
        event(nth * 60 / a_minute, **fields(nth, nth / a_minute)) for nth in range(round(minutes * a_minute))
    ]


def test_a_window_has_the_weighted_counts_of_each_category() -> None:
    values = [
        event(nth, finish_reason="length" if nth < 3 else "stop", sample_probability=1.0 if nth < 3 else 0.1)
        for nth in range(13)
    ]
    (window,) = windows(values)
    metric = window["metrics"]["finish_reason"]
    assert metric["counts"] == {"length": 3.0, "stop": pytest.approx(100.0)}
    assert metric["n"] == pytest.approx(103**2 / (3 + 10 * 100))
    assert metric.keys() == {"n", "counts"}
    Window.model_validate_json(json.dumps(window))


@pytest.mark.parametrize(
    ("field", "absent", "value"),
    [
        ("fallback", "none", "model"),
        ("outcome", "ok", "parse_error"),
        ("error_type", None, "timeout"),
        ("degradation_level", 1, 2),
        ("guardrail", "none", "blocked"),
    ],
)
def test_placeholder_categories_are_omitted_from_windows_and_counted_in_comparisons(
    field: str, absent: Any, value: Any
) -> None:
    assert field not in windows([event(nth, **{field: absent}) for nth in range(10)])[0]["metrics"]
    watch = Watch(Config())
    watch.apply([FileRecord(event(nth, **{field: value if nth < 2 else absent}), nth) for nth in range(10)])
    watch.finish()
    (feature,) = watch.partition_state.features.values()
    (pane,) = next(iter(feature.segments.values())).panes.values()
    assert pane.categories[field].weighted_counts() == {str(value): 2.0}
    weights, n = shares(field, "none" if absent is None else str(absent), pane)
    assert weights == {str(value): 2.0, "none" if absent is None else str(absent): 8.0}
    assert n == 10


def test_a_window_names_at_most_64_values_of_a_category_and_counts_the_rest() -> None:
    (window,) = windows([event(nth / 10, error_type=f"e{nth}") for nth in range(200)])
    counts = window["metrics"]["error_type"]["counts"]
    assert len(counts) == MAX_NAMES + 1
    assert counts["other"] == 200 - MAX_NAMES


def test_shares_are_correct_when_calls_have_coarser_weight_classes_than_the_category() -> None:
    pane = Pane(0)
    probabilities = [
        1_000_000,
        500_000,
        370_000,
        250_000,
        123_456,
        90_000,
        61_803,
        33_000,
        20_000,
        10_000,
        7_000,
        3_000,
    ]
    for ppm in probabilities:
        pane.rate("error_rate").add(ppm, 100, 0)
    assert pane.rates["error_rate"].level
    for ppm in probabilities[:6]:
        pane.category("fallback").add(ppm, {"model": 100})
    assert not pane.categories["fallback"].level
    weights, _ = shares("fallback", "none", pane)
    total = sum(n * 1e6 / ppm for ppm, (n, _) in pane.rates["error_rate"].classes.items())
    assert sum(weights.values()) == pytest.approx(total)
    assert weights["none"] > weights["model"] > 0


def test_another_answering_model_is_detected_at_the_first_edge_with_three_answers_in_its_segment_only() -> (
    None
):
    def fields(_: int, minute: float) -> dict[str, Any]:
        return {"response_model": "m-0314" if minute < 40 else "m-0613"}

    transitions = firing_transitions(records(traffic(41, fields)))
    assert [
        (item["level"], item["model"], item["time"][11:16], item["evidence"]["test"]) for item in transitions
    ] == [("segment", "m", "09:41", "never_seen")]
    evidence = transitions[0]["evidence"]
    assert (evidence["metric"], evidence["value"], evidence["reference"], evidence["n"]) == (
        "response_model=m-0613",
        1.0,
        0.0,
        20.0,
    )


@pytest.mark.parametrize(("strange", "expected"), [(2, 0), (3, 1)])
def test_a_new_model_needs_three_answers_to_be_a_finding(strange: int, expected: int) -> None:
    def fields(nth: int, _: float) -> dict[str, Any]:
        return {"response_model": "m-0613" if 800 <= nth < 800 + strange else "m-0314"}

    assert len(firing_transitions(records(traffic(60, fields)))) == expected


def test_an_episode_names_the_answering_model() -> None:
    def fields(_: int, minute: float) -> dict[str, Any]:
        return {"response_model": "m-0314" if minute < 40 else "m-0613"}

    opened = next(record for record in records(traffic(42, fields)) if record["record"] == "episode")
    assert opened["urgency"] == "low"
    assert opened["incidents"][0]["evidence"]["metric"] == "response_model=m-0613"


def test_a_new_model_is_reported_during_another_drift() -> None:
    def fields(_: int, minute: float) -> dict[str, Any]:
        return {
            "output_tokens": 100 if minute < 40 else 300,
            "response_model": "m-0314" if minute < 50 else "m-0613",
        }

    alerts = records(traffic(53, fields, 60))
    # one incident, which fires once
    assert {item["evidence"]["metric"] for item in firing_transitions(alerts)} == {"output_tokens.p90"}
    updates = [
        (item["time"][11:16], item["state"], item["reason"]) for item in alerts if item["record"] == "episode"
    ]
    assert updates[0][1] == "opened"
    assert updates[1:] == [("09:51", "updated", "drift: a value that was never seen before")]
    (shown,) = (item for item in alerts if item["record"] == "episode" and item["time"][11:16] == "09:51")
    assert "response_model=m-0613" in {item["evidence"]["metric"] for item in shown["incidents"]}


def test_a_change_of_the_requested_model_is_not_a_drift() -> None:
    def fields(_: int, minute: float) -> dict[str, Any]:
        name = "m" if minute < 40 else "n"
        return {"model": name, "response_model": f"{name}-2026", "provider": "one" if minute < 40 else "two"}

    changes = [record for record in records(traffic(80, fields)) if record["record"] != "window"]
    assert [(other["record"], other["kind"], other["name"], other["before"]) for other in changes] == [
        ("change", "model", "n", "m")
    ]


def test_a_fallback_in_use_is_detected_with_both_models() -> None:
    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {"fallback": "model" if minute >= 60 and nth % 2 else "none"}

    transitions = [
        item for item in firing_transitions(records(traffic(70, fields, 60))) if item["level"] == "feature"
    ]
    assert [item["time"][11:16] for item in transitions] == ["10:01"]
    evidence = transitions[0]["evidence"]
    assert (evidence["metric"], evidence["value"], evidence["reference"], evidence["test"]) == (
        "fallback=model",
        0.5,
        0.0,
        "g",
    )
    assert evidence["p_value"] < 1e-9
    assert evidence["reference_name"] == "trailing 24h"


def test_a_changed_mix_of_finish_reasons_is_detected_and_random_variation_is_not() -> None:
    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {"finish_reason": "length" if nth % (20 if minute < 60 else 2) == 0 else "stop"}

    transitions = [
        item for item in firing_transitions(records(traffic(70, fields, 60))) if item["level"] == "feature"
    ]
    assert [item["evidence"]["metric"] for item in transitions] == ["finish_reason=length"]
    assert transitions[0]["time"][11:16] in ("10:01", "10:02")
    assert firing_transitions(records(traffic(70, lambda nth, _: fields(nth, 0), 60))) == []
