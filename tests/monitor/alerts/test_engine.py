"""Laws of rules, incidents and episodes, from events to records."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, event
from tests.tiers import by_profile, examples

REFUSAL = "I'm sorry, but I can't help with that."
MINUTE = 60.0
HOUR = 3600.0


def config(**more: Any) -> Config:
    return Config.model_validate(more)


# Most of the time of a long simulation goes into the edges of panes.
LONG = config(time={"pane": by_profile("5m", "1m")})
NO_DATA_ONLY = config(time={"pane": by_profile("5m", "1m")}, default_rules=False)


def run(
    values: list[bytes], settings: Config | None = None, until: float | None = None, now: float | None = None
) -> list[dict[str, Any]]:
    """Return transitions and episodes. ``until``: the watermark advances to this second; ``now``: hours
    between the events and the wall clock.
    """
    watch = Watch(settings or Config())
    now_us = None if now is None else int((NINE + timedelta(hours=now)).timestamp() * 1e6)
    out = watch.apply([FileRecord(value, offset) for offset, value in enumerate(values)], now_us)
    if until is not None:
        out.extend(watch.advance(int((NINE + timedelta(seconds=until)).timestamp() * 1e6), now_us))
    else:
        out.extend(watch.finish())
    return alerts(out)


def alerts(out: Outputs) -> list[dict[str, Any]]:
    return [json.loads(message.value) for message in out.messages.get("alerts", ())]


def transitions(records: list[dict[str, Any]], rule: str, level: str = "feature") -> list[tuple[str, str]]:
    return [
        (record["state"], record["time"][11:16])
        for record in records
        if record["record"] == "transition" and record["rule"] == rule and record["level"] == level
    ]


def episodes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["record"] == "episode"]


def traffic(
    minutes: float,
    failing: tuple[float, float] = (0, 0),
    a_minute: int = 60,
    start: float = 0,
    share: float = 1.0,
    **more: Any,
) -> list[bytes]:
    """Evenly spaced calls; those between the two minutes fail, or a share of them."""
    rng = random.Random(1)
    values = []
    for nth in range(round(minutes * a_minute)):
        minute = nth / a_minute
        bad = failing[0] <= minute < failing[1] and rng.random() < share
        values.append(event(start + minute * 60, **(more | ({"error_type": "timeout"} if bad else {}))))
    return values


# ---- defaults
# ---------------------------------------------------------------------------------------------------------


def test_an_outage_pages_once_and_resolves_once_with_an_empty_configuration() -> None:
    records = run(traffic(40, failing=(10, 20)))
    assert transitions(records, "error-rate") == [
        ("pending", "09:11"),
        ("firing", "09:12"),
        ("resolved", "09:27"),
    ]
    opened, *_, resolved = episodes(records)
    assert (opened["state"], opened["urgency"], opened["severity"]) == ("opened", "high", "critical")
    assert resolved["state"] == "resolved"
    assert {record["episode_id"] for record in episodes(records)} == {opened["episode_id"]}
    assert [record["state"] for record in episodes(records)].count("resolved") == 1


def test_for_one_minute_needs_two_consecutive_breaching_edges() -> None:
    # one failing minute among thirty: it breaches a window of one minute at one edge only
    rule = {
        "name": "e",
        "on": "error_rate",
        "above": 0.2,
        "window": "1m",
        "for": "1m",
        "min_events": 20,
        "keep_firing_for": 0,
    }
    once = run(traffic(30, failing=(10, 11)), config(rules=[rule], default_rules=False))
    assert transitions(once, "e") == [("pending", "09:11"), ("resolved", "09:12")]
    assert episodes(once) == []
    twice = run(traffic(30, failing=(10, 12)), config(rules=[rule], default_rules=False))
    assert transitions(twice, "e") == [("pending", "09:11"), ("firing", "09:12"), ("resolved", "09:13")]


def test_the_whole_interval_must_breach_the_threshold() -> None:
    rule = {"name": "e", "on": "error_rate", "above": 0.02, "window": "5m", "min_events": 50}
    near = run(
        [event(float(second), error_type="timeout" if second % 25 == 0 else None) for second in range(3600)],
        config(rules=[rule], default_rules=False),
    )
    assert transitions(near, "e") == []  # 4 % of 300 events may be 2 %
    sure = run(traffic(60, failing=(0, 60), share=0.15), config(rules=[rule], default_rules=False))
    assert [state for state, _ in transitions(sure, "e")] == ["firing"]


@pytest.mark.long_form
def test_healthy_hours_open_no_incident() -> None:
    rng, hours = random.Random(5), by_profile(30, 100)
    values = [
        event(nth * 36.0, error_type="timeout" if rng.random() < 0.01 else None) for nth in range(hours * 100)
    ]
    assert run(values, LONG) == []


def test_a_new_feature_that_fails_from_its_start_gets_one_warning_and_no_page() -> None:
    records = run(traffic(30, failing=(0, 30)))
    assert {record["severity"] for record in records} == {"warning"}
    assert {record["urgency"] for record in episodes(records)} == {"low"}
    assert [record["state"] for record in episodes(records)].count("opened") == 1


def test_the_pass_rate_floor_pages_when_most_answers_fail_any_evaluator() -> None:
    values = [
        event(second, output=REFUSAL if second > 1200 else "It ships on Tuesday.")
        for second in range(0, 2400, 2)
    ]
    records = run(values)
    assert transitions(records, "pass-rate-floor")[1][0] == "firing"
    states = [(record["state"], record["urgency"]) for record in episodes(records)]
    assert states.count(("opened", "high")) == 1  # by the baseline of the first 20 minutes
    assert {urgency for _, urgency in states} == {"high"}
    paged = next(record for record in episodes(records) if record["state"] == "opened")
    assert {example["evaluator"] for example in paged["examples"]} == {"refusal"}
    assert 1 <= len(paged["examples"]) <= 3


@pytest.mark.long_form
def test_low_traffic_with_a_daily_failure_opens_nothing_and_a_total_outage_opens_one_episode() -> None:
    days = by_profile(3, 7)
    failing = [nth % 72 == 5 for nth in range(72 * days)] + [True] * 72
    values = [
        event(nth * 1200.0, error_type="timeout" if fails else None) for nth, fails in enumerate(failing)
    ]
    opened = [record for record in episodes(run(values, LONG)) if record["state"] == "opened"]
    assert [record["urgency"] for record in opened] == ["high"]
    assert opened[0]["time"] > json.loads(values[72 * days])["time"]


# ---- windows and their ladder
# ------------------------------------------------------------------------------------------


def test_too_few_events_extend_the_window_and_the_record_states_it() -> None:
    rule = {"name": "e", "on": "error_rate", "above": 0.2, "window": "5m", "min_events": 50}
    records = run(traffic(240, failing=(0, 240), a_minute=1), config(rules=[rule], default_rules=False))
    (first, *_) = [record for record in records if record["record"] == "transition"]
    assert first["evidence"]["window_s"] == 1800
    assert first["evidence"]["n"] < 50  # the whole interval is beyond the threshold before there are 50
    assert first["evidence"]["low"] > 0.2


def test_an_unknown_reading_neither_fires_nor_clears_until_the_feature_was_silent_for_a_day() -> None:
    rule = {
        "name": "e",
        "on": "error_rate",
        "above": 0.2,
        "window": "5m",
        "min_events": 50,
        "keep_firing_for": 0,
    }
    few = run(traffic(6, failing=(0, 6), a_minute=1), config(rules=[rule], default_rules=False))
    assert few == []
    # the outage ends with the traffic: nothing is known of it any more, so nothing is said to be well, but it
    # is not told for ever
    silent = run(
        [*traffic(20, failing=(10, 20)), event(30 * HOUR, feature="another")],
        config(rules=[rule], default_rules=False, no_data={"severity": None}),
    )
    # of the next day, the first edge after that time
    assert transitions(silent, "e") == [("firing", "09:12"), ("resolved", "14:59")]
    over = [
        record["reason"]
        for record in silent
        if record["record"] == "transition" and record["state"] == "resolved"
    ]
    assert set(over) == {"became_normal: silent for a day, so it is taken to have ended"}


def test_a_resolved_outage_does_not_fire_again_when_traffic_decreases() -> None:
    # of the thin traffic two hours have the events that a rule needs; the outage leaves them in the third
    busy, thin = traffic(40, failing=(10, 20)), traffic(6 * 60, a_minute=1, start=40 * MINUTE)
    assert transitions(run(busy + thin), "error-rate") == [
        ("pending", "09:11"),
        ("firing", "09:12"),
        ("resolved", "09:27"),
    ]


def test_clearing_needs_the_clear_threshold_for_the_configured_time() -> None:
    rule = {
        "name": "e",
        "on": "error_rate",
        "above": 0.3,
        "clear": 0.1,
        "window": "1m",
        "min_events": 20,
        "keep_firing_for": "3m",
    }
    values = [
        *traffic(10),
        *traffic(10, failing=(0, 10), start=600),
        *traffic(5, failing=(0, 5), share=0.2, start=1200),
        *traffic(10, start=1500),
    ]
    assert transitions(run(values, config(rules=[rule], default_rules=False)), "e") == [
        ("firing", "09:11"),
        ("resolved", "09:29"),
    ]


def test_a_series_that_flaps_around_the_threshold_opens_one_incident() -> None:
    rule = {
        "name": "e",
        "on": "error_rate",
        "above": 0.2,
        "window": "1m",
        "min_events": 20,
        "keep_firing_for": "10m",
    }
    values = [value for nth in range(20) for value in traffic(2, failing=(0, 1), start=nth * 120)]
    states = [state for state, _ in transitions(run(values, config(rules=[rule], default_rules=False)), "e")]
    assert states.count("firing") == 1


@pytest.mark.parametrize(
    ("rule", "more", "fires"),
    [
        ({"on": "output_tokens.mean", "above": 150}, {"output_tokens": 200}, True),
        ({"on": "output_tokens.mean", "above": 250}, {"output_tokens": 200}, False),
        ({"on": "duration_s.p90", "above": 1.5}, {"duration_s": 2.0}, True),
        ({"on": "duration_s.p90", "above": "budget"}, {"duration_s": 1.5}, True),
        ({"on": "duration_s.p90", "above": "budget"}, {"duration_s": 0.9}, False),
        ({"on": "output_chars.mean", "below": 50}, {}, True),
        ({"on": "evaluator.refusal.fail_rate", "above": 0.1}, {"output": REFUSAL}, True),
    ],
)
def test_rules_read_rates_means_and_quantiles(
    rule: dict[str, Any], more: dict[str, Any], fires: bool
) -> None:
    settings = config(
        rules=[{"name": "r", "window": "5m", **rule}],
        default_rules=False,
        features=[{"match": "*", "interaction": "sync"}],
    )
    rng = random.Random(2)
    values = []
    for second in range(1200):
        near = {
            key: value * rng.uniform(0.99, 1.01) if isinstance(value, float) else value
            for key, value in more.items()
        }
        values.append(event(float(second), **near))
    assert bool(transitions(run(values, settings), "r")) is fires


# ---- incidents and episodes
# --------------------------------------------------------------------------------------------


def test_one_fault_that_breaches_many_rules_and_segments_is_one_episode() -> None:
    values = []
    for nth in range(4800):
        bad = nth > 2400
        values.append(
            event(
                nth / 4,
                model=f"m{nth % 12}",
                output=REFUSAL if bad else "It ships on Tuesday.",
                duration_s=9.0 if bad else 0.5,
            )
        )
    rules = [
        {"name": "refusals", "on": "evaluator.refusal.fail_rate", "above": 0.1, "severity": "error"},
        {"name": "slow", "on": "duration_s.p90", "above": 3, "severity": "warning"},
    ]
    records = run(values, config(rules=rules))
    assert len({record["episode_id"] for record in episodes(records)}) == 1
    assert (
        len(
            {
                record["incident_id"]
                for record in records
                if record["record"] == "transition" and record["state"] == "firing"
            }
        )
        >= 26
    )


def test_an_episode_of_hundreds_of_incidents_fits_into_a_record_and_ends_with_the_last_incident() -> None:
    values = []
    variants, a_minute = 110, 12  # of each variant: 60 events in a window, and rules need 50
    for nth in range(variants * a_minute * 30):
        minute = nth / (variants * a_minute)
        values.append(
            event(
                minute * 60, variant=f"v{nth % variants}", error_type="timeout" if 10 < minute < 20 else None
            )
        )
    rules = [
        {"name": f"e{nth}", "on": "error_rate", "above": 0.1 + nth / 100, "keep_firing_for": 0}
        for nth in range(3)
    ]
    records = run(values, config(rules=rules, default_rules=False))
    episode_records = episodes(records)
    assert max(record["firing"] for record in episode_records) > 300
    assert max(len(json.dumps(record)) for record in episode_records) < 100_000
    worst = max(episode_records, key=lambda record: record["firing"])
    assert {incident["rule"] for incident in worst["incidents"] if incident["level"] == "feature"} >= {
        "e0",
        "e1",
        "e2",
    }
    assert [record["state"] for record in episode_records].count("resolved") == 1
    fired = {
        record["incident_id"]
        for record in records
        if record["record"] == "transition" and record["state"] == "firing"
    }
    over = {
        record["incident_id"]
        for record in records
        if record["record"] == "transition" and record["state"] == "resolved"
    }
    assert fired <= over
    assert (episode_records[-1]["state"], episode_records[-1]["firing"]) == ("resolved", 0)


def test_urgency_increases_once_and_never_decreases() -> None:
    rules = [
        {"name": "slow", "on": "duration_s.p90", "above": 3, "severity": "warning", "keep_firing_for": 0},
        {
            "name": "refusals",
            "on": "evaluator.refusal.fail_rate",
            "above": 0.1,
            "severity": "error",
            "keep_firing_for": 0,
        },
    ]
    values = []
    for second in range(0, 3600):
        minute = second / 60
        values.append(
            event(
                float(second),
                duration_s=9.0 if 10 < minute < 50 else 0.5,
                output=REFUSAL if 20 < minute < 30 else "It ships on Tuesday.",
            )
        )
    states = [
        (record["state"], record["urgency"])
        for record in episodes(run(values, config(rules=rules, default_rules=False)))
    ]
    assert states[0] == ("opened", "low")
    assert states.count(("escalated", "high")) == 1
    assert states[-1] == ("resolved", "high")
    rose = states.index(("escalated", "high"))
    assert {urgency for _, urgency in states[rose:]} == {"high"}


def test_only_production_pages() -> None:
    records = run(traffic(30, failing=(10, 20), environment="staging"))
    assert {record["urgency"] for record in episodes(records)} == {"low"}
    assert {record["severity"] for record in episodes(records)} == {"critical"}


def test_an_episode_over_a_day_old_on_arrival_is_recorded_and_muted_by_default() -> None:
    old = run(traffic(30, failing=(10, 20)), now=48)
    assert {record["muted"] for record in episodes(old)} == {"over 24 h old on arrival"}
    assert {
        record["muted"]
        for record in episodes(run(traffic(30, failing=(10, 20)), config(page_old_events=True), now=48))
    } == {""}
    assert {record["muted"] for record in episodes(run(traffic(30, failing=(10, 20)), now=1))} == {""}


def test_an_edited_or_removed_rule_resolves_its_incident_with_that_reason() -> None:
    rule = {"name": "e", "on": "error_rate", "above": 0.1}
    before = Watch(config(rules=[rule], default_rules=False))
    fired = alerts(
        before.apply(
            [FileRecord(value, offset) for offset, value in enumerate(traffic(30, failing=(10, 30)))]
        )
    )
    assert transitions(fired, "e") == [("firing", "09:11")]
    state = before.changed()
    for rules in ([], [rule | {"above": 0.2}], [rule | {"name": "renamed"}]):
        after = Watch(config(rules=rules, default_rules=False))
        after.restore(state)
        out = alerts(after.advance(int((NINE + timedelta(minutes=31)).timestamp() * 1e6)))
        resolved = [
            record
            for record in out
            if record["record"] == "transition" and record["rule"] == "e" and record["level"] == "feature"
        ]
        assert [(record["state"], record["reason"]) for record in resolved[:1]] == [
            ("resolved", "rule_changed")
        ]
        whole = next(
            record for record in fired if record["record"] == "transition" and record["level"] == "feature"
        )
        assert resolved[0]["incident_id"] == whole["incident_id"]


def test_an_incident_of_a_vanished_segment_resolves_while_its_feature_is_active() -> None:
    old = traffic(20, failing=(10, 20), model="old")
    new = traffic(40, start=1200, model="new")
    records = run(
        old + new,
        config(
            rules=[{"name": "e", "on": "error_rate", "above": 0.1, "level": "segment"}], default_rules=False
        ),
    )
    segment_gone = [
        record for record in records if record["record"] == "transition" and record["state"] == "resolved"
    ]
    assert [(record["model"], record["reason"]) for record in segment_gone] == [("old", "segment_gone")]


# ---- silence
# -----------------------------------------------------------------------------------------------------------


def other(minutes: float, start: float = 0, a_minute: float = 6) -> list[bytes]:
    return [
        event(start + nth * 60 / a_minute, service="other", feature="alive")
        for nth in range(round(minutes * a_minute))
    ]


def in_order(*logs: list[bytes]) -> list[bytes]:
    return sorted((value for log in logs for value in log), key=lambda value: json.loads(value)["time"])


def test_no_data_of_a_busy_feature_pages_within_its_window_and_resolves_when_traffic_returns() -> None:
    values = in_order(traffic(60, a_minute=100), other(120), traffic(40, a_minute=100, start=80 * MINUTE))
    records = [
        record for record in run(values) if record.get("rule") == "no-data" or record["record"] == "episode"
    ]
    assert transitions(records, "no-data") == [("firing", "10:05"), ("resolved", "10:20")]
    assert episodes(records)[0]["urgency"] == "high"


@pytest.mark.long_form
def test_a_feature_that_was_switched_off_pages_once_and_is_dropped_after_a_day() -> None:
    records = run(in_order(traffic(60, a_minute=100), other(50 * 60, a_minute=0.5)), NO_DATA_ONLY)
    silent = [
        record for record in records if record.get("rule") == "no-data" and record["feature"] == "answer"
    ]
    assert [record["state"] for record in silent] == ["firing", "resolved"]
    assert silent[1]["reason"].startswith("became_normal")
    assert silent[1]["time"] == "2026-03-03T10:00:00Z"


def test_no_data_is_detected_by_the_clock_alone() -> None:
    records = run(traffic(60, a_minute=100), until=66 * MINUTE)
    assert transitions(records, "no-data") == [("firing", "10:05")]


@pytest.mark.long_form
@pytest.mark.parametrize(("hours", "days"), [(12.0, (3, 6)), (11.5, (2, 4))])
def test_a_service_that_is_idle_every_night_causes_no_no_data_page(
    hours: float, days: tuple[int, int]
) -> None:
    """It stops at the full hour, or at half past."""
    number = by_profile(*days)
    busy = [
        value for day in range(number) for value in traffic(hours * 60, a_minute=1, start=day * 24 * HOUR)
    ]
    alive = [event(nth * 600.0, service="other", feature="alive") for nth in range(number * 144)]
    fired = [
        record["time"][:10]
        for record in run(in_order(busy, alive), NO_DATA_ONLY)
        if record.get("rule") == "no-data" and record["state"] == "firing"
    ]
    assert fired == ["2026-03-02"]  # on its very first evening nobody could know


def test_a_feature_whose_producer_reports_zero_calls_is_idle() -> None:
    meters = [
        event(
            60 * MINUTE + nth * 10,
            kind="meter",
            producer_id="p",
            started_at="2026-03-02T08:00:00Z",
            seen=6000,
            sampled=6000,
            sent=6000,
            dropped=0,
        )
        for nth in range(200)
    ]
    values = in_order(traffic(60, a_minute=100), meters)
    assert transitions(run(values), "no-data") == []


@pytest.mark.long_form
def test_low_traffic_causes_no_no_data_page_within_minutes() -> None:
    days = by_profile(3, 7)
    values = [event(nth * 1200.0) for nth in range(72 * days)]
    values += [event(72 * days * 1200.0 + 30 * HOUR + nth * 1200.0) for nth in range(3)]
    fired = transitions(run(values, NO_DATA_ONLY), "no-data")
    assert [state for state, _ in fired] in ([], ["firing", "resolved"])
    # after six hours of silence at the earliest
    assert all(int(time[:2]) >= 15 or state == "resolved" for state, time in fired)


# ---- the state machine as a whole
# ---------------------------------------------------------------------------------------


@settings(max_examples=examples(1 / 4))
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.floats(0, 1), st.sampled_from(["a", "b"])), min_size=3, max_size=25
    ),
    st.integers(0, 3),
)
def test_at_most_one_open_incident_per_rule_and_segment_and_at_most_one_resolve_per_trigger(
    plan: list[Any], seed: int
) -> None:
    rng = random.Random(seed)
    values, second = [], 0.0
    for gap, share, model in plan:
        for _ in range(60):
            second += rng.uniform(0.1, 2)
            values.append(event(second, model=model, error_type="timeout" if rng.random() < share else None))
        second += gap * 60
    rules = [
        {
            "name": "e",
            "on": "error_rate",
            "above": 0.3,
            "window": "1m",
            "min_events": 10,
            "confidence": 0.9,
            "keep_firing_for": "1m",
        }
    ]
    open_incidents: dict[Any, str] = {}
    open_episode: str | None = None
    changes: set[tuple[str, str, str | None]] = set()
    for record in run(values, config(rules=rules)):
        if record["record"] == "transition":
            # a warning that goes on as a ticket fires in another episode
            change = record["incident_id"], record["state"], record["episode_id"]
            assert change not in changes
            changes.add(change)
            incident_key = record["rule"], record["level"], record["model"]
            if record["state"] == "firing":
                assert open_incidents.get(incident_key) in (None, record["incident_id"])
                open_incidents[incident_key] = record["incident_id"]
            elif record["state"] == "resolved":
                open_incidents.pop(incident_key, None)
        elif record["record"] == "change":
            continue
        elif record["state"] == "opened":
            assert open_episode is None
            open_episode = record["episode_id"]
        else:
            assert record["episode_id"] == open_episode
            if record["state"] == "resolved":
                assert all(incident["state"] == "resolved" for incident in record["incidents"])
                open_episode = None
    assert (open_episode is None) == (not open_incidents)
