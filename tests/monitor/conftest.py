"""A deployment in simulated time: a worker of one partition, a notifier, PagerDuty and the person on call;
and the laws of the alerts topic.
"""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from monitor.alerts.forced_resolution import ended_episodes, ended_incidents
from monitor.incidents.state_change import GOES_ON, REOPENED
from monitor.protocol.messages import FileRecord
from monitor.state.partition_state import PartitionState
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.monitor.event_values import NINE, event

NINE_US = int(NINE.timestamp()) * 1_000_000
SECOND_US = 1_000_000
TICK_S = 30.0
CHANNEL = {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}}}
ORDER = ("info", "warning", "error", "critical")
# endings by hand carry the wall clock, which is ahead of the edges
OUTSIDE = ("state_dropped", "state_reset")


class PagerDuty:
    """The rules of PagerDuty: a trigger opens a key or adds to it, a resolve closes it, and a resolve of a
    closed key is dropped.
    """

    def __init__(self):
        self.open, self.last = {}, {}  # key -> the step that opened it, the last one of it
        # what reaches a person: (second, page | ticket | note, key); what adds to an open key reaches nobody
        self.received = []
        self.openings, self.ended, self.never_open = {}, {}, []

    def take(self, step, second):
        """Accept one delivered step."""
        key = step.dedup_key
        self.last[key] = step
        if step.action == "resolve":
            if key in self.open:
                del self.open[key]
                self.ended[key] = self.ended.get(key, 0) + 1
            else:
                self.never_open.append(key)
        elif key not in self.open:
            self.open[key] = step
            self.openings[key] = self.openings.get(key, 0) + 1
            self.received.append(
                (
                    second,
                    "note" if step.action == "note" else "page" if step.urgency == "high" else "ticket",
                    key,
                )
            )


class Laws:
    """Laws of the alerts topic, checked record by record."""

    def __init__(self):
        self.states, self.incident_keys, self.open_at, self.homes = {}, {}, {}, {}
        self.episodes, self.ended, self.times = {}, set(), {}

    def take(self, record):
        """Check one record, in the order of the topic."""
        feature = record["service"], record["feature"], record["environment"]
        if record["reason"] not in OUTSIDE:
            assert self.times.get(feature, "") <= record["time"], "time went back"
            self.times[feature] = record["time"]
        (self._transition if record["record"] == "transition" else self._episode)(feature, record)

    def _transition(self, feature, record):
        name, state, before = record["incident_id"], record["state"], self.states.get(record["incident_id"])
        incident_key = (
            *feature,
            record["rule"],
            record["level"],
            record["model"],
            record["prompt_version"],
            record["variant"],
        )
        assert before != "resolved", "a resolved incident reappeared"
        assert before is None or self.incident_keys[name] == incident_key, "two incidents with one id"
        again = (
            state == before == "firing"
            and record["reason"] in (REOPENED, GOES_ON)
            and self.homes[name] != record["episode_id"]
        )
        assert (
            again
            or state
            in {None: ("pending", "firing"), "pending": ("firing", "resolved"), "firing": ("resolved",)}[
                before
            ]
        ), (before, state)
        assert self.open_at.get(incident_key, name) == name, "two open incidents of one rule and segment"
        assert state != "firing" or record["episode_id"], "a firing incident without episode"
        self.states[name], self.incident_keys[name] = state, incident_key
        if state == "resolved":
            del self.open_at[incident_key]
            self.homes.pop(name, None)
        else:
            self.open_at[incident_key] = name
        if state == "firing":
            self.homes[name] = record["episode_id"]

    def _episode(self, feature, record):
        name, state, before = record["episode_id"], record["state"], self.episodes.get(feature)
        assert name not in self.ended, "a resolved episode reappeared"
        if state == "opened":
            assert before is None, "two open episodes of one feature and environment"
        else:
            assert before is not None, "an episode that was never opened"
            assert before["episode_id"] == name
            assert ORDER.index(record["severity"]) >= ORDER.index(before["severity"])
            assert (before["urgency"], record["urgency"]) != ("high", "low")
            assert (state == "escalated") <= (before["urgency"] == "low" and record["urgency"] == "high")
        self.episodes[feature] = record
        if state == "resolved":
            self.ended.add(name)
            del self.episodes[feature]
        firing = [incident for incident, home in self.homes.items() if home == name]
        if record["reason"] not in OUTSIDE:
            assert record["firing"] == (0 if "goes on as a ticket" in record["reason"] else len(firing))
            # at the same edge, which ``between_edges`` holds against
            parted = "goes on as a ticket" in record["reason"]
            assert (state == "resolved") == (not firing or parted)
            assert {item["incident_id"] for item in record["incidents"] if item["state"] == "firing"} <= set(
                firing
            )

    def between_edges(self):
        """Check the laws that hold between steps."""
        assert set(self.homes.values()) == {episode["episode_id"] for episode in self.episodes.values()}, (
            "every firing incident is in the open episode"
        )


class World:
    """Services write, the worker reads as in production, the notifier sends due steps. Seconds count from 2
    March 2026, 09:00 UTC.
    """

    def __init__(self, settings):
        self.written = CHANNEL | (settings or {})
        self.settings = Config.model_validate(self.written)
        self.watch, self.outbox = Watch(self.settings), OutboxCore(self.settings)
        self.second, self.offset, self.state, self.log, self.records = 0.0, 0, {}, [], []
        self.position, self.kept_position, self.deliveries, self.fates = 0, 0, {}, []
        self.output_records = []  # typed, as the worker made them
        self.pagerduty, self.laws, self.is_up = PagerDuty(), Laws(), True

    @property
    def now_us(self):
        return NINE_US + round(self.second * SECOND_US)

    def run(self, calls, until):
        """Run until a second: ``calls`` are (second, event) in order; the worker reads every half minute."""
        coming = list(calls)[::-1]
        while self.second < until:
            self.second += TICK_S
            values = []
            while coming and coming[-1][0] < self.second:
                values.append(coming.pop())
            self.read(values)
            self.pass_time()
        assert not coming

    def read(self, calls):
        """Apply these calls; each was appended to the log when it happened."""
        records = [
            FileRecord(value, self.offset + nth, (NINE_US + round(second * SECOND_US)) // 1000)
            for nth, (second, value) in enumerate(calls)
        ]
        self.offset += len(records)
        self.write(self.watch.apply(records, self.now_us))

    def pass_time(self):
        """Advance the watermark with the wall clock, as a worker without lag does."""
        self.write(
            self.watch.advance(self.now_us - round(self.settings.time.lateness * SECOND_US), self.now_us)
        )

    def write(self, outputs):
        """Write a checkpoint of the worker, then let the notifier send."""
        self.output_records += outputs.records.get("alerts", ())
        self.publish(outputs.messages.get("alerts", ()))
        self.laws.between_edges()
        self.deliver()

    def publish(self, messages):
        for message in messages:
            record = json.loads(message.value)
            self.log.append(FileRecord(message.value, len(self.log)))
            if record["record"] in ("transition", "episode"):
                self.records.append(record)
                self.laws.take(record)

    def deliver(self):
        """Let the notifier read new records, then send until nothing is due."""
        if not self.is_up:
            return
        self.outbox.apply(self.log[self.position :], self.now_us)
        self.position = len(self.log)
        while (step := self.outbox.due("pagerduty", self.now_us)) is not None:
            fate = self.fates.pop() if self.fates else "taken"
            if fate != "lost on the way":
                self.pagerduty.take(step, self.second)
            if fate == "crash after sending":
                self.crash_notifier()
                return
            if fate == "taken":
                self.outbox.delivered(step, self.now_us)
            else:  # the request was lost, or the answer
                self.outbox.failed(step, self.now_us, 0.3)
            self.keep_deliveries()

    def keep_deliveries(self):
        """Write a checkpoint of the notifier: its state and its position."""
        _keep(self.deliveries, self.outbox.changed())
        self.kept_position = self.position

    def crash_notifier(self):
        """Restart the notifier from its last checkpoint."""
        self.outbox, self.position = OutboxCore(self.settings), self.kept_position
        self.outbox.restore(self.deliveries.items())

    def keep(self):
        """Return the durable state of the worker."""
        _keep(self.state, self.watch.changed())
        return self.state

    def restart(self, **changed):
        """Restart the worker, with another configuration if given."""
        self.keep()
        self.restart_from_kept(**changed)

    def restart_from_kept(self, **changed):
        """Restart the worker from the durable state, which a test may have changed."""
        self.written |= changed
        self.settings = Config.model_validate(self.written)
        self.watch = Watch(self.settings)
        self.watch.restore(self.state.items())

    def drop(self, key):
        """Drop a record as ``python -m agents state drop`` does while the worker is down; its open deliveries
        are resolved.
        """
        partition_state = PartitionState(
            self.watch.partition_state.pane_us, self.watch.partition_state.digest
        )
        partition_state.restore([(key, self.keep().pop(key))])
        kind = json.loads(key)[0]
        if kind == "incident":
            self.publish(ended_incidents(partition_state, "state_dropped", self.now_us))
        elif kind == "episode":
            self.publish(
                ended_episodes(partition_state, {}, "state_dropped", self.now_us, self.settings.kafka.prefix)
            )
        self.restart_from_kept()

    def transitions(self, rule, level="feature", **labels):
        """Return (state, second of the edge) of the incidents of a rule."""
        return [
            (record["state"], (datetime.fromisoformat(record["time"]) - NINE).total_seconds())
            for record in self.records
            if (record["record"], record.get("rule"), record.get("level")) == ("transition", rule, level)
            and labels.items() <= record.items()
        ]

    def times_of(self, kind):
        """Return the seconds at which a person got a page, a ticket or a note."""
        return [second for second, received, _ in self.pagerduty.received if received == kind]


def _keep(state, changed):
    for key, value in changed:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


@pytest.fixture(scope="session")
def make_world():
    """Make a deployment: ``make_world({"rules": [...]})``."""
    return lambda settings=None: World(settings)


@pytest.fixture(scope="session")
def call():
    """Make one event of a second, as ``run`` takes it: ``call(60.0, error_type="timeout")``."""

    def make(second, **more):
        return second, event(second, **more)

    return make
