"""Laws of drift rules, from events to incidents."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from monitor.protocol.messages import FileRecord
from monitor.rules.drift import DriftReader, _Candidate
from monitor.rules.drift_evidence import DriftResult
from monitor.rules.evidence import Finding
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.config.rules import Drift
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.monitor.restarted_watch import alerts_of

Fields = Callable[[random.Random, float], dict[str, Any]]


def event(second: float, **more: Any) -> bytes:
    return event_values.event(second, **{"output": None, **more})


def traffic(
    minutes: float, fields: Fields, a_minute: float = 20, start: float = 0, seed: int = 1
) -> list[bytes]:
    """``fields`` returns the fields of an event at a minute."""
    rng = random.Random(seed)
    return [
        event((start + nth / a_minute) * 60, **fields(rng, start + nth / a_minute))
        for nth in range(round(minutes * a_minute))
    ]


def tokens(factor: Callable[[float], float], spread: float = 0.4, median: float = 150) -> Fields:
    """Log-normal output tokens, times a factor that depends on the minute."""
    return lambda rng, minute: {
        "output_tokens": round(rng.lognormvariate(math.log(median), spread) * factor(minute))
    }


def run(values: list[bytes], config: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return alerts_of(values, Config.model_validate(config or {}))


def transitions(
    records: list[dict[str, Any]], rule: str = "drift", level: str = "feature"
) -> list[dict[str, Any]]:
    return [
        record
        for record in records
        if record["record"] == "transition" and record["rule"] == rule and record["level"] == level
    ]


def states(
    records: list[dict[str, Any]], rule: str = "drift", level: str = "feature"
) -> list[tuple[str, str]]:
    return [(item["state"], item["time"][11:16]) for item in transitions(records, rule, level)]


def only(**more: Any) -> dict[str, Any]:
    """A configuration with one drift rule; panes of five minutes where the test covers days."""
    return {"default_rules": False, "no_data": {"severity": None}, "drift": [{"name": "drift", **more}]}


# ---- what is found
# ------------------------------------------------------------------------------------------------------


def test_doubled_tokens_are_detected_within_minutes_with_both_values() -> None:
    fired, *_ = transitions(run(traffic(90, tokens(lambda minute: 2 if minute >= 80 else 1), 60)))
    assert (fired["state"], fired["time"][11:16], fired["severity"]) == ("firing", "10:21", "warning")
    evidence = fired["evidence"]
    assert evidence["metric"] == "output_tokens.p50"
    assert evidence["value"] == pytest.approx(300, rel=0.15)
    assert evidence["reference"] == pytest.approx(150, rel=0.05)
    assert (evidence["test"], evidence["reference_name"], evidence["n"], evidence["window_s"]) == (
        "kolmogorov_smirnov",
        "trailing 24h",
        60,
        60,
    )
    assert evidence["low"] < evidence["value"] < evidence["high"]
    assert evidence["p_value"] < 1e-6
    assert evidence["effect"] > 0.5
    assert [item["metric"] for item in evidence["findings"]] == ["output_tokens.p50"]


def test_a_small_drift_is_detected_by_a_longer_window() -> None:
    fired, *_ = transitions(run(traffic(300, tokens(lambda minute: 1.15 if minute >= 190 else 1), 30)))
    assert fired["state"] == "firing"
    assert fired["evidence"]["window_s"] > 60
    assert "12:10" < fired["time"][11:16] < "13:10"


def test_stable_traffic_opens_nothing() -> None:
    for seed in range(2):
        assert (
            run(
                traffic(
                    150,
                    lambda rng, minute: {
                        **tokens(lambda _: 1, 1.2)(rng, minute),
                        "duration_s": rng.expovariate(1),
                    },
                    20,
                    seed=seed,
                )
            )
            == []
        )


def test_a_significant_but_tiny_change_is_not_a_drift() -> None:
    assert (
        run(
            traffic(220, tokens(lambda minute: 1.03 if minute >= 190 else 1, 0.5, 1000), 200),
            only(on=["output_tokens"], effect=0.5),
        )
        == []
    )


def test_drift_opens_a_ticket_and_not_a_page() -> None:
    episodes = [
        item
        for item in run(traffic(90, tokens(lambda minute: 2 if minute >= 80 else 1), 60))
        if item["record"] == "episode"
    ]
    assert {episode["urgency"] for episode in episodes} == {"low"}


def test_a_drift_rule_reads_only_the_metrics_of_its_on() -> None:
    def fields(rng: random.Random, minute: float) -> dict[str, Any]:
        moved = minute >= 60
        return {
            "output_tokens": round(rng.lognormvariate(5, 0.4) * (3 if moved else 1)),
            "duration_s": rng.lognormvariate(0, 0.4),
            "finish_reason": "length" if moved and rng.random() < 0.5 else "stop",
        }

    values = traffic(70, fields, 60)
    assert run(values, only(on=["duration_s"])) == []
    fired, *_ = transitions(run(values, only(on=["finish_reason"])))
    assert fired["evidence"]["metric"] in ("finish_reason=length", "finish_reason=stop")
    fired, *_ = transitions(run(values, only(on=["output_tokens", "duration_s"])))
    assert [item["metric"].split(".")[0] for item in fired["evidence"]["findings"]] == ["output_tokens"]


def test_informative_evaluators_and_feedback_are_watched_and_gating_evaluators_are_not() -> None:
    def feedback(rng: random.Random, minute: float) -> dict[str, Any]:
        return rng.choice(
            [
                {},
                {
                    "kind": "feedback",
                    "response_id": "r",
                    "accepted": rng.random() < (0.4 if minute >= 60 else 0.9),
                },
            ]
        )

    def judged(rng: random.Random, minute: float) -> dict[str, Any]:
        return rng.choice(
            [
                {},
                {
                    "kind": "evaluation",
                    "response_id": "r",
                    "evaluator": "judge",
                    "passed": rng.random() < (0.4 if minute >= 60 else 0.9),
                },
            ]
        )

    for fields, metric in ((feedback, "feedback.acceptance_rate"), (judged, "evaluator.judge.fail_rate")):
        fired, *_ = transitions(run(traffic(70, fields, 120)))
        assert (fired["evidence"]["metric"], fired["evidence"]["test"]) == (metric, "two_proportions")
    failing = traffic(
        70, lambda rng, minute: {"error_type": "timeout"} if minute >= 60 and rng.random() < 0.5 else {}, 60
    )
    drifted = transitions(run(failing, only()))
    assert all(
        not item["metric"].endswith("_rate")
        for fired in drifted
        if fired["state"] == "firing"
        for item in fired["evidence"]["findings"]
    )


def test_feedback_without_labels_counts_at_the_feature_and_in_its_reference() -> None:
    def fields(rng: random.Random, minute: float) -> dict[str, Any]:
        return rng.choice(
            [
                {},
                {
                    "kind": "feedback",
                    "response_id": "r",
                    "model": "",
                    "accepted": rng.random() < (0.4 if minute >= 60 else 0.9),
                },
            ]
        )

    fired, *_ = transitions(run(traffic(70, fields, 120)))
    assert fired["evidence"]["metric"] == "feedback.acceptance_rate"


# ---- references
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("events", "fires"), [(497, False), (520, True)])
def test_below_500_events_there_is_no_reference(events: int, fires: bool) -> None:
    # a window of one minute ends three minutes after the reference
    before = traffic(60, tokens(lambda _: 1), events / 60)
    after = traffic(4, tokens(lambda _: 20), 60, start=62)
    assert bool(transitions(run(before + after))) is fires


@pytest.mark.parametrize(("minutes", "fires"), [(13, False), (17, True)])
def test_below_15_minutes_there_is_no_reference(minutes: int, fires: bool) -> None:
    before = traffic(minutes, tokens(lambda _: 1), 100)
    after = traffic(1, tokens(lambda _: 20), 100, start=minutes + 2)
    assert bool(transitions(run(before + after))) is fires


def test_a_reference_below_half_an_hour_detects_only_five_times_the_effect() -> None:
    def moved(start: float) -> Fields:
        return tokens(lambda minute: 1.15 if minute >= start else 1)

    assert transitions(run(traffic(28, moved(20), 300))) == []
    assert [state for state, _ in states(run(traffic(58, moved(50), 300)))] == ["firing"]


def test_a_cycle_within_the_reference_is_not_a_drift() -> None:
    # the third night, for the first two are incidents: who has seen one night does not know that there will
    # be another
    def cycle(minute: float) -> float:
        return 1 + 0.3 * math.sin(2 * math.pi * minute / 1440)

    rule = {"time": {"pane": "10m"}} | only()
    days = traffic(4.5 * 1440, tokens(cycle), 2)
    broken = traffic(60, tokens(lambda minute: 2 * cycle(minute)), 20, start=4.5 * 1440)
    *fired, last = [
        item["time"][:13] for item in transitions(run(days + broken, rule)) if item["state"] == "firing"
    ]
    assert fired
    assert all(time < "2026-03-04T20" for time in fired)
    assert last == "2026-03-06T21"


def test_a_reverted_drift_resolves_once_after_keep_firing_for_and_its_last_window() -> None:
    values = traffic(120, tokens(lambda minute: 2 if 60 <= minute < 65 else 1), 60)
    late, soon = (
        states(run(values, only(keep_firing_for="20m"))),
        states(run(values, only(keep_firing_for="10m"))),
    )
    assert [state for state, _ in late] == [state for state, _ in soon] == ["firing", "resolved"]
    assert "10:15" <= soon[1][1] <= "10:46"
    assert int(late[1][1][3:]) - int(soon[1][1][3:]) in (10, 10 - 60)


def test_decreasing_traffic_does_not_resolve_a_drift_of_unknown_state() -> None:
    moved = tokens(lambda minute: 2 if minute >= 60 else 1)
    drift_states = states(run(traffic(80, moved, 60) + traffic(240, moved, 1, start=80), only()))
    assert [state for state, _ in drift_states] == ["firing"]


def test_a_reference_is_frozen_during_an_incident_and_excludes_it_later() -> None:
    # three hours of drift, then as before for three, then the same drift again: both times it is told from
    # the same healthy state
    def factor(minute: float) -> float:
        return 2 if 180 <= minute < 360 or minute >= 600 else 1

    records = run(traffic(640, tokens(factor), 20), {"time": {"pane": "5m"}})
    fired = [item for item in transitions(records) if item["state"] == "firing"]
    assert [item["time"][11:16] for item in fired] == ["12:05", "19:05"]
    for incident in fired:
        assert incident["evidence"]["reference"] == pytest.approx(150, rel=0.05)
    assert [state for state, _ in states(records)] == ["firing", "resolved", "firing"]


def test_after_a_day_the_drifted_state_is_normal_and_reverting_it_is_a_drift() -> None:
    def factor(minute: float) -> float:
        return 2 if 180 <= minute < 180 + 30 * 60 else 1

    records = run(traffic(40 * 60, tokens(factor), 10), {"time": {"pane": "5m"}})
    history = [(item["state"], item["time"][8:16], item["reason"][:13]) for item in transitions(records)]
    assert history[:2] == [("firing", "02T12:05", "breached"), ("resolved", "03T12:05", "became_normal")]
    assert [item[:2] for item in history[2:3]] == [("firing", "03T18:05")]
    back = [item for item in transitions(records) if item["state"] == "firing"][1]
    assert back["evidence"]["reference"] == pytest.approx(300, rel=0.1)


def test_same_hours_last_week_is_the_reference_if_configured() -> None:
    def weekly(minute: float) -> float:
        return 3 if minute // 1440 % 7 == 1 else 1  # each Tuesday

    rule = {"time": {"pane": "10m"}} | only(reference="same hours last week", window="10m")
    calm = run(traffic(9 * 1440, tokens(weekly), 4), rule)
    assert transitions(calm) == []
    broken = run(
        traffic(8.2 * 1440, tokens(lambda minute: weekly(minute) * (2 if minute >= 8.1 * 1440 else 1)), 4),
        rule,
    )
    fired = transitions(broken)[0]
    assert fired["time"][:10] == "2026-03-10"
    assert fired["evidence"]["reference_name"] == "same hours last week"
    assert fired["evidence"]["reference"] > 400  # of the Tuesday, not of the day before
    assert fired["evidence"]["value"] / fired["evidence"]["reference"] == pytest.approx(2, rel=0.25)


def test_the_previous_prompt_version_is_the_reference_of_the_next_version() -> None:
    def fields(version: str, factor: float, model: str = "m") -> Fields:
        return lambda rng, minute: {
            **tokens(lambda _: factor)(rng, minute),
            "prompt_version": version,
            "model": model,
        }

    rule = only(reference="previous prompt version")
    old, other = traffic(150, fields("1", 1), 20), traffic(150, fields("1", 5, "n"), 20)
    before = sorted(old + other, key=lambda value: json.loads(value)["time"])
    fired = transitions(run(before + traffic(10, fields("2", 1.6), 60, start=150), rule), level="segment")
    assert [(item["state"], item["model"], item["prompt_version"]) for item in fired] == [
        ("firing", "m", "2")
    ]
    assert fired[0]["evidence"]["reference"] == pytest.approx(150, rel=0.05)
    assert transitions(run(before + traffic(10, fields("2", 1), 60, start=150), rule), level="segment") == []


# ---- the rule
# -----------------------------------------------------------------------------------------------------------


def test_an_edited_rule_resolves_its_drift_with_that_reason() -> None:
    values = traffic(70, tokens(lambda minute: 2 if minute >= 60 else 1), 60)
    before = Watch(Config.model_validate(only()))
    before.apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    state = before.changed()
    for edited in (only(effect=5), only(on=["output_chars"]), {"default_rules": False}):
        after = Watch(Config.model_validate(edited))
        after.restore(state)
        out = after.advance(int((NINE + timedelta(minutes=72)).timestamp() * 1e6))
        history = transitions([json.loads(message.value) for message in out.messages["alerts"]])
        assert [(item["state"], item["reason"]) for item in history[:1]] == [("resolved", "rule_changed")]


def test_a_changed_evaluator_is_not_a_drift_even_if_the_rule_names_its_rate() -> None:
    def config(longest: int) -> Config:
        return Config.model_validate(
            {
                **only(on=["evaluator.length.fail_rate"]),
                "features": [{"evaluators": [{"length": {"max_chars": longest}}]}],
            }
        )

    values = traffic(120, lambda rng, _: {"output": "x" * rng.randrange(1, 100)}, 60)
    before = Watch(config(90))
    before.apply([FileRecord(value, offset) for offset, value in enumerate(values[:4800])])
    after = Watch(config(30))
    after.restore(before.changed())
    out = after.apply([FileRecord(value, 4800 + offset) for offset, value in enumerate(values[4800:])])
    assert not out.messages.get("alerts")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.001, 0.05, 0.3]))
def test_significance_follows_benjamini_hochberg(p_values: list[float], level: float) -> None:
    rule = Drift.model_validate({"name": "d", "confidence": 1 - level / 2, "effect": 1e-9})

    def unused() -> Finding:
        raise AssertionError("only what a reading shows is described")

    candidates = [
        _Candidate(DriftResult(f"n{nth}", "kolmogorov_smirnov", p, 1.0, 60.0, 100, 1000), lambda: 0.1, unused)
        for nth, p in enumerate(p_values)
    ]
    significant = {item.result.statistic for item in DriftReader(60_000_000)._significant(rule, candidates)}
    adjusted = false_discovery_control(p_values)
    sure = np.abs(adjusted - level) > 1e-9 * level  # rounding decides on the bound
    assert {f"n{nth}" for nth in np.flatnonzero((adjusted <= level) & sure)} <= significant
    assert significant <= {f"n{nth}" for nth in np.flatnonzero((adjusted <= level) | ~sure)}
