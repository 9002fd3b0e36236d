from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime

import pytest

from agents import notify as notify_module
from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from agents.notify import NotifyAgent
from monitor.delivery import outbox as outbox_module
from monitor.delivery.retries import CHANGES, EPISODES
from schemas.config.monitor_config import Config
from schemas.records import Change
from softfail.backoff import Backoff
from tests.agents.notify.memory_partition import MemoryPartition
from tests.polling import idle, until

KEY = "0123456789abcdef0123456789abcdef"
EVERY_FAULT = [
    Fault("status", 429, (("Retry-After", "0"),)),
    Fault("status", 500),
    Fault("close"),
    Fault("silence", delay_s=0.5),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    quick_episodes = EPISODES._replace(probes=Backoff(0.02, 60.0), steps=Backoff(0.02, 300.0))
    monkeypatch.setattr(outbox_module, "EPISODES", quick_episodes)
    monkeypatch.setattr(outbox_module, "CHANGES", CHANGES._replace(probes=Backoff(0.02, 300.0)))
    monkeypatch.setattr(notify_module, "CHANGES_S", 0.02)


@pytest.fixture
def change():
    """Make a change of the current time."""
    fields = {
        "record": "change",
        "service": "support-bot",
        "feature": "answer",
        "environment": "production",
        "kind": "prompt version",
        "before": "v7",
    }
    now = datetime.now(UTC)
    return lambda name: Change(**fields, change_id=name, name=name, time=now, decided_at=now)


def config_for(url, **channels):
    return Config.model_validate(
        {"channels": {"pagerduty": {"routing_key": KEY, "url": url, "timeout": 0.25}} | channels}
    )


def run(scene):
    """Run an async function that gets a started receiver and ``begin(config, durable) -> partition``, whose
    task ends with the function.
    """

    async def play():
        receiver, tasks = FakePagerDuty(KEY), []
        await receiver.start()

        def begin(config, durable=()):
            agent = NotifyAgent(config)
            partition = MemoryPartition(agent.core(0, 1), durable)
            tasks.append(asyncio.create_task(agent.tend(partition)))
            partition.task = tasks[-1]
            return partition

        try:
            await scene(receiver, begin)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await receiver.stop()

    asyncio.run(play())


def test_each_delivery_is_accepted_once_in_order_by_a_receiver_with_all_faults(recent):
    async def scene(receiver, begin):
        receiver.faults.extend(EVERY_FAULT)
        partition = begin(config_for(receiver.url))
        partition.put(recent())
        await until(lambda: receiver.incidents)
        receiver.faults.extend(EVERY_FAULT)
        partition.put(recent(state="resolved"))
        await until(lambda: receiver.incidents[0].resolved_at)
        await until(lambda: partition.checkpoints >= 10)
        trigger, resolve = ("trigger", "softfail/e1/high"), ("resolve", "softfail/e1/high")
        assert receiver.answers == [
            (*step, status) for step in (trigger, resolve) for status in (429, 500, None, None, 202)
        ]
        assert [(incident.triggers, incident.dedup_key) for incident in receiver.incidents] == [
            (1, "softfail/e1/high")
        ]
        assert json.loads(partition.durable[b"counts"]) == {"pagerduty": {"delivered": 2, "retried": 8}}

    run(scene)


def test_a_lost_response_opens_no_second_incident(recent):
    async def scene(receiver, begin):
        receiver.faults.extend([Fault("close", taken=True), Fault("silence", delay_s=0.5, taken=True)])
        partition = begin(config_for(receiver.url))
        partition.put(recent(), recent(state="resolved"))
        await until(lambda: receiver.incidents and receiver.incidents[0].resolved_at)
        assert len(receiver.incidents) == 1

    run(scene)


def test_nothing_is_sent_before_the_backlog_is_read(recent, change):
    async def scene(receiver, begin):
        partition = begin(config_for(receiver.url))
        partition.is_caught_up = False
        partition.put(recent("a"))
        await until(lambda: partition.looks >= 3)
        assert receiver.answers == []
        partition.is_caught_up = True
        await until(lambda: receiver.incidents)
        partition.is_caught_up = False
        looks = partition.looks
        partition.put(change("v8"))
        await until(lambda: partition.looks >= looks + 5)
        assert receiver.change_answers == []
        partition.is_caught_up = True
        await until(lambda: receiver.changes)

    run(scene)


def test_a_step_is_durable_before_the_next_is_sent(recent):
    async def scene(receiver, begin):
        partition = begin(config_for(receiver.url))
        keys = []
        take = receiver.take

        def noting(body):
            record = partition.durable.get(b"delivery/pagerduty/e1")
            keys.append(json.loads(record)["keys"] if record else None)
            return take(body)

        receiver.take = noting
        partition.put(recent(urgency="low"))
        await until(lambda: len(receiver.answers) == 1)
        await until(lambda: partition.checkpoints == 1)
        partition.put(recent(state="escalated"), recent(state="resolved"))
        await until(
            lambda: (
                len(receiver.incidents) == 2 and all(incident.resolved_at for incident in receiver.incidents)
            )
        )
        assert keys == [
            None,
            {"low": "open"},
            {"low": "open", "high": "open"},
            {"low": "open", "high": "closed"},
        ]

    run(scene)


def test_a_successor_repeats_and_loses_nothing(recent):
    async def scene(receiver, begin):
        first = begin(config_for(receiver.url))
        first.put(recent("a"), recent("b"))
        await until(lambda: len(receiver.incidents) == 2)
        await until(lambda: first.checkpoints == 2)
        first.put(recent("c"))
        first.durable.update(first.core.changed())
        first.task.cancel()
        second = begin(config_for(receiver.url), first.durable)
        second.put(recent("a", "resolved"), recent("b", "resolved"), recent("c", "resolved"))
        await until(
            lambda: (
                len(receiver.incidents) == 3 and all(incident.resolved_at for incident in receiver.incidents)
            )
        )
        assert [incident.triggers for incident in receiver.incidents] == [1, 1, 1]

    run(scene)


def test_a_hanging_channel_delays_no_other(recent, capfdbinary):
    async def scene(receiver, begin):
        receiver.faults.extend([Fault("silence", delay_s=50)])
        silent = {"routing_key": KEY, "url": receiver.url, "timeout": 60}
        begun = begin(config_for(receiver.url, console={}, pagerduty=silent))
        begun.put(recent())
        await until(lambda: begun.checkpoints >= 1)  # the silent one has not given an answer by then
        assert receiver.answers == []

    run(scene)
    assert (
        b"PAGE (critical, opened) support-bot/answer: 23 % of answers refused" in capfdbinary.readouterr().out
    )


def test_a_refused_step_is_a_dead_letter_and_the_next_episode_is_sent(recent, caplog):
    async def scene(receiver, begin):
        receiver.faults.append(Fault("status", 400))
        partition = begin(config_for(receiver.url))
        partition.put(recent("a"), recent("b"))
        await until(lambda: receiver.incidents)
        (letter,) = partition.outputs.messages["deadletter"]
        assert "400" in json.loads(letter.value)["error"]
        assert [incident.dedup_key for incident in receiver.incidents] == ["softfail/b/high"]

    run(scene)


def test_a_redirect_is_not_followed_and_the_step_is_sent_again(recent):
    async def scene(receiver, begin):
        receiver.faults.append(Fault("status", 307, (("Location", receiver.url),)))
        partition = begin(config_for(receiver.url))
        partition.put(recent())
        await until(lambda: receiver.incidents)
        assert [status for *_, status in receiver.answers] == [307, 202]

    run(scene)


def test_the_routing_key_is_in_no_log_line_state_record_or_dead_letter(recent, caplog):
    async def scene(receiver, begin):
        receiver.faults.extend([*EVERY_FAULT, Fault("status", 400)])
        partition = begin(config_for(receiver.url))
        partition.put(recent())
        await until(lambda: partition.outputs.messages)
        await until(lambda: partition.checkpoints >= 5)
        await receiver.stop()
        partition.put(recent("b"))
        await until(lambda: json.loads(partition.durable[b"counts"])["pagerduty"]["retried"] > 4)
        for content in (
            *partition.durable.values(),
            *(message.value for message in partition.outputs.messages["deadletter"]),
        ):
            assert KEY.encode() not in content

    with caplog.at_level(logging.DEBUG):
        run(scene)
    assert "again in" in caplog.text
    assert "refused" in caplog.text
    assert KEY not in caplog.text


def test_a_revoked_partition_sends_nothing(recent):
    async def scene(receiver, begin):
        partition = begin(config_for(receiver.url))
        await until(lambda: partition.looks > 3)
        partition.task.cancel()
        await asyncio.gather(partition.task, return_exceptions=True)
        partition.put(recent())
        await idle()
        assert receiver.answers == []

    run(scene)


def test_a_change_is_sent_once_through_every_fault_and_no_successor_repeats_it(change):
    async def scene(receiver, begin):
        receiver.change_faults.extend(EVERY_FAULT)
        first = begin(config_for(receiver.url))
        first.put(change("v8"), change("v9"))
        await until(lambda: len(receiver.changes) == 2)
        await until(
            lambda: all(
                b'"change":{' not in value
                for key, value in first.durable.items()
                if key.startswith(b"change/")
            )
        )
        first.task.cancel()
        second = begin(config_for(receiver.url), first.durable)
        second.put(change("v8"), change("v10"))
        await until(lambda: len(receiver.changes) == 3)
        assert sorted(change["payload"]["custom_details"]["name"] for change in receiver.changes) == [
            "v10",
            "v8",
            "v9",
        ]
        await until(
            lambda: (
                sorted(map(str, receiver.change_answers))
                == ["202", "202", "202", "429", "500", "None", "None"]
            )
        )
        assert receiver.answers == []

    run(scene)


def test_a_receiver_that_pauses_or_hangs_on_changes_delays_no_page(recent, change):
    async def scene(receiver, begin):
        receiver.change_faults.extend([Fault("status", 429, (("Retry-After", "600"),))])
        partition = begin(config_for(receiver.url))
        partition.put(change("v8"))
        await until(lambda: receiver.change_answers)
        partition.put(recent("a"))
        await until(lambda: receiver.incidents)
        assert receiver.changes == []

    async def silent(receiver, begin):
        receiver.change_faults.extend([Fault("silence", delay_s=50)])
        partition = begin(
            config_for(receiver.url, pagerduty={"routing_key": KEY, "url": receiver.url, "timeout": 60})
        )
        partition.put(change("v8"))
        await until(lambda: not receiver.change_faults)
        partition.put(recent("a"))
        await until(lambda: receiver.incidents)
        assert receiver.change_answers == []

    run(scene)
    run(silent)


def test_pages_are_sent_before_changes(recent, change):
    async def scene(receiver, begin):
        order = []
        take, take_change = receiver.take, receiver.take_change
        receiver.take = lambda body: order.append("page") or take(body)
        receiver.take_change = lambda body: order.append("change") or take_change(body)
        receiver.faults.extend([Fault("status", 500), Fault("slow", delay_s=0.1)])
        partition = begin(config_for(receiver.url))
        partition.put(change("v8"), recent("a"), recent("b"))
        await until(lambda: "change" in order)
        assert order[:2] == ["page", "page"]  # and again, if the receiver did not answer in time
        keys = {incident.dedup_key for incident in receiver.incidents}
        assert keys == {"softfail/a/high", "softfail/b/high"}

    run(scene)


def test_a_refused_change_is_a_dead_letter_without_the_key(change, caplog):
    async def scene(receiver, begin):
        receiver.change_faults.extend([Fault("status", 400)])
        partition = begin(config_for(receiver.url))
        partition.put(change("v8"))
        await until(lambda: partition.outputs.messages)
        (letter,) = partition.outputs.messages["deadletter"]
        assert "400" in json.loads(letter.value)["error"]
        for content in (*partition.durable.values(), letter.value):
            assert KEY.encode() not in content

    with caplog.at_level(logging.DEBUG):
        run(scene)
    assert "refused" in caplog.text
    assert KEY not in caplog.text
