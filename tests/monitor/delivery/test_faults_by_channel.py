"""Test every fault on every channel in simulated time: real outbox, breaker and channels, one receiver each.

These tests check, as over real connections `tests/agents/notify/test_channels.py` and `test_dead_channel.py`,
the table "Faults of a channel" of `docs/operations.md`.
"""

from __future__ import annotations

import json
import re

import pytest

from monitor.channels import configured
from monitor.channels.interface import Delivered, Permanent, Retry
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from tests.monitor.channels.channel_settings import CONFIRMATIONS, REFUSALS, SETTINGS
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.tiers import by_profile

SECOND, MINUTE = 1_000_000, 60_000_000
STEP_S = 5  # between two looks of the shell
DEAD_S = 3870  # a little over an hour: what ended at once has been over for an hour when it is sent
CONFIG = Config.model_validate({"channels": SETTINGS})
CHANNELS = CONFIG.channels.names()
SPEAK_HTTP = [name for name in CHANNELS if name != "console"]
KNOW_KEYS = ("pagerduty", "alertmanager", "webhook")  # a step that comes twice changes nothing there
NO_ANSWER = None, {}, b"no answer within 10 s"


class FakePagerDuty:
    """The effects of a channel's requests at its receiver. ``faults`` are the next responses, and whether the
    request counts in spite of them.
    """

    def __init__(self, name):
        self.name, self.faults, self.is_dead = name, [], False
        self.open, self.effects, self.asked = set(), [], []  # (time, what, episode)

    def answer(self, request, now_us):
        received = read(self.name, request.body, now_us)
        self.asked.append((now_us, *received))
        status, headers, body, counts = (
            (*NO_ANSWER, False)
            if self.is_dead
            else self.faults.pop(0)
            if self.faults
            else (*_accepted(self.name), True)
        )
        if counts:
            self._take(*received, now_us)
        return status, headers, body

    def _take(self, effect, episode, now_us):
        if self.name in KNOW_KEYS:
            key = effect.removeprefix("end of "), episode
            if (key in self.open) is (key[0] == effect):
                return
            (self.open.add if key[0] == effect else self.open.remove)(key)
        self.effects.append((now_us, effect, episode))

    def effects_of(self, episode):
        return [effect for _, effect, name in self.effects if name == episode]


def _accepted(name):
    status, body = CONFIRMATIONS[name]
    return status, {}, body


def read(name, body, now_us):
    """Decode a body: page, ticket, note, or the end of one; and its episode."""
    if name == "console":
        head = body.decode().splitlines()[0]
        return _by_words(head), re.search(r"\[(\w+)\]$", head)[1]
    fields = json.loads(body)
    if name == "slack":
        return (
            _by_words(fields["blocks"][0]["text"]["text"]),
            fields["blocks"][-1]["elements"][0]["text"].rsplit(" ", 1)[1],
        )
    if name == "alertmanager":
        key, over = fields[0]["labels"]["key"], fields[0]["endsAt"] <= rfc3339(now_us)
    elif name == "webhook":
        key, over = fields["dedup_key"], fields["action"] == "resolve"
    elif name == "pagerduty":
        key, over = fields["dedup_key"], fields["event_action"] == "resolve"
    else:
        raise NotImplementedError(f"read() of {__name__} must decode the bodies of the channel {name!r}")
    _, episode, kind = key.split("/")
    return ("end of " if over else "") + {"high": "page", "low": "ticket", "missed": "note"}[kind], episode


def _by_words(head):
    kinds = {
        "PAGE": "page",
        "TICKET": "ticket",
        "MISSED": "note",
        "RESOLVED": "end",
        "CLOSED": "end of ticket",
    }
    return kinds[re.match(r"[A-Z]+", head)[0]]


class Notifier:
    """Stands for the agent: one sender per channel, each with its own delays."""

    def __init__(self, began_us, episodes):
        self.began_us, self.now_us, self.offset = began_us, began_us, 0
        self.coming = sorted(episodes, key=lambda coming: coming.time)
        self.outbox, self.channels = OutboxCore(CONFIG), configured(CONFIG)
        self.receivers = {name: FakePagerDuty(name) for name in CHANNELS}
        self.letters = []

    def run(self, seconds):
        for _ in range(0, seconds, STEP_S):
            while self.coming and self.coming[0].time.timestamp() * 1e6 <= self.now_us:
                self.outbox.apply(
                    [FileRecord(self.coming.pop(0).model_dump_json().encode(), self.offset)], self.now_us
                )
                self.offset += 1
            for name in CHANNELS:
                while (step := self.outbox.due(name, self.now_us)) is not None:
                    self.send(name, step)
            self.now_us += STEP_S * SECOND

    def send(self, name, step):
        channel = self.channels[name]
        answer = self.receivers[name].answer(channel.request(step, self.now_us), self.now_us)
        match channel.interpret(*answer, self.now_us):
            case Delivered():
                self.outbox.delivered(step, self.now_us)
            case Retry(reason, after_s, hold, unexpected):
                self.outbox.failed(step, self.now_us, 0.5, after_s, hold, reason, unexpected=unexpected)
            case Permanent(reason):
                self.letters += self.outbox.refused(step, reason, self.now_us).messages["deadletter"]


@pytest.fixture(scope="module")
def day(episode_of):
    """Twenty minutes with a page that ends, a ticket that becomes a page and ends, a ticket that ends, and a
    page that lasts.
    """

    def make():
        return [
            episode_of("a", minute=0.1),
            episode_of("a", "resolved", minute=9),
            episode_of("b", minute=0.2, urgency="low"),
            episode_of("b", "escalated", minute=5),
            episode_of("b", "resolved", minute=12),
            episode_of("c", minute=0.3, urgency="low"),
            episode_of("c", "resolved", minute=10, urgency="low"),
            episode_of("d", minute=0.4),
        ]

    return make


@pytest.fixture(scope="module")
def undisturbed(day, nine_us):
    """The effects of that day at every receiver without faults."""
    notifier = Notifier(nine_us, day())
    notifier.run(1200)
    return {name: receiver.effects for name, receiver in notifier.receivers.items()}


def lives(effects):
    """Return episode -> its effects in order."""
    return {episode: [effect for _, effect, name in effects if name == episode] for episode in "abcd"}


def test_without_faults_every_channel_sends_the_same(undisturbed):
    for name in CHANNELS:
        end = "end of page" if name in KNOW_KEYS else "end"
        assert lives(undisturbed[name]) == {
            "a": ["page", end],
            "b": ["ticket", "page", "end of ticket", end],
            "c": ["ticket", end.replace("page", "ticket")],
            "d": ["page"],
        }, name


SILENT = (*NO_ANSWER, False)
WAITED_OUT = {
    "429 with Retry-After": [(429, {"Retry-After": "90"}, b"slow down", False)],
    "429 without": [(429, {}, b"", False)] * 2,
    "500": [(500, {}, b"oh", False)] * 2,
    "503 with Retry-After": [(503, {"Retry-After": "20"}, b"", False)] * 2,
    "no answer, a refused or a broken connection": [SILENT] * 2,
    "a quarter of an hour of it": [SILENT] * 20,
    "all of them in turn": [
        (429, {"Retry-After": "5"}, b"", False),
        (500, {}, b"", False),
        SILENT,
        (503, {}, b"", False),
        SILENT,
    ],
}


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("faults", WAITED_OUT.values(), ids=WAITED_OUT)
def test_a_temporary_fault_is_retried_until_each_delivery_arrived_once_and_affects_no_other_channel(
    day, nine_us, undisturbed, name, faults
):
    notifier = Notifier(nine_us, day())
    notifier.run(20)
    notifier.receivers[name].faults = list(faults) if name != "console" else [SILENT] * len(faults)
    notifier.run(1180)
    assert notifier.receivers[name].faults == []
    notifier.run(1200)
    for other in set(CHANNELS) - {name}:
        assert notifier.receivers[other].effects == undisturbed[other]
    effects_by_episode, before = lives(notifier.receivers[name].effects), lives(undisturbed[name])
    late = len(faults) > 10  # then what became a page meanwhile was never sent as a ticket
    assert effects_by_episode == before | (
        {"b": [effect for effect in effects_by_episode["b"] if effect in before["b"]]} if late else {}
    )
    assert effects_by_episode["b"][-1].startswith("end")
    assert notifier.letters == []


@pytest.mark.parametrize("name", SPEAK_HTTP)
def test_a_lost_response_changes_nothing_on_channels_with_keys_and_repeats_the_message_in_slack(
    day, nine_us, undisturbed, name
):
    notifier = Notifier(nine_us, day())
    notifier.receivers[name].faults = [(*NO_ANSWER, True), (*NO_ANSWER, True)]
    notifier.run(1200)
    effects_by_episode, before = lives(notifier.receivers[name].effects), lives(undisturbed[name])
    assert (
        effects_by_episode == before
        if name in KNOW_KEYS
        else effects_by_episode["a"] == ["page", "page", "page", "end"]
    )


@pytest.mark.parametrize("name", SPEAK_HTTP)
def test_a_refused_step_is_a_dead_letter_with_the_reason_and_the_rest_continues(
    day, nine_us, undisturbed, name
):
    notifier = Notifier(nine_us, day())
    body = REFUSALS[name]
    notifier.receivers[name].faults = [(400, {}, body, False)]
    notifier.run(1200)
    (letter,) = notifier.letters
    error = json.loads(letter.value)["error"]
    assert f"{name} refused trigger softfail/a/high: 400: {body.decode()}" in error
    effects_by_episode, before = lives(notifier.receivers[name].effects), lives(undisturbed[name])
    assert effects_by_episode == before | {"a": []}
    for other in set(CHANNELS) - {name}:
        assert notifier.receivers[other].effects == undisturbed[other]


def test_answers_of_something_else_delay_a_page_by_seconds_and_are_no_refusal(day, nine_us, undisturbed):
    notifier = Notifier(nine_us, day())
    for name in SPEAK_HTTP:
        statuses = (410 if name == "webhook" else 200, 302, 403, 404)  # any 2xx confirms a webhook
        notifier.receivers[name].faults = [(status, {}, b"<html>log in", False) for status in statuses]
    notifier.run(1200)
    assert notifier.letters == []
    for name in SPEAK_HTTP:
        effects = notifier.receivers[name].effects
        assert lives(effects) == lives(undisturbed[name])
        assert effects[0][0] - undisturbed[name][0][0] < 40 * SECOND
    assert notifier.receivers["console"].effects == undisturbed["console"]


@pytest.fixture(scope="module")
def hour(episode_of):
    """Something begins each minute for seventy minutes: a page that is over in three, a ticket that lasts, a
    page that lasts. Name -> (kind, begin, end).
    """
    plan = {
        f"e{minute}": (("page", minute, minute + 3), ("ticket", minute, None), ("page", minute, None))[
            minute % 3
        ]
        for minute in range(70)
    }
    episodes = []
    for name, (kind, begin, end) in plan.items():
        urgency = "high" if kind == "page" else "low"
        episodes.append(episode_of(name, minute=begin, urgency=urgency))
        episodes += [episode_of(name, "resolved", minute=end, urgency=urgency)] if end is not None else []
    return plan, episodes


@pytest.fixture(scope="module")
def calm(hour, nine_us):
    """The effects of that hour without faults."""
    notifier = Notifier(nine_us, hour[1])
    notifier.run(75 * 60)
    return {name: receiver.effects for name, receiver in notifier.receivers.items()}


@pytest.mark.long_form
@pytest.mark.parametrize("name", by_profile(["pagerduty", "webhook"], CHANNELS))  # with keys and without
def test_a_channel_down_for_an_hour_delays_only_itself_and_then_gets_current_episodes_pages_first(
    hour, calm, nine_us, name
):
    plan, episodes = hour
    notifier = Notifier(nine_us, episodes)
    dead = notifier.receivers[name]
    dead.is_dead = True
    notifier.run(DEAD_S)
    back_us = notifier.now_us
    assert dead.effects == []
    # probes, and each new page once or twice: not every waiting delivery again and again
    assert len(dead.asked) < 66 * 4
    for episode, (kind, begin, _) in plan.items():
        begin_us = nine_us + begin * MINUTE
        if kind == "page" and begin_us < back_us - MINUTE:
            assert any(
                begin_us <= time_us <= begin_us + 5 * SECOND + STEP_S * SECOND and asked_episode == episode
                for time_us, _, asked_episode in dead.asked
            )
    dead.is_dead = False
    notifier.run(75 * 60 - DEAD_S)
    for other in set(CHANNELS) - {name}:
        assert notifier.receivers[other].effects == calm[other]
    before = {episode for episode, (_, begin, _) in plan.items() if nine_us + begin * MINUTE < back_us}
    sent = [
        (time_us, effect, episode)
        for time_us, effect, episode in dead.effects
        if episode in before and time_us <= back_us + 62 * SECOND
    ]
    assert {episode for _, _, episode in sent} == before  # all of it within about a minute of its return
    after_probe = sent[1:]  # the first is the probe that succeeded back: what was tried least
    pages = [int(episode[1:]) for _, effect, episode in after_probe if effect == "page"]
    assert len(pages) > 35
    assert [effect for _, effect, _ in after_probe[: len(pages)]] == ["page"] * len(pages)
    assert pages == sorted(pages)
    for episode, (kind, _, end) in plan.items():
        long_over = end is not None and nine_us + end * MINUTE <= back_us - 60 * MINUTE
        effects_by_episode = dead.effects_of(episode)
        assert [effect for effect in effects_by_episode if not effect.startswith("end")] == (
            ["note"] if long_over else [kind]
        ), episode
        # Where steps have no keys, the end of a page that may have arrived is sent, too.
        assert any(effect.startswith("end") for effect in effects_by_episode) is (
            end is not None and (not long_over or name not in KNOW_KEYS)
        ), episode
    assert [episode for _, effect, episode in sent if effect == "note"] == ["e0"]
