"""A notifier of this release takes over the state of commit 97ec117, under open pages, and sends no second
page.

``notify_before_renaming.json`` holds state records as that commit wrote them: an open page, a page over three
features, a ticket, an episode under a silence, an open episode of self-health, a change that was sent and one
that failed once.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.delivery.change_delivery import ChangeDelivery
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

BEFORE = json.loads((Path(__file__).parent / "notify_before_renaming.json").read_text())
STATE = [(key.encode(), value.encode()) for key, value in BEFORE["state"]]
CONFIG = Config.model_validate(BEFORE["config"])
SECOND_US = 1_000_000
KEYS = {"softfail/e1/high", "softfail/716d0f3187eb5ab9/high", "softfail/g-title/high", "softfail/e2/low"}


class Upgraded:
    """A notifier with the state of the earlier release."""

    def __init__(self):
        self.notifier, self.now_us, self.sent, self.changes = Notifier(CONFIG), BEFORE["now_us"], [], []
        self.notifier.restore(STATE)

    def read(self, *records):
        values = [json.dumps(record, separators=(",", ":")).encode() for record in records]
        self.notifier.apply([FileRecord(value, 100) for value in values], self.now_us)

    def pass_time(self, seconds, findings):
        for second in range(0, seconds, 10):
            self.now_us += 10 * SECOND_US
            if second % 60 == 0:
                self.read(*(self.heartbeat(partition, findings) for partition in range(4)))
            for message in self.notifier.check_health(self.now_us).messages.get("alerts", ()):
                self.read(json.loads(message.value))
            self.deliver()

    def heartbeat(self, partition, findings):
        return {
            "record": "health",
            "agent": "watch",
            "partition": partition,
            "partitions": 4,
            "time": rfc3339(self.now_us),
            "observed_s": 300.0,
            "counts": {},
            "findings": findings.get(partition, []),
        }

    def deliver(self):
        outbox = self.notifier.outbox
        for channel in CONFIG.channels.names():
            while (step := outbox.due(channel, self.now_us)) is not None:
                self.sent.append((channel, step.action, step.dedup_key))
                outbox.delivered(step, self.now_us)
        while (step := outbox.change_due("pagerduty", self.now_us)) is not None:
            self.changes.append(step.change.name)
            outbox.delivered(step, self.now_us)


def latest_episodes():
    """Return the latest state of each episode known to the deliveries of PagerDuty."""
    episodes = {}
    for key, value in STATE:
        if key.startswith(b"delivery/pagerduty/"):
            delivery = json.loads(value)
            episode = (delivery.get("own") or delivery["latest"])["episode"]
            episodes[episode["episode_id"]] = episode
    return episodes


def finding():
    (reports,) = (json.loads(value) for key, value in STATE if key.startswith(b"health/finding/"))
    severity, since_us, value, _ = reports["parts"]["1"]
    return {
        "name": "dead-letters",
        "severity": severity,
        "text": reports["text"],
        "since": rfc3339(since_us),
        "value": value,
    }


def test_an_upgrade_sends_nothing_again_and_sends_the_waiting_change_once():
    upgraded = Upgraded()
    for episode in latest_episodes().values():
        upgraded.read(episode)  # the records after the last checkpoint are read again
    upgraded.pass_time(1200, {1: [finding()], 3: [finding()]})
    assert upgraded.sent == []
    assert upgraded.changes == ["m3"]


def test_every_open_page_is_resolved_under_its_key():
    upgraded = Upgraded()
    for episode in latest_episodes().values():
        time = rfc3339(upgraded.now_us)
        upgraded.read(episode | {"state": "resolved", "firing": 0, "time": time, "decided_at": time})
    upgraded.pass_time(120, {})
    for channel in CONFIG.channels.names():
        assert {key for name, action, key in upgraded.sent if (name, action) == (channel, "resolve")} == KEYS
    assert {action for _, action, _ in upgraded.sent} == {"resolve"}


REFUSAL_PATTERNS = {b"delivery": EpisodeDelivery, b"change": ChangeDelivery}
DELIVERIES = [(key, value) for key, value in STATE if key.partition(b"/")[0] in REFUSAL_PATTERNS]


@pytest.mark.parametrize(("key", "value"), DELIVERIES, ids=[key.decode() for key, _ in DELIVERIES])
def test_a_delivery_is_rewritten_with_the_same_fields(key, value):
    written = REFUSAL_PATTERNS[key.partition(b"/")[0]].from_state(value).to_state()
    assert json.loads(written) == json.loads(value)
