"""Findings about judges are tickets of the deployment's self-health, and end when the judge reports none."""

from __future__ import annotations

import json
from types import SimpleNamespace

from monitor.judging.findings import heartbeat
from monitor.judging.standing import Standing
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord, to_json
from schemas.config.monitor_config import Config
from tests.monitor.judging.test_trust import NOW_US, calibration, judge

SECOND_US = 1_000_000


def record(standing, now_us):
    core = SimpleNamespace(standings={standing.judge.name: standing}, partition=3, partitions=4)
    return FileRecord(to_json(heartbeat(core, now_us)), topic="alerts")


def episodes(notifier, standing, now_us, seconds):
    """Read a heartbeat each minute; return the episodes that are written, and the time."""
    found = []
    for second in range(seconds):
        now_us += SECOND_US
        if second % 60 == 0:
            notifier.apply([record(standing, now_us)], now_us)
        outputs = notifier.check_health(now_us)
        found += [json.loads(message.value) for message in outputs.messages.get("alerts", ())]
    return [each for each in found if each["record"] == "episode"], now_us


def test_a_changed_judge_is_a_ticket_that_ends_when_it_is_calibrated_again():
    standing = Standing(judge(calibration=calibration(identity="abc")))
    standing.answered_by("m-1")
    standing.changed_us, standing.change = NOW_US, "20 of 200 anchors have another verdict than usual"
    notifier = Notifier(Config(), 0)
    opened, now_us = episodes(notifier, standing, NOW_US, 400)
    (first, *_) = opened
    assert (first["service"], first["feature"], first["state"]) == ("softfail", "monitor", "opened")
    assert first["severity"] == "warning"
    assert [(incident["rule"], incident["state"]) for incident in first["incidents"]] == [
        ("judge-changed", "firing")
    ]
    assert "the judge grounded changed: 20 of 200 anchors" in json.dumps(first)
    standing.changed_us = 0
    standing.identity, standing._trust = "abc", None
    assert standing.trust(now_us).calibrated
    closed, _ = episodes(notifier, standing, now_us, 600)
    states = {incident["rule"]: incident["state"] for incident in closed[-1]["incidents"]}
    assert states.get("judge-changed", "resolved") == "resolved"


def test_a_judge_that_is_calibrated_and_answers_has_no_finding():
    standing = Standing(judge(calibration=calibration(identity="abc")))
    standing.identity = "abc"
    assert episodes(Notifier(Config(), 0), standing, NOW_US, 300)[0] == []


def test_a_provider_that_does_not_answer_is_named():
    standing = Standing(judge())
    for _ in range(5):
        standing.breaker.failed(
            NOW_US,
            0.0,
            0.0,
            "APIConnectionError: refused \x1b[31m sk-proj-Abcdefghijklmnopqrstuvwxyz0123456789abcd",
        )
    found, _ = episodes(Notifier(Config(), 0), standing, NOW_US, 400)
    assert "the judge grounded does not answer: APIConnectionError: refused" in json.dumps(found[0])
    assert "sk-proj" not in json.dumps(found)
    assert "\\u001b" not in json.dumps(found)
