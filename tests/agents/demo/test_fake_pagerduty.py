from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from agents.demo.fake_pagerduty import FakePagerDuty, Fault

KEY = "0123456789abcdef0123456789abcdef"


def event(action="trigger", key="k", **changes):
    whole = {"routing_key": KEY, "event_action": action, "dedup_key": key}
    if action == "trigger":
        whole["payload"] = {"summary": "it broke", "source": "here", "severity": "critical"}
    return json.dumps(whole | changes).encode()


def test_a_second_trigger_updates_the_incident_and_a_trigger_after_a_resolve_opens_another():
    receiver = FakePagerDuty(KEY)
    for action in ("trigger", "trigger", "acknowledge", "resolve", "trigger"):
        assert receiver.take(event(action))[0] == 202
    assert [
        (incident.triggers, incident.acknowledged, incident.resolved_at is None)
        for incident in receiver.incidents
    ] == [
        (2, True, False),
        (1, False, True),
    ]


def test_a_resolve_of_an_unknown_key_is_accepted_and_dropped():
    receiver = FakePagerDuty(KEY)
    assert receiver.take(event("resolve")) == (
        202,
        {"status": "success", "message": "Event processed", "dedup_key": "k"},
    )
    assert receiver.incidents == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (event("close"), "event_action"),
        (event(routing_key="short"), "32 characters"),
        (event(routing_key="f" * 32), "not the key"),
        (event(payload=None), "payload"),
        (event("resolve", None), "dedup_key"),
        (event(key="k" * 256), "dedup_key"),
        (event(payload={"summary": "s" * 1025, "source": "x", "severity": "critical"}), "1024"),
        (event(payload={"summary": "s", "source": "x", "severity": "fatal"}), "severity"),
        (event(payload={"summary": "s", "severity": "info"}), "source"),
        (event(images=[{"src": "http://x/y.png"}]), "https"),
        (event(links=[{"text": "x"}]), "href"),
        (event(client="c" * 600_000), "512 KB"),
    ],
)
def test_each_rule_of_the_api_is_enforced(body, fault):
    receiver = FakePagerDuty(KEY)
    status, answer = receiver.take(body)
    assert status == 400
    assert fault in " ".join(answer["errors"])
    assert receiver.incidents == []


def test_faults_are_applied_in_order_and_then_requests_succeed(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def post(receiver):
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(receiver.url, data=event(), timeout=aiohttp.ClientTimeout(total=0.3)) as answer,
            ):
                return answer.status, answer.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__

    async def play():
        receiver = FakePagerDuty(KEY)
        receiver.faults.extend(
            [
                Fault("status", 429, (("Retry-After", "7"),)),
                Fault("close"),
                Fault("silence", delay_s=0.5),
                Fault("slow", delay_s=0.1),
            ]
        )
        await receiver.start()
        answers = [await post(receiver) for _ in range(4)]
        await receiver.stop()
        return answers, receiver.incidents

    answers, incidents = asyncio.run(play())
    assert answers == [(429, "7"), "ServerDisconnectedError", "TimeoutError", (202, None)]
    assert [incident.triggers for incident in incidents] == [1]


def change(**more):
    return json.dumps(
        {"routing_key": KEY, "payload": {"summary": "a new prompt version", "source": "here"}} | more
    ).encode()


def test_a_change_event_opens_nothing_and_is_not_deduplicated():
    receiver = FakePagerDuty(KEY)
    assert [receiver.take_change(change())[0] for _ in range(2)] == [202, 202]
    assert [change["payload"]["summary"] for change in receiver.changes] == ["a new prompt version"] * 2
    assert receiver.incidents == []
    assert KEY not in str(receiver.changes)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (change(routing_key="short"), "32 characters"),
        (change(routing_key="f" * 32), "not the key"),
        (change(payload=None), "'payload' is missing"),
        (change(payload={"source": "x"}), "summary"),
        (change(payload={"summary": "s" * 1025}), "1024"),
        (change(payload={"summary": "s", "custom_details": []}), "custom_details"),
        (change(links=[{"text": "x"}]), "href"),
        (change(client="c" * 600_000), "512 KB"),
    ],
)
def test_each_rule_of_change_events_is_enforced(body, fault):
    receiver = FakePagerDuty(KEY)
    status, answer = receiver.take_change(body)
    assert (status, receiver.changes) == (400, [])
    assert fault in " ".join(answer["errors"])
