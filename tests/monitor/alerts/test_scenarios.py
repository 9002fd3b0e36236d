"""From events to PagerDuty: a worker and a notifier in simulated time, with the defaults unless a test states
otherwise.
"""

from __future__ import annotations

import random

import pytest

from tests.tiers import by_profile

MINUTE, HOUR, DAY = 60, 3600, 86_400
REFUSAL = "I'm sorry, but I can't help with that."
ANSWERS = (
    "It ships on Tuesday.",
    "Yes, you can send it back within thirty days.",
    "The blue one is in stock again.",
)
ALONE = {"default_rules": False, "no_data": {"severity": None}}
ERRORS = {"name": "e", "on": "error_rate", "above": 0.2}


@pytest.fixture
def calls(call):
    """Evenly spaced calls between two minutes; ``failing`` gives the share of errors in each minute."""

    def make(start, end, a_minute, failing=lambda minute: 0.0, **more):
        rng = random.Random(start)
        minutes = [start + nth / a_minute for nth in range(round((end - start) * a_minute))]
        return [
            call(minute * 60, error_type="timeout" if rng.random() < failing(minute) else None, **more)
            for minute in minutes
        ]

    return make


def between(begin, end, share=1.0, usual=0.0):
    return lambda minute: share if begin <= minute < end else usual


def in_order(*logs):
    return sorted((call for log in logs for call in log), key=lambda call: call[0])


def test_one_fault_that_breaches_four_rules_in_twelve_segments_is_one_page(make_world, call):
    rng, fault, events = random.Random(3), (60, 80), []
    for nth in range(120 * 120):
        minute = nth / 120
        bad = fault[0] <= minute < fault[1]
        events.append(
            call(
                minute * 60,
                model=f"m{nth % 4}",
                prompt_version=f"v{nth // 4 % 3}",
                duration_s=round(rng.lognormvariate(1.6 if bad else -0.5, 0.5), 3),
                output=REFUSAL if bad and rng.random() < 0.6 else rng.choice(ANSWERS),
            )
        )
    world = make_world(
        {"rules": [{"name": "slow", "on": "duration_s.p90", "above": 3, "severity": "warning"}]}
    )
    world.run(events, 120 * MINUTE)
    fired = {
        (record["rule"], record["model"], record["prompt_version"])
        for record in world.records
        if (record["record"], record.get("level"), record["state"]) == ("transition", "segment", "firing")
    }
    assert {rule for rule, *_ in fired} >= {"pass-rate-fell", "failures-rose", "slow", "drift"}
    assert len({segment for _, *segment in map(list, fired) for segment in [tuple(segment)]}) == 12
    (page,) = world.times_of("page")
    assert 60 * MINUTE < page < 65 * MINUTE
    # what is noticed first may be drift, which is a ticket until it is known to be worse
    assert len(world.times_of("ticket")) <= 1
    assert len(world.pagerduty.openings) == 1 + len(world.times_of("ticket"))
    assert world.pagerduty.open == {}
    assert all(count == 1 for count in world.pagerduty.ended.values())


UP_AND_DOWN = [
    ({}, "error-rate"),
    (
        ALONE
        | {"rules": [{"name": "e", "on": "error_rate", "above": 0.02, "for": "1m", "severity": "critical"}]},
        "e",
    ),
]


@pytest.mark.parametrize(("settings", "rule"), UP_AND_DOWN)
def test_a_rate_around_its_threshold_for_hours_pages_at_most_twice_and_ends_after_a_quiet_hour(
    make_world, calls, settings, rule
):
    world = make_world(settings)
    world.run(
        calls(0, 400, 60, lambda minute: 0.12 if 130 <= minute < 250 and minute % 15 < 6 else 0.004),
        400 * MINUTE,
    )
    assert 1 <= len(world.times_of("page")) <= 2  # that it goes up and down is known when it has come back
    assert 1 <= [state for state, _ in world.transitions(rule)].count("firing") <= 2
    assert world.pagerduty.open == {}
    assert max(second for state, second in world.transitions(rule) if state == "resolved") >= 300 * MINUTE


def test_a_fault_that_returns_within_an_hour_ends_after_a_quiet_hour_and_a_later_fault_ends_as_usual(
    make_world, calls
):
    world = make_world(ALONE | {"rules": [ERRORS]})
    world.run(
        calls(0, 330, 30, lambda minute: float(any(begin <= minute < begin + 10 for begin in (20, 50, 220)))),
        330 * MINUTE,
    )
    firing, resolved = (
        [second / 60 for state, second in world.transitions("e") if state == wanted]
        for wanted in ("firing", "resolved")
    )
    lasted = [round(end - begin) for begin, end in zip(firing, resolved, strict=True)]
    assert lasted[0] == lasted[2] < 20
    assert lasted[1] == lasted[0] + 60 - 2
    assert len(world.times_of("page")) == 3


def test_an_incident_that_was_only_pending_before_it_fired_ends_as_usual(make_world, calls):
    """A fault that starts with a single minute is no relapse."""
    world = make_world(ALONE | {"rules": [ERRORS | {"window": "1m", "for": "2m", "min_events": 20}]})
    world.run(calls(0, 60, 30, lambda minute: float(10 <= minute < 11 or 15 <= minute < 25)), 60 * MINUTE)
    states = world.transitions("e")
    assert [state for state, _ in states] == ["pending", "resolved", "pending", "firing", "resolved"]
    assert states[-1][1] <= 30 * MINUTE


@pytest.mark.long_form
def test_three_events_an_hour_with_a_daily_failure_do_not_page(make_world, call):
    world = make_world()
    days = by_profile(2, 3)
    world.run(
        [call(nth * 1200.0, error_type="timeout" if nth % 72 == 40 else None) for nth in range(days * 72)],
        days * DAY,
    )
    assert world.pagerduty.received == []


@pytest.mark.parametrize("beside", [True, False])
def test_a_busy_feature_without_data_pages_within_its_window_in_any_partition(make_world, calls, beside):
    world = make_world()
    other = calls(0, 90, 6, feature="beside") if beside else []
    world.run(in_order(calls(0, 60, 100), calls(80, 90, 100), other), 90 * MINUTE)
    assert world.times_of("page") == [65.5 * MINUTE]  # five minutes of the window, and the lateness
    assert world.pagerduty.open == {}
    # at the edge at which the first call is there
    assert world.transitions("no-data") == [("firing", 65 * MINUTE), ("resolved", 80 * MINUTE)]


def test_a_service_idle_for_seven_nights_does_not_page_at_night_and_pages_by_day(make_world, calls):
    """The service is alone in its partition: at night no record arrives, and time advances by the clock.
    Calls from 9 to 19 h, on the ninth day until 13 h.
    """
    world = make_world({"default_rules": False})
    days = [calls(day * 1440, day * 1440 + (600 if day < 8 else 240), 0.5) for day in range(9)]
    world.run([call for day in days for call in day], 8 * DAY + 10 * HOUR)
    after_a_week = [second for second in world.times_of("page") if second > 7 * DAY]
    assert [second for second in after_a_week if second < 8 * DAY] == []
    assert len(after_a_week) == 1
    assert 8 * DAY + 4 * HOUR < after_a_week[0] < 8 * DAY + 5 * HOUR + 30 * MINUTE
    # only on its first evening nobody could know
    assert [second for second in world.times_of("page") if DAY < second < 8 * DAY] == []


@pytest.fixture
def after_three_hours(make_world, calls):
    """A worker and its notifier that were down from the first hour to the fourth, with an outage from minute
    100 until the given one.
    """

    def make(until, bundle):
        log = calls(0, 300, 30, between(100, until))
        world = make_world()
        world.run([call for call in log if call[0] < HOUR], HOUR)
        world.restart()
        world.second = 4.0 * HOUR
        missed = [call for call in log if HOUR <= call[0] < 4 * HOUR]
        for start in range(0, len(missed), bundle):  # and after each the notifier has its turn
            world.read(missed[start : start + bundle])
        world.run([call for call in log if call[0] >= 4 * HOUR], 5 * HOUR)
        return world

    return make


@pytest.mark.long_form
@pytest.mark.parametrize("bundle", by_profile([300, 100_000], [300, 1000, 100_000]))
def test_an_outage_within_worker_downtime_is_one_note_and_no_page(after_three_hours, bundle):
    world = after_three_hours(130, bundle)
    assert [(second, kind) for second, kind, _ in world.pagerduty.received] == [(4 * HOUR, "note")]
    assert {key.rsplit("/", 1)[1] for key in world.pagerduty.open} == {"missed"}
    assert world.transitions("error-rate")[-1][0] == "resolved"


@pytest.mark.parametrize("bundle", [300, 100_000])
def test_an_outage_that_outlasts_worker_downtime_pages_soon_after_it(after_three_hours, bundle):
    world = after_three_hours(260, bundle)
    assert [(second, kind) for second, kind, _ in world.pagerduty.received] == [
        (4 * HOUR + 5 * MINUTE, "page")
    ]
    assert world.pagerduty.open == {}  # it ended in the fifth hour
    assert list(world.pagerduty.ended.values()) == [1]


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({"above": 0.3}, True),
        ({"above": 0.9, "confidence": 0.99}, False),
        ({"name": "renamed"}, True),
        (None, False),
        ({"match": "others/*"}, False),
        ({"severity": "warning"}, True),
        ({"for": "2m"}, True),
    ],
)
def test_an_edited_renamed_or_removed_firing_rule_leaves_open_only_the_findings_of_its_successor(
    make_world, calls, change, still
):
    world = make_world(ALONE | {"rules": [ERRORS]})
    log = calls(0, 60, 60, between(10, 40, 0.6))
    world.run([call for call in log if call[0] < 20 * MINUTE], 20 * MINUTE)
    (first,) = world.pagerduty.open
    world.restart(rules=[] if change is None else [ERRORS | change])
    world.run([call for call in log if 20 * MINUTE <= call[0] < 30 * MINUTE], 30 * MINUTE)
    over = [
        record
        for record in world.records
        if record["record"] == "transition" and record["state"] == "resolved"
    ]
    assert {(record["rule"], record["level"], record["reason"]) for record in over} == {
        ("e", "feature", "rule_changed"),
        ("e", "segment", "rule_changed"),
    }
    assert len(world.pagerduty.open) == still
    new = [
        record
        for record in world.records
        if record["record"] == "transition"
        and record["state"] == "firing"
        and record["time"] > over[0]["time"][:16]
    ]
    assert bool(new) is still
    assert {record["incident_id"] for record in new}.isdisjoint(record["incident_id"] for record in over)
    world.run([call for call in log if call[0] >= 30 * MINUTE], 130 * MINUTE)
    assert world.pagerduty.open == {}
    assert world.pagerduty.ended[first] == 1


@pytest.mark.parametrize("until", [20, 30])
def test_an_incident_whose_episode_was_dropped_is_sent_again_only_if_it_still_fires(make_world, calls, until):
    world = make_world(
        ALONE | {"rules": [ERRORS | {"window": "1m", "keep_firing_for": 0, "level": "feature"}]}
    )
    log = calls(0, 60, 60, between(10, until))
    # the edge of minute 21 is not closed yet
    world.run([call for call in log if call[0] < 21 * MINUTE], 21 * MINUTE)
    world.drop(next(key for key in world.keep() if key.startswith(b'["episode"')))
    world.second += MINUTE
    world.pass_time()
    world.run([call for call in log if call[0] >= 21 * MINUTE], 60 * MINUTE)
    anew = [
        record["state"]
        for record in world.records
        if record["record"] == "episode" and record["time"] > "2026-03-02T09:20:59"
    ][1:]
    assert anew == (["opened", "resolved"] if until == 30 else [])
    assert len(world.times_of("page")) == 1 + (until == 30)
    assert world.pagerduty.open == {}


def test_episodes_of_a_failing_feature_that_was_switched_off_end_once_after_a_day(make_world, calls):
    world = make_world({"default_rules": False, "rules": [ERRORS | {"level": "feature"}]})
    world.run(calls(0, 3 * 1440, 0.25, between(3 * 1440 - 1600, 3 * 1440)), 4 * DAY + 10 * MINUTE)
    silent = world.transitions("no-data")
    assert [state for state, _ in silent] == ["firing", "resolved"]
    assert silent[1][1] == 4 * DAY - 3 * MINUTE  # a day after the edge of its last call
    assert world.transitions("e")[1:] == [("resolved", silent[1][1])]
    assert world.pagerduty.open == {}
    assert len(world.times_of("page")) == 1
