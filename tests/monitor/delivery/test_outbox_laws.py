"""Under any crashes and failures each episode is opened once, then resolved once, and none is lost."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from tests.monitor.delivery.outbox_core import OutboxCore
from tests.tiers import examples

CONFIG = Config.model_validate(
    {"channels": {"pagerduty": {"routing_key": "0123456789abcdef0123456789abcdef"}}}
)
SCRIPTS = {
    "pages": [("opened", "high"), ("updated", "high"), ("resolved", "high")],
    "escalates": [("opened", "low"), ("escalated", "high"), ("resolved", "high")],
    "is-a-ticket": [("opened", "low"), ("updated", "low"), ("resolved", "low")],
    "still-fires": [("opened", "low"), ("escalated", "high"), ("updated", "high")],
}
SECOND = 1_000_000


class FakePagerDuty:
    """A minimal PagerDuty: a trigger opens or adds, a resolve closes, and a resolve of a closed key is
    dropped.
    """

    def __init__(self):
        self.effects = []  # (key, opened or closed)
        self.is_open = set()

    def take(self, step):
        if step.action == "resolve" and step.dedup_key in self.is_open:
            self.is_open.remove(step.dedup_key)
            self.effects.append((step.dedup_key, "closed"))
        elif step.action != "resolve" and step.dedup_key not in self.is_open:
            self.is_open.add(step.dedup_key)
            self.effects.append((step.dedup_key, "opened"))


class Notifier:
    """Stands for the agent: position and state become durable together; after a crash only durable state is
    known.
    """

    def __init__(self, log, now_us):
        self.log, self.now_us = log, now_us
        self.outbox, self.position = OutboxCore(CONFIG), 0
        self.durable, self.durable_position = {}, 0
        self.receiver = FakePagerDuty()

    def read(self):
        if self.position < len(self.log):
            self.outbox.apply([self.log[self.position]], self.now_us)
            self.position += 1

    def checkpoint(self):
        for key, value in self.outbox.changed():
            if value is None:
                self.durable.pop(key, None)
            else:
                self.durable[key] = value
        self.durable_position = self.position

    def crash(self):
        self.outbox, self.position = OutboxCore(CONFIG), self.durable_position
        self.outbox.restore(self.durable.items())

    def send(self, fate):
        step = self.outbox.due("pagerduty", self.now_us)
        if step is None:
            self.now_us += 20 * SECOND
            return False
        if fate != "lost on the way":
            self.receiver.take(step)
        if fate == "crash after sending":
            self.crash()
        elif fate == "taken":
            self.outbox.delivered(step, self.now_us)
            self.checkpoint()
        else:  # the answer was lost, or the request was
            self.outbox.failed(step, self.now_us, 0.3)
        return True


def log_of(episode_of, order):
    """Interleave the scripts of all episodes in the given order."""
    left = {name: list(script) for name, script in SCRIPTS.items()}
    log = []
    for pick in order:
        alive = [name for name, script in left.items() if script]
        name = alive[pick % len(alive)]
        state, urgency = left[name].pop(0)
        log.append(FileRecord(episode_of(name, state, urgency=urgency).model_dump_json().encode(), len(log)))
    return log


STEPS = st.lists(
    st.sampled_from(
        [
            "read",
            "read",
            "checkpoint",
            "crash",
            "taken",
            "taken",
            "lost on the way",
            "answer lost",
            "crash after sending",
        ]
    ),
    max_size=80,
)
ORDER = st.lists(st.integers(0, 3), min_size=12, max_size=12)


def run(notifier, steps):
    for step in steps:
        if step in ("read", "checkpoint", "crash"):
            getattr(notifier, step)()
        else:
            notifier.send(step)
    while notifier.position < len(notifier.log):
        notifier.read()
    idle = 0
    while idle < 60:  # the channel works now: longer than any wait
        idle = 0 if notifier.send("taken") else idle + 1


@settings(max_examples=examples(3))
@given(order=ORDER, steps=STEPS)
def test_each_episode_is_opened_once_and_then_resolved_once(episode_of, nine_us, order, steps):
    notifier = Notifier(log_of(episode_of, order), nine_us)
    run(notifier, steps)
    effects = {
        name: [
            (key.rsplit("/", 1)[1], effect)
            for key, effect in notifier.receiver.effects
            if key == f"softfail/{name}/{key.rsplit('/', 1)[1]}"
        ]
        for name in SCRIPTS
    }
    assert effects["pages"] == [("high", "opened"), ("high", "closed")]
    assert effects["is-a-ticket"] == [("low", "opened"), ("low", "closed")]
    high = [effect for urgency, effect in effects["escalates"] if urgency == "high"]
    low = [effect for urgency, effect in effects["escalates"] if urgency == "low"]
    assert high == ["opened", "closed"]
    assert low in ([], ["opened", "closed"])
    assert notifier.receiver.is_open == {"softfail/still-fires/high"}


@settings(max_examples=examples(2))
@given(order=ORDER, steps=STEPS)
def test_a_page_opens_before_its_ticket_is_resolved(episode_of, nine_us, order, steps):
    notifier = Notifier(log_of(episode_of, order), nine_us)
    run(notifier, steps)
    effects = notifier.receiver.effects
    for name in ("escalates", "still-fires"):
        if (f"softfail/{name}/low", "closed") in effects:
            assert effects.index((f"softfail/{name}/high", "opened")) < effects.index(
                (f"softfail/{name}/low", "closed")
            )


@settings(max_examples=examples(2))
@given(order=ORDER, steps=STEPS)
def test_a_restored_outbox_behaves_like_the_original(episode_of, nine_us, order, steps):
    notifier = Notifier(log_of(episode_of, order), nine_us)
    for step in steps:
        if step in ("read", "checkpoint", "crash"):
            getattr(notifier, step)()
        else:
            notifier.send(step)
    notifier.checkpoint()
    restored = OutboxCore(CONFIG)
    restored.restore(notifier.durable.items())
    later_us = notifier.now_us + 600 * SECOND  # after every wait: waits are not kept

    def rest(outbox):
        steps = []
        while (step := outbox.due("pagerduty", later_us)) is not None:
            steps.append(step)
            outbox.delivered(step, later_us)
        # stable: in order per episode; how often each was tried is not kept
        return sorted(steps, key=lambda step: step.episode_id)

    assert rest(restored) == rest(notifier.outbox)
    assert list(restored.measures()) == list(notifier.outbox.measures())


@settings(max_examples=examples(1 / 2))
@given(order=ORDER, cut=st.integers(0, 12))
def test_bundles_of_any_size_give_the_same_state(episode_of, nine_us, order, cut):
    log = log_of(episode_of, order)
    whole, halves = OutboxCore(CONFIG), OutboxCore(CONFIG)
    whole.apply(log, nine_us)
    halves.apply(log[:cut], nine_us)
    halves.apply(log[cut:], nine_us)
    assert sorted(whole.changed()) == sorted(halves.changed())


def silence(start_us, end_us, number):
    value = {
        "record": "silence",
        "silence_id": f"s{number % 2}",
        "match": "support-bot/*",
        "starts_at": rfc3339(start_us),
        "ends_at": rfc3339(end_us),
        "reason": "r",
        "time": rfc3339(start_us),
    }
    return FileRecord(json.dumps(value).encode(), number)


MUTED_STEPS = st.lists(
    st.sampled_from(
        [
            "read",
            "read",
            "checkpoint",
            "crash",
            "taken",
            "taken",
            "lost on the way",
            "answer lost",
            "crash after sending",
            "a minute",
            "a minute",
            0,
            1,
            2,
            9,
        ]
    ),
    max_size=60,
)
"""A number: a silence of so many minutes, or the end of one."""


@settings(max_examples=examples(2))
@given(order=ORDER, steps=MUTED_STEPS)
def test_silences_suppress_triggers_leave_no_ended_episode_open_and_end_with_all_firing_episodes_open(
    episode_of, nine_us, order, steps
):
    """Records are written at the time of their decision; silences and crashes occur in between."""
    coming, log = log_of(episode_of, order), []
    notifier, silent, covered_at_opening = Notifier(log, nine_us), {}, []

    def covered():
        return any(start <= notifier.now_us < end for start, end in silent.values())

    for step in steps:
        if step == "a minute":
            notifier.now_us += 60 * SECOND
        elif isinstance(step, int):
            name = len(log) % 2
            silent[name] = notifier.now_us, notifier.now_us + step * 60 * SECOND
            log.append(silence(*silent[name], len(log)))
            notifier_reads_all(notifier)  # it holds from when it is read
        elif step == "read":
            if coming:
                log.append(decided(coming.pop(0), notifier.now_us, len(log)))
            notifier.read()
        elif step in ("checkpoint", "crash"):
            getattr(notifier, step)()
            notifier_reads_all(notifier)  # nothing is sent before all is read
        else:
            opened = set(notifier.receiver.is_open)
            was_covered = covered()
            notifier_reads_all(notifier)
            notifier.send(step)
            notifier_reads_all(notifier)
            covered_at_opening += [key for key in notifier.receiver.is_open - opened if was_covered]
    assert covered_at_opening == []
    for record in coming:
        log.append(decided(record, notifier.now_us, len(log)))
    run(notifier, [])
    while covered():
        notifier.now_us += 60 * SECOND
    run(notifier, [])
    assert {key for key in notifier.receiver.is_open if not key.endswith("/missed")} == {
        "softfail/still-fires/high"
    }


def notifier_reads_all(notifier):
    while notifier.position < len(notifier.log):
        notifier.read()


def decided(record, now_us, offset):
    """Return the same episode with the current time."""
    fields = json.loads(record.value)
    return FileRecord(
        json.dumps(fields | {"decided_at": rfc3339(now_us), "time": rfc3339(now_us)}).encode(), offset
    )
