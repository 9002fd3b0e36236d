from __future__ import annotations

import json

import pytest

from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from tests.monitor.delivery.outbox_core import OutboxCore

MINUTE = 60_000_000
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def config():
    return Config.model_validate({"channels": {"pagerduty": {"routing_key": KEY}}})


@pytest.fixture
def both():
    return Config.model_validate(
        {
            "channels": {"pagerduty": {"routing_key": KEY}, "console": {}},
            "routes": [{"severity": ["critical", "error"], "to": ["pagerduty"]}, {"to": ["console"]}],
        }
    )


def put(outbox, *episodes, now_us=0):
    return outbox.apply(
        [FileRecord(episode.model_dump_json().encode(), offset) for offset, episode in enumerate(episodes)],
        now_us,
    )


def send_due(outbox, now_us, channel="pagerduty"):
    """Deliver every due step."""
    steps = []
    while (step := outbox.due(channel, now_us)) is not None:
        outbox.delivered(step, now_us)
        steps.append((step.action, step.dedup_key, step.reason))
    return steps


def measured(outbox):
    return {(measure.name, measure.labels): measure.value for measure in outbox.measures()}


def test_an_episode_is_triggered_when_it_opens_and_resolved_when_it_ends(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    assert send_due(outbox, nine_us) == [("trigger", "softfail/e1/high", "opened")]
    put(outbox, episode_of(state="resolved", minute=9))
    assert send_due(outbox, nine_us + 9 * MINUTE) == [("resolve", "softfail/e1/high", "resolved")]
    assert send_due(outbox, nine_us + 900 * MINUTE) == []


def test_escalation_opens_the_page_before_it_closes_the_ticket(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(urgency="low"))
    assert send_due(outbox, nine_us) == [("trigger", "softfail/e1/low", "opened")]
    put(outbox, episode_of(state="escalated", minute=2))
    assert send_due(outbox, nine_us) == [
        ("trigger", "softfail/e1/high", "escalated"),
        ("resolve", "softfail/e1/low", "is a page now"),
    ]
    put(outbox, episode_of(state="resolved", minute=9))
    assert send_due(outbox, nine_us) == [("resolve", "softfail/e1/high", "resolved")]


def test_a_ticket_stays_open_until_its_page_is_delivered(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(urgency="low"))
    send_due(outbox, nine_us)
    put(outbox, episode_of(state="escalated"))
    outbox.refused(outbox.due("pagerduty", nine_us), "400", nine_us)
    assert send_due(outbox, nine_us) == []


def test_urgency_never_decreases(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    put(outbox, episode_of(state="updated", urgency="low"), episode_of(state="resolved", urgency="low"))
    assert send_due(outbox, nine_us) == [
        ("resolve", "softfail/e1/high", "resolved"),
        ("resolve", "softfail/e1/low", "resolved"),
    ]


def test_an_undelivered_episode_that_ended_less_than_an_hour_ago_is_sent_in_order(
    config, episode_of, nine_us
):
    outbox = OutboxCore(config)
    put(outbox, episode_of(), episode_of(state="updated"), episode_of(state="resolved", minute=5))
    assert [action for action, *_ in send_due(outbox, nine_us + 64 * MINUTE)] == ["trigger", "resolve"]


def test_an_undelivered_episode_that_ended_over_an_hour_ago_becomes_one_note(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(), episode_of(state="resolved", minute=5))
    steps = send_due(outbox, nine_us + 66 * MINUTE)
    # an attempt may have got through
    assert steps == [
        ("resolve", "softfail/e1/high", "resolved"),
        ("note", "softfail/e1/missed", "missed while down"),
    ]


def test_an_undelivered_episode_that_ended_over_a_day_ago_is_not_sent_unless_configured(
    config, episode_of, nine_us
):
    for page_old, last in ((False, "resolve"), (True, "note")):
        outbox = OutboxCore(config.model_copy(update={"page_old_events": page_old}))
        put(outbox, episode_of(), episode_of(state="resolved", minute=5))
        assert send_due(outbox, nine_us + 1500 * MINUTE)[-1][0] == last


def test_a_firing_episode_pages_after_any_notifier_downtime(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(), episode_of(state="updated", minute=10))
    assert send_due(outbox, nine_us + 2000 * MINUTE) == [("trigger", "softfail/e1/high", "opened")]


def test_a_muted_episode_is_not_sent(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(
        outbox,
        episode_of(muted="maintenance"),
        episode_of(state="updated", muted="maintenance"),
        episode_of(state="resolved", muted="maintenance"),
    )
    assert send_due(outbox, nine_us) == []


def test_an_episode_muted_after_its_trigger_is_still_resolved(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    put(outbox, episode_of(state="updated", muted="silence", rules=("refusals", "slow")))
    assert send_due(outbox, nine_us + 400 * MINUTE) == []
    put(outbox, episode_of(state="resolved", muted="silence", minute=400))
    assert send_due(outbox, nine_us + 400 * MINUTE) == [("resolve", "softfail/e1/high", "resolved")]


def test_a_trigger_is_repeated_every_six_hours_while_the_episode_is_open(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    assert send_due(outbox, nine_us + 359 * MINUTE) == []
    assert send_due(outbox, nine_us + 360 * MINUTE) == [("trigger", "softfail/e1/high", "still firing")]
    assert send_due(outbox, nine_us + 719 * MINUTE) == []


def test_a_receiver_without_durable_state_gets_open_episodes_every_five_minutes(episode_of, nine_us):
    config = Config.model_validate(
        {"channels": {"alertmanager": {"url": "http://127.0.0.1:9093"}, "console": {}}}
    )
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    for channel in ("alertmanager", "console"):
        outbox.delivered(outbox.due(channel, nine_us), nine_us)
    again_us = nine_us + 5 * 60_000_000
    assert outbox.due("alertmanager", again_us - 1) is None
    step = outbox.due("alertmanager", again_us)
    assert (step.action, step.reason) == ("trigger", "still firing")
    assert outbox.due("console", again_us) is None
    outbox.refused(step, "400", again_us)
    assert outbox.due("alertmanager", again_us + 5 * 60_000_000 - 1) is None


def test_a_new_rule_is_added_to_an_open_episode_at_most_once_a_minute(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    put(outbox, episode_of(state="updated", rules=("refusals", "slow")))
    assert send_due(outbox, nine_us + MINUTE - 1) == []
    assert send_due(outbox, nine_us + MINUTE) == [("trigger", "softfail/e1/high", "updated")]
    assert send_due(outbox, nine_us + 15 * MINUTE) == []


def test_a_new_category_value_is_sent_although_its_rule_was_already_sent(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    before = episode_of(rules=("drift",))
    put(outbox, before)
    send_due(outbox, nine_us)
    evidence = before.incidents[0].evidence.model_copy(
        update={"metric": "response_model=m-0613", "test": "never_seen"}
    )
    after = episode_of(state="updated", rules=("drift",))
    put(
        outbox,
        after.model_copy(
            update={"incidents": [after.incidents[0].model_copy(update={"evidence": evidence})]}
        ),
    )
    assert send_due(outbox, nine_us + 5 * MINUTE) == [("trigger", "softfail/e1/high", "updated")]
    assert send_due(outbox, nine_us + 15 * MINUTE) == []


def test_an_open_episode_is_resolved_on_the_channel_that_was_triggered_after_routes_change(
    both, episode_of, nine_us
):
    before = OutboxCore(both)
    put(before, episode_of())
    assert send_due(before, nine_us)
    after = OutboxCore(both.model_copy(update={"routes": ()}))
    after.restore(before.changed())
    put(after, episode_of(state="resolved"), episode_of("e2"))
    assert send_due(after, nine_us) == [("resolve", "softfail/e1/high", "resolved")]


def test_a_channel_is_triggered_when_the_episode_reaches_its_minimum_severity(both, episode_of, nine_us):
    outbox = OutboxCore(both)
    put(outbox, episode_of(urgency="low"))
    assert (send_due(outbox, nine_us), len(send_due(outbox, nine_us, "console"))) == ([], 1)
    put(outbox, episode_of(state="escalated"), episode_of(state="resolved", minute=1))
    assert [action for action, *_ in send_due(outbox, nine_us)] == ["trigger", "resolve"]
    assert [key for action, key, _ in send_due(outbox, nine_us, "console") if action == "resolve"] == [
        "softfail/e1/high",
        "softfail/e1/low",
    ]


def test_pages_are_sent_before_tickets_and_otherwise_in_order_of_arrival(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(
        outbox,
        episode_of("a", urgency="low"),
        episode_of("b"),
        episode_of("c"),
        episode_of("d", urgency="low"),
    )
    assert [key for _, key, _ in send_due(outbox, nine_us)] == [
        "softfail/b/high",
        "softfail/c/high",
        "softfail/a/low",
        "softfail/d/low",
    ]


def test_a_failing_step_backs_off_exponentially_up_to_five_minutes_while_others_succeed(
    config, episode_of, nine_us
):
    outbox, now = OutboxCore(config), nine_us
    put(outbox, episode_of("a"))
    waits = []
    for nth in range(11):
        waits.append(outbox.failed(outbox.due("pagerduty", now), now, jitter=0.0))
        put(outbox, episode_of(f"other-{nth}"))
        assert [key for _, key, _ in send_due(outbox, now + round(waits[-1] * 1e6) - 1)] == [
            f"softfail/other-{nth}/high"
        ]
        now += round(waits[-1] * 1e6)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_failing_channel_is_probed_at_growing_intervals_of_at_most_a_minute(config, episode_of, nine_us):
    outbox, now = OutboxCore(config), nine_us
    put(outbox, episode_of("a"))
    waits = []
    for _ in range(9):
        waits.append(outbox.failed(outbox.due("pagerduty", now), now, jitter=0.0))
        assert outbox.due("pagerduty", now + round(waits[-1] * 1e6) - 1) is None
        now += round(waits[-1] * 1e6)
    assert waits == [1, 2, 5, 10, 20, 40, 60, 60, 60]


def test_a_new_page_is_tried_within_five_seconds_at_an_open_breaker_and_a_ticket_waits_for_the_probe(
    config, episode_of, nine_us
):
    outbox, now = OutboxCore(config), nine_us
    put(outbox, episode_of("a"))
    for _ in range(7):
        now += round(outbox.failed(outbox.due("pagerduty", now), now, jitter=0.0) * 1e6)
    outbox.failed(outbox.due("pagerduty", now), now, jitter=0.0)
    put(outbox, episode_of("ticket", urgency="low"), episode_of("page"))
    assert outbox.due("pagerduty", now + 4_999_999) is None
    assert outbox.due("pagerduty", now + 5_000_000).episode_id == "page"
    outbox.failed(outbox.due("pagerduty", now + 5_000_000), now + 5_000_000, jitter=0.0)
    assert outbox.due("pagerduty", now + 64_000_000) is None
    assert outbox.due("pagerduty", now + 65_000_000).episode_id == "ticket"


def test_a_step_that_the_receiver_cannot_accept_delays_others_by_at_most_one_probe(
    config, episode_of, nine_us
):
    outbox, now, got = OutboxCore(config), nine_us, []
    put(outbox, episode_of("poison"))
    for second in range(600):
        now = nine_us + second * 1_000_000
        if second % 100 == 50:
            put(outbox, episode_of(f"ticket-{second}", urgency="low"))
        while (step := outbox.due("pagerduty", now)) is not None:
            if step.episode_id == "poison":
                outbox.failed(step, now, jitter=0.0)
            else:
                outbox.delivered(step, now)
                got.append((step.episode_id, second))
    assert [name for name, _ in got] == [f"ticket-{second}" for second in range(50, 600, 100)]
    assert all(time - int(name.removeprefix("ticket-")) <= 60 for name, time in got)


def test_two_hundred_waiting_episodes_do_not_flood_an_unavailable_receiver(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, *(episode_of(f"e{number}", urgency="low") for number in range(200)))
    tries = 0
    for second in range(3600):
        while (step := outbox.due("pagerduty", nine_us + second * 1_000_000)) is not None:
            outbox.failed(step, nine_us + second * 1_000_000, jitter=0.5)
            tries += 1
    assert 60 <= tries <= 90
    assert measured(outbox)["softfail_channel_open", ("pagerduty",)] > 0


def test_jitter_shortens_a_wait_by_up_to_half_and_never_below_the_requested_pause(
    config, episode_of, nine_us
):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    step = outbox.due("pagerduty", nine_us)
    assert [
        outbox.failed(step, nine_us, 1.0),
        outbox.failed(step, nine_us, 0.5),
        outbox.failed(step, nine_us, 1.0, after_s=90),
    ] == [0.5, 1.5, 90]


def test_a_requested_pause_applies_to_all_episodes_of_the_channel_and_to_no_other_channel(
    both, episode_of, nine_us
):
    outbox = OutboxCore(both.model_copy(update={"routes": None}))
    put(outbox, episode_of("a"), episode_of("b"))
    outbox.failed(outbox.due("pagerduty", nine_us), nine_us, 0.0, after_s=60, hold=True)
    assert outbox.due("pagerduty", nine_us + 59 * 1_000_000) is None
    assert len(send_due(outbox, nine_us, "console")) == 2
    assert len(send_due(outbox, nine_us + 60 * 1_000_000)) == 2


def test_a_refused_step_becomes_a_dead_letter_and_delays_nothing(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of("a"), episode_of("b"))
    (letter,) = outbox.refused(outbox.due("pagerduty", nine_us), "400: no such thing", nine_us).messages[
        "deadletter"
    ]
    assert "400: no such thing" in json.loads(letter.value)["error"]
    assert send_due(outbox, nine_us) == [("trigger", "softfail/b/high", "opened")]
    put(outbox, episode_of("a", "resolved"))
    assert send_due(outbox, nine_us) == []  # it was never open there
    assert measured(outbox)["softfail_deliveries_total", ("pagerduty", "refused")] == 1


def test_a_refused_trigger_is_tried_again_after_six_hours_and_after_a_restart(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    outbox.refused(outbox.due("pagerduty", nine_us), "403", nine_us)
    again = OutboxCore(config)
    again.restore(outbox.changed())
    assert send_due(again, nine_us)[0][0] == "trigger"
    assert send_due(outbox, nine_us + 359 * MINUTE) == []
    assert send_due(outbox, nine_us + 360 * MINUTE)[0][0] == "trigger"


def test_an_episode_remains_open_after_a_refused_update(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    outbox.refused(outbox.due("pagerduty", nine_us + 360 * MINUTE), "400", nine_us)
    put(outbox, episode_of(state="resolved"))
    assert send_due(outbox, nine_us) == [("resolve", "softfail/e1/high", "resolved")]


def test_delivery_state_is_kept_for_a_day_after_the_last_step_and_then_deleted(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(), episode_of(state="resolved"))
    send_due(outbox, nine_us)
    ((key, value), _) = sorted(outbox.changed(), reverse=True)
    assert key == b"delivery/pagerduty/e1"
    assert json.loads(value)["keys"] == {"high": "closed"}
    assert outbox.due("pagerduty", nine_us + 1439 * MINUTE) is None
    assert outbox.changed() == []
    outbox.due("pagerduty", nine_us + 1441 * MINUTE)
    assert outbox.changed() == [(key, None)]


def test_a_repeated_record_after_the_end_reopens_nothing(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of(), episode_of(state="resolved"))
    send_due(outbox, nine_us)
    put(outbox, episode_of(), episode_of(state="updated"), episode_of(state="escalated"))
    assert send_due(outbox, nine_us + 1000 * MINUTE) == []


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"\xff\x00", "not JSON"),
        (b"[1]", "an object"),
        (b'{"record": "episode"}', "Field required"),
        (None, "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_an_unreadable_record_is_a_dead_letter_and_the_others_are_sent(
    config, episode_of, nine_us, value, says
):
    outbox = OutboxCore(config)
    good = FileRecord(episode_of().model_dump_json().encode(), 8)
    (letter,) = outbox.apply([FileRecord(value, 7), good]).messages["deadletter"]
    content = json.loads(letter.value)
    assert content["offset"] == 7
    assert says in content["error"]
    assert len(send_due(outbox, nine_us)) == 1
    assert measured(outbox)["softfail_dead_letters_total", ("alert",)] == 1


def test_transitions_and_unknown_fields_are_ignored(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    newer = episode_of().model_dump(mode="json") | {"weather": "fine"}
    newer["incidents"][0]["evidence"]["burn"] = 3
    assert not outbox.apply([FileRecord(b'{"record": "transition"}'), FileRecord(json.dumps(newer).encode())])
    assert len(send_due(outbox, nine_us)) == 1


def test_a_stale_state_after_an_undelivered_resolve_keeps_nothing_open(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    put(outbox, episode_of())
    send_due(outbox, nine_us)
    put(outbox, episode_of(state="resolved", minute=5), episode_of(state="updated", minute=4))
    assert send_due(outbox, nine_us + 5 * MINUTE) == [("resolve", "softfail/e1/high", "resolved")]


def test_pending_counts_only_deliveries_with_something_to_send(config, episode_of, nine_us):
    outbox = OutboxCore(config)
    zeros = {
        ("softfail_deliveries_total", ("pagerduty", "delivered")): 0,
        ("softfail_deliveries_total", ("pagerduty", "retried")): 0,
        ("softfail_deliveries_total", ("pagerduty", "refused")): 0,
        ("softfail_deliveries_silenced_total", ("pagerduty",)): 0,
        ("softfail_dead_letters_total", ("alert",)): 0,
        ("softfail_deliveries_pending", ("pagerduty",)): 0,
        ("softfail_channel_open", ("pagerduty",)): 0,
    }
    assert measured(outbox) == zeros
    put(outbox, episode_of("a"), episode_of("b"), now_us=nine_us)
    outbox.failed(outbox.due("pagerduty", nine_us), nine_us, 0.5)
    assert measured(outbox)["softfail_deliveries_pending", ("pagerduty",)] == 2
    send_due(outbox, nine_us + MINUTE)
    assert measured(outbox) == zeros | {
        ("softfail_deliveries_total", ("pagerduty", "delivered")): 2,
        ("softfail_deliveries_total", ("pagerduty", "retried")): 1,
    }


def test_a_state_record_stays_below_the_size_limit_for_any_episode(config, episode_of):
    outbox = OutboxCore(config)
    huge = episode_of(rules=tuple(f"rule-{number}" for number in range(3000)))
    huge = huge.model_copy(
        update={
            "examples": [example.model_copy(update={"output": "word " * 20_000}) for example in huge.examples]
        }
    )
    put(outbox, huge)
    assert all(len(value) < 256 << 10 for _, value in outbox.changed())
    step = outbox.due("pagerduty", 0)
    assert len(step.episode.incidents) + step.left_out == 3000


@pytest.mark.parametrize(
    "record",
    [
        (b"delivery/pagerduty/e1", b"{}"),
        (b"delivery/x", b"{}"),
        (b"what", b"1"),
        (b"counts", b"[]"),
        (b"counts", b"{"),
    ],
)
def test_an_unreadable_state_record_is_named_in_the_error(config, record):
    with pytest.raises(ValueError, match=record[0].decode()):
        OutboxCore(config).restore([record])
