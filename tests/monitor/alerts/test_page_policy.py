"""A page resolves when all its paging incidents have resolved, so that the next outage pages; warnings
continue as a ticket.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from monitor.reports.episode_history import AlertHistory, by_rule

HOUR = 3600
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def traffic(call, until, *, fails=(), longer_from=None, a_minute=30):
    """Calls of a feature: ``fails`` are spans of seconds in which most fail; from ``longer_from`` on answers
    take three times the tokens.
    """
    draw = random.Random(5)
    calls = []
    for nth in range(round(until / 60 * a_minute)):
        second = nth * 60 / a_minute
        tokens = draw.lognormvariate(5.3, 0.5) * (
            3 if longer_from is not None and second >= longer_from else 1
        )
        failed = any(begin <= second < end for begin, end in fails) and nth % 10 < 7
        calls.append(
            call(
                second,
                event_id=f"e{nth}",
                output_tokens=round(tokens),
                error_type="timeout" if failed else None,
            )
        )
    return calls


@pytest.fixture(scope="module")
def one_outage(call):
    """Four hours of calls with ten minutes of failures; from then on answers are longer."""
    return traffic(call, 4 * HOUR, fails=((2 * HOUR, 2 * HOUR + 600),), longer_from=2 * HOUR)


@pytest.fixture(scope="module")
def undisturbed(make_world, one_outage):
    """The deployment after these calls, without a restart. Tests only read it."""
    world = make_world()
    world.run(one_outage, 4 * HOUR + 30)
    return world


def keys(world, kind):
    return [
        (round(second / 60), key) for second, kind_sent, key in world.pagerduty.received if kind_sent == kind
    ]


def test_a_second_outage_pages_again_while_a_warning_of_the_first_still_fires(make_world, call):
    world = make_world()
    first, second = (2 * HOUR, 2 * HOUR + 900), (5 * HOUR, 5 * HOUR + 900)
    calls = traffic(call, 6 * HOUR, fails=(first, second), longer_from=first[0])
    world.run(calls, 6 * HOUR + 30)
    pages = keys(world, "page")
    assert [
        first[0] / 60 < minute < first[1] / 60 or second[0] / 60 < minute < second[1] / 60
        for minute, _ in pages
    ] == [True, True], pages
    assert len({key for _, key in pages}) == 2


def test_a_page_resolves_an_hour_after_its_paging_incidents_and_a_firing_warning_becomes_a_ticket(
    make_world, call
):
    world = make_world()
    begin, end = 2 * HOUR, 2 * HOUR + 900
    world.run(traffic(call, 6 * HOUR, fails=((begin, end),), longer_from=begin), 6 * HOUR + 30)
    ((_, page),) = keys(world, "page")
    assert page not in world.pagerduty.open
    episodes = [record for record in world.records if record["record"] == "episode"]
    over = next(episode for episode in episodes if episode["state"] == "resolved")
    assert over["firing"] == 0
    assert all(incident["state"] == "resolved" for incident in over["incidents"])
    opened = [episode for episode in episodes if episode["state"] == "opened"][1]
    assert (opened["urgency"], opened["time"]) == ("low", over["time"])
    assert list(world.pagerduty.open) == [f"softfail/{opened['episode_id']}/low"]
    assert {incident["rule"] for incident in opened["incidents"]} == {"drift"}


def test_what_pages_again_within_15_minutes_of_its_end_rings_again_in_the_same_episode(make_world, call):
    world = make_world()
    world.run(
        traffic(
            call,
            4 * HOUR,
            fails=((2 * HOUR, 2 * HOUR + 600), (2 * HOUR + 1300, 2 * HOUR + 1900)),
            longer_from=2 * HOUR,
        ),
        4 * HOUR + 30,
    )
    first, again = (key for _, kind, key in world.pagerduty.received if kind == "page")
    assert again == f"{first}/2"


def test_a_restart_between_two_outages_changes_nothing(make_world, one_outage, undisturbed):
    cut = make_world()
    for until in (2 * HOUR + 300, 2 * HOUR + 1800, 3 * HOUR + 600, 4 * HOUR + 30):
        cut.run([call for call in one_outage if cut.second <= call[0] < until], until)
        cut.restart()
    assert json.dumps(cut.records) == json.dumps(undisturbed.records)


def test_a_failure_during_the_flapping_hold_is_sent(make_world, call):
    world = make_world()
    # each is over, and the next comes within the hour
    spells = [(minute * 60, minute * 60 + 360) for minute in (60, 85, 110)]
    calls = traffic(call, 5 * HOUR, fails=spells)
    world.run([call for call in calls if call[0] < spells[2][0]], spells[2][0])
    assert len(world.times_of("page")) == 2
    second_key = next(iter(world.pagerduty.open))  # the second, which came back
    del world.pagerduty.open[second_key]  # somebody closes it by hand
    world.run([call for call in calls if call[0] >= spells[2][0]], 5 * HOUR + 30)
    third = [second for second, kind_sent, _ in world.pagerduty.received if kind_sent == "page"][2:]
    assert [spells[2][0] < second < spells[2][1] for second in third] == [True]
    again = [
        incident
        for record in world.records
        if record["record"] == "episode"
        for incident in record["incidents"]
        if incident.get("returned")
    ]
    assert again[-1]["returned"].startswith("2026-03-02T10:5")
    states = [state for state, _ in world.transitions("error-rate")]
    # that it came back is no transition: it never ceased to fire
    assert states.count("firing") == states.count("resolved") == 2
    assert not any(key.endswith("/high") for key in world.pagerduty.open)


def test_a_report_counts_a_warning_that_moves_to_another_episode_once_from_its_start(undisturbed):
    history = AlertHistory()
    history.take(undisturbed.output_records)
    drift = next(row for row in by_rule(history, ["drift"], NINE + timedelta(hours=4)) if row.rule == "drift")
    assert (drift.fired, drift.pages, drift.tickets) == (1, 1, 1)
    assert drift.firing > timedelta(minutes=110)
