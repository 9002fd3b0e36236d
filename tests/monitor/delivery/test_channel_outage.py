"""The outage of one of two channels in simulated time: its effect on each channel."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.tiers import examples

SECOND, MINUTE = 1_000_000, 60_000_000
CHANNELS = ("pagerduty", "console")
CONFIG = Config.model_validate(
    {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}, "console": {}}}
)


class FakePagerDuty:
    """The rules of PagerDuty: a trigger opens a key or adds to it, a resolve closes it, and a resolve of a
    closed key is dropped.
    """

    def __init__(self):
        self.is_up, self.asked = True, 0
        self.open, self.effects = {}, []  # (second, key, opened | closed | noted)

    def take(self, step, now_us):
        self.asked += 1
        if not self.is_up:
            return False
        if step.action == "resolve":
            if self.open.pop(step.dedup_key, None):
                self.effects.append((now_us, step.dedup_key, "closed"))
        elif step.dedup_key not in self.open:
            self.open[step.dedup_key] = True
            self.effects.append((now_us, step.dedup_key, "noted" if step.action == "note" else "opened"))
        return True


class Notifier:
    """Stands for the agent: one sender per channel, a checkpoint after each response, a crash at any
    moment.
    """

    def __init__(self, began_us):
        self.now_us, self.log, self.position = began_us, [], 0
        self.outbox = OutboxCore(CONFIG)
        self.durable, self.durable_position = {}, 0
        self.receivers = {name: FakePagerDuty() for name in CHANNELS}

    def publish(self, episode):
        self.log.append(FileRecord(episode.model_dump_json().encode(), len(self.log)))

    def read(self):
        self.outbox.apply(self.log[self.position :], self.now_us)
        self.position = len(self.log)

    def checkpoint(self):
        for key, value in self.outbox.changed():
            self.durable[key] = value
        self.durable_position = self.position

    def restart(self):
        self.outbox, self.position = OutboxCore(CONFIG), self.durable_position
        self.outbox.restore([(key, value) for key, value in self.durable.items() if value is not None])
        self.read()

    def send(self, channel, *, crash=False):
        step = self.outbox.due(channel, self.now_us)
        if step is None:
            return False
        accepted = self.receivers[channel].take(step, self.now_us)
        if crash:  # after the receiver took it, before anybody noted that
            self.restart()
        elif accepted:
            self.outbox.delivered(step, self.now_us)
            self.checkpoint()
        else:
            self.outbox.failed(step, self.now_us, 0.2)
            self.checkpoint()
        return True

    def pass_time(self, seconds):
        for _ in range(seconds):
            self.now_us += SECOND
            for channel in CHANNELS:
                while self.send(channel):
                    pass


def test_channel_outage_of_an_hour_delays_only_that_channel_and_its_backlog_is_sent_within_a_minute(
    episode_of, nine_us
):
    notifier = Notifier(nine_us)
    down, other = notifier.receivers["pagerduty"], notifier.receivers["console"]
    down.is_up = False
    published = {}
    for minute in range(70):  # down for 70 minutes
        name = f"e{minute}"
        published[name] = minute
        notifier.publish(episode_of(name, minute=minute))
        if minute >= 3 and minute % 2:  # every other one is over after three minutes
            notifier.publish(episode_of(f"e{minute - 3}", "resolved", minute=minute))
        notifier.read()
        notifier.pass_time(60)
    assert {key for _, key, _ in other.effects} == {f"softfail/{name}/high" for name in published}
    assert all(
        time_us - nine_us <= published[key.split("/")[1]] * MINUTE + SECOND
        for time_us, key, effect in other.effects
        if effect == "opened"
    )
    assert down.effects == []
    assert 60 < down.asked < 70 * 3  # one probe a minute, and each new page once
    down.is_up, back_us = True, notifier.now_us
    notifier.pass_time(75)
    over_us = {
        name: nine_us + (minute + 3) * MINUTE
        for name, minute in published.items()
        if minute % 2 == 0 and minute + 3 < 70
    }
    notes = {name for name, time_us in over_us.items() if back_us - time_us > 60 * MINUTE}
    assert {key.split("/")[1] for _, key, effect in down.effects if effect == "noted"} >= notes
    assert notes
    for name in published:
        effects = [
            (key.rsplit("/", 1)[1], effect) for _, key, effect in down.effects if key.split("/")[1] == name
        ]
        noted, paged = (
            [("missed", "noted")],
            [("high", "opened")] + ([("high", "closed")] if name in over_us else []),
        )
        assert effects in ([noted] if name in notes else [paged, noted] if name in over_us else [paged]), name
    assert max(time_us for time_us, _, _ in down.effects) - back_us <= 61 * SECOND
    assert all(
        step is None for step in (notifier.outbox.due(channel, notifier.now_us) for channel in CHANNELS)
    )


@pytest.fixture
def machine(episode_of, nine_us):
    class Deliveries(RuleBasedStateMachine):
        """Episodes start, escalate and end; channels fail and recover; the notifier crashes at any time."""

        episodes = Bundle("episodes")

        @initialize()
        def begin(self):
            self.notifier, self.states = Notifier(nine_us), {}

        def minute(self):
            return (self.notifier.now_us - nine_us) / MINUTE

        @rule(target=episodes, urgency=st.sampled_from(["high", "low"]))
        def opens(self, urgency):
            name = f"e{len(self.states)}"
            self.states[name] = [urgency, True]
            self.notifier.publish(episode_of(name, "opened", minute=self.minute(), urgency=urgency))
            return name

        @rule(name=episodes)
        def escalates(self, name):
            urgency, firing = self.states[name]
            if firing and urgency == "low":
                self.states[name] = ["high", True]
                self.notifier.publish(episode_of(name, "escalated", minute=self.minute()))

        @rule(name=episodes)
        def ends(self, name):
            urgency, firing = self.states[name]
            if firing:
                self.states[name] = [urgency, False]
                self.notifier.publish(episode_of(name, "resolved", minute=self.minute(), urgency=urgency))

        @rule()
        def reads(self):
            self.notifier.read()

        @rule()
        def checkpoints(self):
            self.notifier.checkpoint()

        @rule()
        def restarts(self):
            self.notifier.restart()

        @rule(channel=st.sampled_from(CHANNELS))
        def crashes_after_sending(self, channel):
            self.notifier.send(channel, crash=True)

        @rule(channel=st.sampled_from(CHANNELS))
        def goes_down_or_comes_back(self, channel):
            receiver = self.notifier.receivers[channel]
            receiver.is_up = not receiver.is_up

        @precondition(lambda self: self.states)
        @rule(seconds=st.sampled_from([1, 10, 90]))
        def time_passes(self, seconds):
            self.notifier.pass_time(seconds)

        def teardown(self):
            if not hasattr(self, "notifier"):
                return
            self.notifier.read()
            for receiver in self.notifier.receivers.values():
                receiver.is_up = True
            self.notifier.pass_time(75)
            for receiver in self.notifier.receivers.values():
                for name, (urgency, firing) in self.states.items():
                    effects = [
                        (key.rsplit("/", 1)[1], effect)
                        for _, key, effect in receiver.effects
                        if key.split("/")[1] == name
                    ]
                    assert len(effects) == len(set(effects)), f"{name}: {effects}"  # nothing twice in effect
                    if firing:
                        assert {key for key in receiver.open if key.split("/")[1] == name} == {
                            f"softfail/{name}/{urgency}"
                        }
                    else:  # sent and resolved; nothing stays open
                        assert (urgency, "opened") in effects
                        assert not [key for key in receiver.open if key.split("/")[1] == name]

    return Deliveries


def test_outages_and_notifier_restarts_at_any_time_repeat_and_lose_no_delivery(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(1 / 2), stateful_step_count=40, suppress_health_check=list(HealthCheck)
        ),
    )
