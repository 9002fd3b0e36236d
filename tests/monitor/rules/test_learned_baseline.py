"""Laws of learnt baselines, seen from outside: events in, incidents out."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from monitor.rules.learned_baseline import Baseline
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import WeightMemory
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.config.rules import DEFAULT_RULES
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.tiers import by_profile, examples

REFUSAL = "I'm sorry, but I can't help with that."
ANSWER = "It ships on Tuesday."
MINUTE_US = 60_000_000
DEFAULTS = [rule.model_dump(mode="json", by_alias=True, exclude_none=True) for rule in DEFAULT_RULES]
LEARNT = {
    "default_rules": False,
    "no_data": {"severity": None},
    "rules": [
        {"name": "fell", "on": "pass_rate", "below": "baseline"},
        {"name": "rose", "on": "evaluator.*.fail_rate", "above": "baseline"},
    ],
}


def event(second: float, **more: Any) -> bytes:
    return event_values.event(second, **{"output": ANSWER, **more})


def traffic(
    minutes: float,
    failing: Callable[[float], float],
    a_minute: float = 100,
    start: float = 0,
    seed: int = 1,
    **more: Any,
) -> list[bytes]:
    """``failing``: share of refusals at a minute."""
    rng = random.Random(seed)
    values = []
    for nth in range(round(minutes * a_minute)):
        minute = start + nth / a_minute
        values.append(
            event(minute * 60, output=REFUSAL if rng.random() < failing(minute) else ANSWER, **more)
        )
    return values


def records_of(watch: Watch, values: list[bytes], offset: int = 0) -> list[dict[str, Any]]:
    out = watch.apply([FileRecord(value, offset + nth) for nth, value in enumerate(values)])
    out.extend(watch.finish())
    return [json.loads(message.value) for message in out.messages.get("alerts", ())]


def run(values: list[bytes], config: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return records_of(Watch(Config.model_validate(config or {})), values)


def transitions(records: list[dict[str, Any]], rule: str, level: str = "feature") -> list[dict[str, Any]]:
    return [
        record
        for record in records
        if record["record"] == "transition" and record["rule"] == rule and record["level"] == level
    ]


def minutes(records: list[dict[str, Any]], rule: str) -> list[tuple[str, float]]:
    return [
        (item["state"], (datetime.fromisoformat(item["time"]) - NINE).total_seconds() / 60)
        for item in transitions(records, rule)
    ]


def pages(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["record"] == "episode" and record["urgency"] == "high"]


# ---- what is found
# ------------------------------------------------------------------------------------------------------


def test_a_decrease_of_the_pass_rate_pages_within_minutes_and_resolves_after_recovery() -> None:
    records = run(traffic(130, lambda minute: 0.15 if 70 <= minute < 90 else 0.03))
    (fired, fired_minute), (resolved, until) = minutes(records, "pass-rate-fell")
    assert (fired, resolved) == ("firing", "resolved")
    assert 71 < fired_minute <= 75
    assert 90 < until <= 100
    opened = pages(records)[0]
    assert (opened["state"], opened["severity"], opened["urgency"]) == ("opened", "error", "high")
    evidence = transitions(records, "pass-rate-fell")[0]["evidence"]
    assert evidence["metric"] == "pass_rate"
    assert evidence["value"] == pytest.approx(0.85, abs=0.06)
    assert evidence["reference"] == pytest.approx(0.97, abs=0.01)
    assert evidence["low"] <= evidence["value"] <= evidence["high"] < evidence["reference"]
    assert (evidence["reference_name"], evidence["test"]) == ("baseline", "shiryaev_roberts")
    assert [page["state"] for page in pages(records)].count("resolved") == 1


def test_a_stable_rate_does_not_page() -> None:
    for seed in range(2):
        assert run(traffic(150, lambda _: 0.03, 30, seed=seed)) == []


@pytest.mark.parametrize(
    ("a_minute", "minute", "until", "fires"),
    [(100, 4, 5, False), (100, 8, 14, True), (6, 14, 17, False), (6, 30, 60, True)],
)
def test_nothing_is_detected_before_100_events_and_five_minutes(
    a_minute: float, minute: float, until: float, fires: bool
) -> None:
    states = minutes(
        run(traffic(until, lambda now: 0.5 if now >= minute else 0.02, a_minute), LEARNT), "fell"
    )
    assert bool(states) is fires


def test_each_increased_evaluator_is_reported_in_the_same_incident() -> None:
    rng = random.Random(2)
    values = []
    for nth in range(90 * 60):
        bad = nth >= 60 * 60
        share = rng.random()
        values.append(
            event(
                float(nth),
                output=REFUSAL
                if share < (0.3 if bad else 0.01)
                else ""
                if share > (0.7 if bad else 0.99)
                else ANSWER,
            )
        )
    records = run(values, LEARNT)
    (fired,) = transitions(records, "rose")
    last = [record for record in records if record["record"] == "episode"][-1]
    assert fired["state"] == "firing"
    assert {item["metric"] for item in fired["evidence"]["findings"]} == {
        "evaluator.refusal.fail_rate",
        "evaluator.empty.fail_rate",
    }
    assert fired["evidence"]["metric"] == fired["evidence"]["findings"][0]["metric"]
    assert (
        len(
            {
                item["incident_id"]
                for item in last["incidents"]
                if item["rule"] == "rose" and item["level"] == "feature"
            }
        )
        == 1
    )


def test_events_two_minutes_late_are_detected_too() -> None:
    values = traffic(70, lambda _: 0.02)
    late = [
        value
        for minute in range(70, 90)
        for value in [
            event(minute * 60 + 60 * 2.6),
            *traffic(1, lambda _: 0.3, 100, start=minute, seed=minute),
        ]
    ]
    states = minutes(run(values + late, LEARNT), "fell")
    assert [state for state, _ in states] == ["firing"]
    assert 71 < states[0][1] <= 80


@pytest.mark.long_form
def test_three_events_an_hour_after_a_healthy_week_page_by_the_eighth_failure() -> None:
    pane_s = by_profile(300, 60)  # most of the time goes into the edges of panes
    healthy = [event(nth * 1200.0) for nth in range(7 * 72)]
    failing = [event((7 * 72 + nth) * 1200.0, error_type="timeout") for nth in range(12)]
    records = run(healthy + failing + [event((7 * 72 + 12) * 1200.0)], {"time": {"pane": f"{pane_s}s"}})
    opened = pages(records)[0]
    assert opened["state"] in ("opened", "escalated")
    since = (datetime.fromisoformat(opened["time"]) - NINE).total_seconds() - 7 * 72 * 1200
    assert since <= 7 * 1200 + pane_s + 30  # the edge after the eighth, and lateness
    rose = next(
        page for page in pages(records) if any(item["rule"] == "failures-rose" for item in page["incidents"])
    )
    first = [item["evidence"]["began"] for item in rose["incidents"] if item["rule"] == "failures-rose"]
    began = [(datetime.fromisoformat(item) - NINE).total_seconds() - 7 * 72 * 1200 for item in first]
    # the pane of the first failure, two hours before it was found
    assert all(-pane_s <= item <= 0 for item in began)
    assert began


@pytest.mark.long_form
@pytest.mark.parametrize("history", [0, 7])
def test_three_events_an_hour_with_a_daily_failure_do_not_page(history: int) -> None:
    values = [
        event(nth * 1200.0, **({"error_type": "timeout"} if nth >= history * 72 and nth % 72 == 31 else {}))
        for nth in range((history + by_profile(5, 20)) * 72)
    ]
    assert (
        pages(
            run(
                values,
                {"time": {"pane": "30m"}, "rules": [{**default, "window": "30m"} for default in DEFAULTS]},
            )
        )
        == []
    )


def test_an_outage_of_a_quiet_feature_pages_once_and_not_again_days_after_its_end() -> None:
    values = [
        event(nth * 7200.0, **({"error_type": "timeout"} if 130 <= nth < 150 else {})) for nth in range(280)
    ]
    records = run(values, {"time": {"pane": "30m"}, "no_data": {"severity": None}})
    opened = {page["episode_id"] for page in pages(records)}
    ended = [item["reason"] for item in transitions(records, "error-rate") if item["state"] == "resolved"]
    assert len(opened) == 1
    assert any(reason.startswith("well") for reason in ended)


# ---- what is learnt
# -----------------------------------------------------------------------------------------------------


def test_a_changed_evaluator_restarts_its_baseline_and_is_not_a_decrease() -> None:
    def config(longest: int) -> Config:
        feature = {"evaluators": [{"length": {"max_chars": longest}}, "refusal"], "gating": {"length": True}}
        return Config.model_validate({**LEARNT, "features": [feature]})

    rng = random.Random(4)
    values = [
        event(nth * 0.6, output="x" * (30 if rng.random() < 0.3 or nth > 13_000 else 5))
        for nth in range(15_000)
    ]
    before, after = Watch(config(90)), Watch(config(20))
    first = before.apply([FileRecord(value, nth) for nth, value in enumerate(values[:6000])])
    assert not first.messages.get("alerts")
    after.restore(before.changed())
    records = records_of(after, values[6000:], 6000)
    # from 0 to 30 % was the change; 30 to 100 % at minute 130 is a rise of the new one
    (state, fired_minute), *_ = minutes(records, "rose")
    assert (state, 130 < fired_minute < 136) == ("firing", True)
    assert transitions(records, "rose")[0]["evidence"]["reference"] == pytest.approx(0.3, abs=0.03)


def test_nothing_is_learned_during_an_incident() -> None:
    watch = Watch(Config.model_validate(LEARNT))
    watch.apply(
        [
            FileRecord(value, nth)
            for nth, value in enumerate(traffic(80, lambda minute: 0.4 if minute >= 60 else 0.02))
        ]
    )
    (learnt,) = watch.partition_state.baselines.values()
    assert watch.partition_state.episodes
    detector_states = {name: list(baseline.detector.state()) for name, baseline in learnt[None].items()}
    watch.apply(
        [
            FileRecord(value, 8000 + nth)
            for nth, value in enumerate(traffic(40, lambda _: 0.4, start=80, seed=2))
        ]
    )
    assert watch.partition_state.episodes
    for name, state in detector_states.items():
        assert learnt[None][name].detector.state()[:2] == state[:2], name


def test_after_a_day_the_new_rate_is_normal_and_a_further_decrease_is_detected() -> None:
    def failing(minute: float) -> float:
        return 0.02 if minute < 120 else 0.2 if minute < 30 * 60 else 0.8

    records = run(traffic(31 * 60, failing, 8), {**LEARNT, "time": {"pane": "5m"}})
    states = [(item["state"], item["reason"][:13]) for item in transitions(records, "fell")]
    assert states[:3] == [("firing", "breached"), ("resolved", "became_normal"), ("firing", "breached")]
    first, second = (item["evidence"] for item in transitions(records, "fell") if item["state"] == "firing")
    assert (first["reference"], second["reference"]) == (
        pytest.approx(0.98, abs=0.02),
        pytest.approx(0.8, abs=0.04),
    )
    assert 30 * 60 < minutes(records, "fell")[2][1] <= 30 * 60 + 20
    # the evidence says which reference it is, and that it was a difference once
    assert "became_normal" not in first
    assert NINE <= datetime.fromisoformat(first["reference_from"]) < NINE + timedelta(minutes=10)
    assert datetime.fromisoformat(second["became_normal"]) < datetime.fromisoformat(second["reference_from"])


def feed_minutes(
    baseline: Baseline, minutes: range, a_minute: int, share: Callable[[int], float], seed: int = 1
) -> list[int]:
    """Return the minutes at which the rise began or ended."""
    rng, changes = random.Random(seed), []
    for minute in minutes:
        was_risen, rate = baseline.risen is not None, Rate()
        rate.add(1_000_000, a_minute, sum(rng.random() < share(minute) for _ in range(a_minute)))
        baseline.feed(rate, minute * MINUTE_US, MINUTE_US, frozen=was_risen)
        if (baseline.risen is not None) is not was_risen:
            changes.append(minute)
    return changes


@pytest.mark.parametrize(("before", "raised"), [(0.1, 0.16), (0.02, 0.04), (0.3, 0.42)])
def test_a_rate_that_remains_raised_does_not_recover_within_a_day(before: float, raised: float) -> None:
    for seed in range(5):
        (rose,) = feed_minutes(
            Baseline(0), range(1, 4300), 4, lambda minute: before if minute < 2000 else raised, seed
        )
        assert 2000 < rose < 2860


@pytest.mark.parametrize(("a_minute", "until"), [(2, 20), (20, 4), (200, 3)])
def test_a_rate_that_returns_to_its_baseline_recovers_within_minutes(a_minute: int, until: int) -> None:
    baseline = Baseline(0)
    rose, back = feed_minutes(
        baseline, range(1, 700), a_minute, lambda minute: 0.5 if 500 <= minute < 540 else 0.02
    )
    assert 500 <= rose < 520
    assert 540 <= back < 540 + until


def test_a_success_after_a_few_failures_does_not_end_a_rise() -> None:
    baseline = Baseline(0)
    feed_minutes(baseline, range(1, 600), 1, lambda _: 0.0)
    (rose,) = feed_minutes(baseline, range(600, 612), 1, lambda _: 1.0)
    assert feed_minutes(baseline, range(612, 614), 1, lambda _: 0.0) == []
    (back,) = feed_minutes(baseline, range(614, 640), 1, lambda _: 0.0)
    assert rose < back < 620


def test_the_evidence_of_a_rise_has_all_events_of_its_window_and_not_those_of_the_alarm() -> None:
    baseline = Baseline(0)
    (rose,) = feed_minutes(baseline, range(1, 502), 100, lambda minute: 0.3 if minute >= 500 else 0.02)
    assert feed_minutes(baseline, range(502, 520), 100, lambda _: 0.3) == []
    finding = baseline.finding("evaluator.json.fail_rate", 519 * MINUTE_US, MINUTE_US)
    assert rose <= 501
    assert 19 * 60 <= finding.window_s <= 24 * 60  # chance can move the begin by some minutes
    assert finding.n == pytest.approx(finding.window_s / 60 * 100, rel=0.15)  # some count less at the alarm
    assert 0.24 <= finding.value <= 0.34


blocks = st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=examples(1 / 2))
@given(blocks, st.integers(0, 59))
def test_a_restored_baseline_continues_identically(plan: list[tuple[int, float, bool]], cut: int) -> None:
    whole = again = Baseline(0)
    for nth, (n, share, frozen) in enumerate(plan):
        if nth == cut:
            again = Baseline.from_state(json.loads(json.dumps(whole.state())))
        rate = Rate()
        if n:
            rate.add(1_000_000, n, round(n * share))
        edge_us = (nth + 20) * MINUTE_US
        for baseline in {id(item): item for item in (whole, again)}.values():
            baseline.feed(rate, edge_us, MINUTE_US, frozen=frozen)
        assert again.state() == whole.state()
        if whole.risen is not None:
            assert whole.finding("pass_rate", edge_us, MINUTE_US) == again.finding(
                "pass_rate", edge_us, MINUTE_US
            )


def test_a_rare_heavy_failure_raises_the_unit_of_failures_unless_it_looks_like_an_outage() -> None:
    """Kept errors are light and rare, refusals heavy and rarer: the statistic rests at some hundreds."""

    def baseline_after(heavy_failures: int) -> Baseline:
        baseline, memory = Baseline(MINUTE_US), WeightMemory()
        for minute in range(1, 2002):
            rate = Rate()
            rate.add(100_000, 2, heavy_failures if minute == 2001 else 0)
            if minute % 100 == 0:
                rate.add(1_000_000, 1, 1)
            memory.observe(rate.classes)
            baseline.feed(rate, minute * MINUTE_US, MINUTE_US, frozen=False, known=memory.units)
        return baseline

    assert baseline_after(0).units == (10, 1)
    baseline = baseline_after(1)
    assert min(baseline.detector.state()[7:13]) > math.log(100)  # of each of the six, so of their mean
    assert baseline.units == (10, 10)
    assert baseline_after(2).units == (10, 1)
