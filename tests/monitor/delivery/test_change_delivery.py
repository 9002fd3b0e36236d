"""Deliveries of changes: each is sent once, none is kept for ever, and none is sent before a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.delivery import change_dispatcher
from monitor.delivery.outbox import Outbox
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.records import Change
from tests.tiers import examples

KEY = "0123456789abcdef0123456789abcdef"
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US


def config(**more):
    return Config.model_validate({"channels": {"pagerduty": {"routing_key": KEY}}} | more)


def change(name="v8", minute=0.0, **more):
    time = NINE + timedelta(minutes=minute)
    fields = {
        "record": "change",
        "change_id": f"id-{name}",
        "service": "bot",
        "feature": "answer",
        "environment": "production",
        "kind": "prompt version",
        "name": name,
        "before": "v7",
        "time": time,
        "decided_at": time,
    }
    return Change(**(fields | more))


@pytest.fixture
def outbox():
    return Outbox(config())


def names(outbox, now_us, channel="pagerduty", most=10):
    """Send the due changes one after the other; return their names."""
    sent = []
    while len(sent) < most and (step := outbox.change_due(channel, now_us)) is not None:
        sent.append(step.change.name)
        outbox.delivered(step, now_us)
    return sent


def test_each_change_is_sent_once_in_order_of_arrival(outbox, nine_us):
    for name in ("b", "a", "b"):
        outbox.take(change(name), 7, nine_us)
    assert names(outbox, nine_us) == ["b", "a"]
    outbox.take(change("a"), 9, nine_us)
    assert names(outbox, nine_us + 60 * MINUTE_US) == []


def test_a_delivered_change_is_remembered_for_a_day_across_a_restart(outbox, nine_us):
    outbox.take(change(), 7, nine_us)
    assert names(outbox, nine_us) == ["v8"]
    again = Outbox(config())
    again.restore(outbox.changed())
    again.take(change(), 7, nine_us + DAY_US - 1)
    assert names(again, nine_us + DAY_US - 1) == []
    assert again.change_due("pagerduty", nine_us + DAY_US) is None
    assert again.changed() == [(b"change/pagerduty/id-v8", None)]


def test_a_delivered_change_is_remembered_for_a_day_from_its_delivery(outbox, nine_us):
    late_us = nine_us + DAY_US - MINUTE_US
    outbox.take(change(), 7, nine_us)
    assert names(outbox, late_us) == ["v8"]
    outbox.change_due("pagerduty", nine_us + DAY_US)
    outbox.take(
        change(minute=23 * 60), 7, nine_us + DAY_US
    )  # the same again, found later: the state was reset
    assert outbox.change_due("pagerduty", nine_us + DAY_US) is None


def test_an_undelivered_change_is_dropped_after_a_day(outbox, nine_us):
    outbox.take(change(), 7, nine_us)
    assert outbox.change_due("pagerduty", nine_us + DAY_US - 1)
    assert outbox.change_due("pagerduty", nine_us + DAY_US) is None
    outbox.take(change("old"), 8, nine_us + DAY_US)
    assert outbox.change_due("pagerduty", nine_us + DAY_US) is None
    assert dict(outbox.changed()) == {b"change/pagerduty/id-v8": None}


def test_a_record_with_a_future_time_is_not_kept_longer(outbox, nine_us):
    outbox.take(change(minute=10**6), 7, nine_us)
    assert outbox.change_due("pagerduty", nine_us + DAY_US) is None


def test_changes_are_sent_only_from_paging_environments_to_channels_on_a_route(nine_us):
    routes = [
        {"match": "bot/secret", "to": []},
        {"match": "bot/*", "severity": ["critical"], "to": ["pagerduty"]},
        {"match": "*", "to": ["console"]},
    ]
    outbox = Outbox(config(routes=routes, channels={"pagerduty": {"routing_key": KEY}, "console": {}}))
    outbox.take(change("a"), 1, nine_us)
    outbox.take(change("b", environment="staging"), 2, nine_us)
    outbox.take(change("c", feature="secret"), 3, nine_us)
    outbox.take(change("d", service="other"), 4, nine_us)
    assert names(outbox, nine_us) == ["a"]
    assert outbox.change_due("console", nine_us) is None


def test_failures_double_the_backoff_up_to_five_minutes_and_a_success_resets_it(outbox, nine_us):
    outbox.take(change("a"), 1, nine_us)
    now_us, waits = nine_us, []
    for _ in range(11):
        waits.append(outbox.failed(outbox.change_due("pagerduty", now_us), now_us, 0.0))
        assert outbox.change_due("pagerduty", now_us + round(waits[-1] * 1e6) - 1) is None
        now_us += round(waits[-1] * 1e6)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    outbox.delivered(outbox.change_due("pagerduty", now_us), now_us)
    outbox.take(change("b"), 2, now_us)
    assert outbox.failed(outbox.change_due("pagerduty", now_us), now_us, 0.5, after_s=0.2) == 0.75
    assert (
        outbox.failed(
            outbox.change_due("pagerduty", now_us + MINUTE_US), now_us + MINUTE_US, 0.0, after_s=99.0
        )
        == 99.0
    )


def test_a_change_that_the_receiver_cannot_accept_delays_no_other(outbox, nine_us):
    for name in ("bad", "a", "b"):
        outbox.take(change(name), 1, nine_us)
    outbox.failed(outbox.change_due("pagerduty", nine_us), nine_us, 0.0)
    later_us = nine_us + MINUTE_US
    assert names(outbox, later_us, most=2) == ["a", "b"]
    assert outbox.change_due("pagerduty", later_us).change.name == "bad"


def test_a_refused_change_becomes_a_dead_letter_and_is_not_sent_again(outbox, nine_us):
    outbox.take(change("a"), 41, nine_us)
    outputs = outbox.refused(outbox.change_due("pagerduty", nine_us), "404: no such page", nine_us)
    (letter,) = [json.loads(message.value) for message in outputs.messages["deadletter"]]
    assert (letter["topic"], letter["offset"]) == ("softfail.alerts", 41)
    assert "404: no such page" in letter["error"]
    assert "channels.pagerduty.change_events" in letter["error"]
    assert outbox.change_due("pagerduty", nine_us + 60 * MINUTE_US) is None


def test_the_number_of_changes_is_limited_and_the_oldest_is_dropped_first(outbox, nine_us, monkeypatch):
    monkeypatch.setattr(change_dispatcher, "MOST", 3)
    for number in range(5):
        outbox.take(change(f"v{number}"), number, nine_us)
    assert names(outbox, nine_us) == ["v2", "v3", "v4"]


@settings(max_examples=examples(2))
@given(st.lists(st.tuples(st.sampled_from("tdfrw"), st.integers(0, 5)), max_size=60), st.integers(0, 60))
def test_a_restart_at_any_step_sends_each_change_once_and_loses_none(steps, restart_at):
    now_us = round(NINE.timestamp() * 1e6)
    outbox, log, published, sent = Outbox(config()), {}, set(), []
    for number, (action, which) in enumerate([*steps, *[("w", 5), ("d", 0)] * 20]):
        if action == "t":
            outbox.take(change(f"v{which}"), number, now_us)
            published.add(f"v{which}")
        elif action == "w":
            now_us += which * MINUTE_US
        elif (step := outbox.change_due("pagerduty", now_us)) is not None:
            if action == "f":
                outbox.failed(step, now_us, 0.0)
            elif action == "r":
                outbox.refused(step, "no", now_us)
                sent.append(step.change.name)
            else:
                outbox.delivered(step, now_us)
                sent.append(step.change.name)
        log.update(outbox.changed())
        if number == restart_at:
            outbox = Outbox(config())
            outbox.restore(log.items())
    assert sorted(sent) == sorted(published)


def test_a_change_waits_for_all_episodes_of_its_channel_and_for_a_requested_pause(episode_of, nine_us):
    notifier = Notifier(config())

    def put(*records):
        return notifier.apply(
            [FileRecord(record.model_dump_json().encode(), 3) for record in records], nine_us
        )

    put(change(), episode_of("a"))
    assert notifier.change_due("pagerduty", nine_us) is None
    step = notifier.outbox.due("pagerduty", nine_us)
    notifier.outbox.failed(step, nine_us, 0.0, 30.0, hold=True)
    assert notifier.change_due("pagerduty", nine_us + MINUTE_US // 3) is None
    notifier.outbox.delivered(notifier.outbox.due("pagerduty", nine_us + MINUTE_US), nine_us + MINUTE_US)
    assert notifier.change_due("pagerduty", nine_us + MINUTE_US).change == change()
    for _ in range(3):
        put(episode_of("b"))
        notifier.outbox.failed(step, nine_us + MINUTE_US, 0.0)
    assert notifier.change_due("pagerduty", nine_us + MINUTE_US) is None


def test_a_failed_change_delays_no_page(episode_of, nine_us):
    notifier = Notifier(config())
    notifier.apply([FileRecord(change().model_dump_json().encode(), 3)], nine_us)
    assert notifier.outbox.failed(notifier.change_due("pagerduty", nine_us), nine_us, 0.0, 600.0) == 600.0
    assert notifier.change_due("pagerduty", nine_us + MINUTE_US) is None
    notifier.apply([FileRecord(episode_of("a").model_dump_json().encode(), 4)], nine_us)
    assert notifier.outbox.due("pagerduty", nine_us).episode_id == "a"


@pytest.mark.parametrize("settings", [{"change_events": False}, {"url": "https://proxy.example/pagerduty"}])
def test_a_channel_without_change_support_gets_no_changes(settings, nine_us):
    notifier = Notifier(config(channels={"pagerduty": {"routing_key": KEY} | settings, "console": {}}))
    notifier.apply([FileRecord(change().model_dump_json().encode(), 3)], nine_us)
    assert notifier.changed() == []


def test_an_unreadable_change_is_a_dead_letter_and_unknown_fields_are_ignored(nine_us):
    notifier = Notifier(config())
    good = change().model_dump(mode="json")
    outputs = notifier.apply(
        [
            FileRecord(json.dumps(fields).encode(), 3)
            for fields in (good | {"time": "soon"}, good | {"since_version": 9})
        ],
        nine_us,
    )
    (letter,) = [json.loads(message.value) for message in outputs.messages["deadletter"]]
    assert letter["field"] == "time"
    assert notifier.change_due("pagerduty", nine_us).change == change()


def test_a_restored_notifier_sends_the_remaining_changes(nine_us):
    notifier, again = Notifier(config()), Notifier(config())
    notifier.apply([FileRecord(change().model_dump_json().encode(), 3)], nine_us)
    again.restore(notifier.changed())
    assert again.change_due("pagerduty", nine_us) == notifier.change_due("pagerduty", nine_us)
    assert again.changed() == []


def test_an_unreadable_state_record_is_named_in_the_error():
    with pytest.raises(ValueError, match="change/pagerduty/x"):
        Notifier(config()).restore([(b"change/pagerduty/x", b"{}")])
