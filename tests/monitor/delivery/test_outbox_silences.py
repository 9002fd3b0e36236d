"""A silence suppresses triggers and no resolves; at its end the triggers of firing episodes are sent."""

from __future__ import annotations

import json

import pytest

from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from tests.monitor.delivery.outbox_core import OutboxCore

MINUTE = 60_000_000
CONFIG = Config.model_validate(
    {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}}}
)
OPENED = ("trigger", "softfail/e1/high", "opened")
RESOLVED = ("resolve", "softfail/e1/high", "resolved")


@pytest.fixture
def world(episode_of, nine_us):
    return World(episode_of, nine_us)


class World:
    """An outbox, and a clock in minutes since nine."""

    def __init__(self, episode_of, nine_us, config=CONFIG):
        self._episode_of, self._nine_us, self.config = episode_of, nine_us, config
        self.outbox, self.durable = OutboxCore(config), {}

    def us(self, minute):
        return self._nine_us + round(minute * MINUTE)

    def put(self, minute, *values):
        outputs = self.outbox.apply([FileRecord(value) for value in values], self.us(minute))
        return [json.loads(letter.value)["error"] for letter in outputs.messages.get("deadletter", [])]

    def episode(self, minute, state="opened", name="e1", **more):
        """Make an episode record and apply it immediately."""
        self.put(minute, self.record(minute, state, name, **more))

    def record(self, minute, state="opened", name="e1", **more):
        return self._episode_of(name, state, minute=minute, **more).model_dump_json().encode()

    def silence(self, start, end, name="s1", match="support-bot/*", minute=None, **more):
        value = {
            "record": "silence",
            "silence_id": name,
            "match": match,
            "starts_at": rfc3339(self.us(start)),
            "ends_at": rfc3339(self.us(end)),
            "author": "ann",
            "reason": "deploy",
            "time": rfc3339(self.us(start)),
            **more,
        }
        return self.put(start if minute is None else minute, json.dumps(value).encode())

    def send_due(self, minute):
        steps = []
        while (step := self.outbox.due("pagerduty", self.us(minute))) is not None:
            self.outbox.delivered(step, self.us(minute))
            steps.append((step.action, step.dedup_key, step.reason))
        return steps

    def restart(self, config=None):
        self.durable |= dict(self.outbox.changed())
        self.outbox = OutboxCore(config or self.config)
        self.outbox.restore((key, value) for key, value in self.durable.items() if value is not None)

    @property
    def counted(self):
        return {(measure.name, *measure.labels): measure.value for measure in self.outbox.measures()}

    @property
    def silenced(self):
        return self.counted.get(("softfail_deliveries_silenced_total", "pagerduty"), 0)


def test_an_episode_that_still_fires_when_its_silence_ends_is_sent_then(world):
    world.silence(0, 30)
    world.episode(5)
    assert (world.send_due(5), world.send_due(29.9)) == ([], [])
    assert world.counted["softfail_deliveries_pending", "pagerduty"] == 0
    assert world.send_due(30) == [OPENED]
    world.episode(40, "resolved")
    assert (world.send_due(40), world.silenced) == ([RESOLVED], 0)


@pytest.mark.parametrize("asked", [[12], [12, 40], [40], [200], [2000]])
def test_an_episode_that_starts_and_ends_under_a_silence_is_never_sent_and_counted_once(world, asked):
    world.silence(0, 30)
    world.episode(5)
    world.episode(12, "resolved")
    assert [world.send_due(minute) for minute in asked] == [[]] * len(asked)
    assert world.silenced == 1
    assert world.counted["softfail_deliveries_silenced_total", "pagerduty"] == 1


def test_a_silenced_episode_is_never_sent_when_the_notifier_reads_it_after_downtime(world):
    world.silence(0, 30, minute=60)
    world.put(
        60,
        world.record(5),
        world.record(12, "resolved"),
        world.record(20, name="e2"),
        world.record(45, "resolved", "e2"),
        world.record(21, name="e3"),
    )
    assert [step[:2] for step in world.send_due(60)] == [
        ("trigger", "softfail/e2/high"),
        ("trigger", "softfail/e3/high"),
        ("resolve", "softfail/e2/high"),
    ]
    assert world.silenced == 1


def test_an_episode_sent_before_the_silence_is_resolved_under_it_without_other_messages(world):
    world.episode(0)
    assert world.send_due(0) == [OPENED]
    world.silence(1, 600)
    world.episode(10, "updated", rules=("refusals", "slow"))
    assert (world.send_due(10), world.send_due(400)) == ([], [])  # neither news nor the repetition
    world.episode(401, "resolved")
    assert (world.send_due(401), world.silenced) == ([RESOLVED], 0)


def test_an_episode_sent_before_the_silence_that_still_fires_is_repeated_after_it(world):
    world.episode(0)
    world.send_due(0)
    world.silence(1, 400)
    assert world.send_due(399) == []
    assert world.send_due(400) == [("trigger", "softfail/e1/high", "still firing")]


def test_an_escalation_waits_for_the_end_of_the_silence_and_its_ticket_is_resolved_in_both_cases(world):
    world.episode(0, urgency="low")
    assert world.send_due(0) == [("trigger", "softfail/e1/low", "opened")]
    world.silence(1, 30)
    world.episode(2, "escalated")
    assert world.send_due(2) == []
    assert world.send_due(30) == [
        ("trigger", "softfail/e1/high", "escalated"),
        ("resolve", "softfail/e1/low", "is a page now"),
    ]


def test_an_escalation_that_ends_under_the_silence_resolves_the_ticket_without_a_page(world):
    world.episode(0, urgency="low")
    world.send_due(0)
    world.silence(1, 30)
    world.episode(2, "escalated")
    world.episode(9, "resolved")
    assert (world.send_due(9), world.send_due(40)) == ([("resolve", "softfail/e1/low", "resolved")], [])
    assert world.silenced == 1


def test_an_episode_that_exceeds_the_severity_of_its_silence_is_sent_immediately(world):
    world.silence(0, 30, severity=["warning"])
    world.episode(1, urgency="low", severity="warning")
    assert world.send_due(1) == []
    world.episode(2, "escalated", severity="critical")
    assert world.send_due(2) == [OPENED]


def test_a_page_attempted_before_the_silence_is_resolved_because_it_may_have_arrived(world):
    world.episode(0)
    world.outbox.failed(world.outbox.due("pagerduty", world.us(0)), world.us(0), 0.5)
    world.silence(1, 30)
    world.episode(5, "resolved")
    assert world.send_due(5) == [RESOLVED]
    # it did not fire under the silence
    assert world.send_due(31) == [("note", "softfail/e1/missed", "missed while down")]


def test_a_resolve_read_after_the_silence_resolves_attempted_deliveries_and_sends_no_page(
    world,
):
    world.silence(0, 30)
    world.episode(5)
    world.outbox.failed(world.outbox.due("pagerduty", world.us(30)), world.us(30), 0.5)
    world.put(31, world.record(12, "resolved"))
    assert (world.send_due(32), world.send_due(200), world.silenced) == ([RESOLVED], [], 1)


def test_an_episode_that_ends_after_its_silence_was_removed_from_the_configuration_is_sent(world):
    plan = CONFIG.model_validate(
        {
            "channels": {"pagerduty": {"routing_key": "0" * 32}},
            "silences": [{"match": "support-bot/*", "reason": "backups", "at": "09:00", "for": "1h"}],
        }
    )
    world.restart(plan)
    world.episode(1)
    assert world.send_due(19) == []
    world.restart(CONFIG)
    world.outbox.failed(world.outbox.due("pagerduty", world.us(20)), world.us(20), 0.5)
    world.episode(25, "resolved")
    assert world.send_due(26) == [OPENED, RESOLVED]


def test_ending_a_silence_early_sends_firing_episodes_and_not_those_that_ended(world):
    world.silence(0, 300)
    world.episode(5)
    world.episode(6, name="e2")
    world.episode(9, "resolved", "e2")
    world.silence(0, 10, minute=10)
    assert world.send_due(10) == [OPENED]
    world.episode(12, "resolved")
    assert (world.send_due(12), world.silenced) == ([RESOLVED], 1)


def test_a_silence_extended_before_its_end_stays_in_force(world):
    world.silence(0, 30)
    world.episode(5)
    world.silence(29, 90, "s2")
    assert world.send_due(31) == []
    world.episode(60, "resolved")
    assert (world.send_due(60), world.send_due(100), world.silenced) == ([], [], 1)


@pytest.mark.parametrize("minute", [6, 31])
def test_a_restart_loses_no_silence_and_no_suppressed_delivery(world, minute):
    world.silence(0, 30)
    world.episode(5)
    world.restart()
    assert world.send_due(minute) == ([] if minute < 30 else [OPENED])
    world.episode(40, name="e2")
    assert world.send_due(40)[-1] == ("trigger", "softfail/e2/high", "opened")


def test_a_crash_after_a_page_at_the_end_of_a_silence_leaves_no_orphan_when_another_silence_starts(world):
    world.silence(0, 30)
    world.episode(5)
    world.send_due(6)
    world.restart()
    assert world.outbox.due("pagerduty", world.us(30)).action == "trigger"
    world.restart()  # it was sent, and nobody noted it
    world.silence(31, 60, "s2")
    world.episode(35, "resolved")
    assert world.send_due(35) == [RESOLVED]


def test_a_ticket_sent_at_the_end_of_a_silence_is_resolved_after_a_crash_and_an_escalation(
    world,
):
    world.silence(0, 30)
    world.restart()
    world.episode(5, urgency="low")
    assert world.outbox.due("pagerduty", world.us(30)).urgency == "low"
    world.outbox = OutboxCore(CONFIG)
    world.outbox.restore(world.durable.items())  # all is read again since the last that was durable
    world.put(32, world.record(5, urgency="low"), world.record(31, "escalated"))
    assert [key for action, key, _ in world.send_due(32) if action == "resolve"] == ["softfail/e1/low"]


def test_a_page_sent_at_the_end_of_a_silence_is_resolved_after_a_crash_and_the_end_of_its_episode(
    world,
):
    world.silence(0, 30)
    world.restart()
    world.episode(5)
    assert world.outbox.due("pagerduty", world.us(30)).action == "trigger"
    world.outbox = OutboxCore(CONFIG)
    world.outbox.restore(world.durable.items())
    world.put(30.1, world.record(5), world.record(29.99, "resolved"))
    assert world.send_due(30.1) == [RESOLVED]


def test_configured_silences_behave_like_requested_silences_and_end_when_they_are_removed(
    world,
):
    plan = CONFIG.model_validate(
        {
            "channels": {"pagerduty": {"routing_key": "0" * 32}},
            "silences": [
                # nine in UTC
                {
                    "match": "support-bot/*",
                    "reason": "backups",
                    "days": ["mon"],
                    "at": "10:00",
                    "for": "1h",
                    "timezone": "Europe/Berlin",
                }
            ],
        }
    )
    world.restart(plan)
    world.episode(1)
    assert world.send_due(30) == []
    world.restart(plan)
    assert world.send_due(59) == []
    world.restart(CONFIG)
    assert world.send_due(59.5) == [OPENED]


def test_self_health_is_sent_under_any_silence_that_does_not_name_softfail(world):
    world.silence(0, 30, match="*")
    world.episode(1, service="softfail", feature="monitor")
    assert world.send_due(1) == [OPENED]
    world.silence(2, 30, "s2", match="softfail/*")
    world.episode(3, name="e2", service="softfail", feature="monitor")
    assert world.send_due(3) == []


def test_an_invalid_silence_is_a_dead_letter_with_the_reason_and_suppresses_nothing(world):
    assert "30 d" in world.silence(0, 31 * 1440)[0]
    assert world.silence(0, 30, severity=["loud"])[0].startswith("severity.0: ")
    assert world.silence(0, 30, name="a b")[0].startswith("silence_id: ")
    world.episode(1)
    assert world.send_due(1) == [OPENED]


def test_unknown_fields_of_a_newer_release_are_ignored(world):
    assert world.silence(0, 30, weather="fine") == []
    world.episode(1)
    assert world.send_due(1) == []


def test_an_expired_silence_is_deleted_from_the_state_after_a_day(world):
    world.silence(0, 30)
    assert [key for key, value in world.outbox.changed() if value] == [b"silence/s1"]
    world.send_due(30 + 1439)
    assert world.outbox.changed() == []
    world.send_due(30 + 1440)
    assert world.outbox.changed() == [(b"silence/s1", None)]


def test_the_status_shows_active_silences_with_their_end_and_their_suppressed_deliveries(world):
    notifier = Notifier(CONFIG)
    notifier.outbox = world.outbox
    world.silence(0, 30)
    world.silence(10, 30, "later", minute=1)
    world.episode(5)
    (shown,) = notifier.status()["silences"]
    assert (shown["silence_id"], shown["until"], shown["holds"], shown["author"], shown["reason"]) == (
        "s1",
        rfc3339(world.us(30)),
        1,
        "ann",
        "deploy",
    )


@pytest.mark.parametrize("value", [b"{}", b"{", b'{"record":"silence","more":1}'])
def test_an_unreadable_silence_in_the_state_is_named_in_the_error(value):
    with pytest.raises(ValueError, match="silence/s1"):
        OutboxCore(CONFIG).restore([(b"silence/s1", value)])
