from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from monitor.channels.interface import Delivered, Permanent, Retry, Step
from monitor.channels.pagerduty import BODY_BYTES, PagerDuty
from schemas.config.monitor_config import Config
from schemas.records import Change

KEY = "0123456789abcdef0123456789abcdef"
NOW_US = 0  # it does not look at it
GOLDEN = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "softfail/e1/high",
    "client": "softfail",
    "client_url": "https://status.example/?f=support-bot%2Fanswer",
    "links": [
        {"href": "https://status.example/?f=support-bot%2Fanswer", "text": "Status"},
        {
            "href": "https://dash.example/d?service=support-bot&from=1772441100000&to=1772443020000",
            "text": "Dashboard",
        },
    ],
    "payload": {
        "summary": (
            "support-bot/answer: 23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar"
            " 09:00 UTC, 310 events in 5 min"
        ),
        "source": "support-bot/answer",
        "severity": "critical",
        "timestamp": "2026-03-02T09:00:00Z",
        "component": "answer",
        "group": "support-bot",
        "class": "refusals",
        "custom_details": {
            "why_now": "opened",
            "findings": [
                "23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar 09:00 UTC, 310"
                " events in 5 min"
            ],
            "next_step": (
                "Read the refusals; compare prompt versions, roll back a new one; else ask whether the"
                " provider's policy changed."
            ),
            "episode_id": "e1",
            "environment": "production",
            "started_at": "2026-03-02T09:00:00Z",
            "last_change": "2 Mar 09:02 UTC: refusals fired",
            "incidents": [
                {
                    "rule": "refusals",
                    "severity": "critical",
                    "state": "firing",
                    "segment": "whole feature",
                    "since": "2026-03-02T09:00:00Z",
                    "metric": "evaluator.refusal.fail_rate",
                    "value": 0.23,
                    "interval": [0.19, 0.28],
                    "events": 310.0,
                    "window_s": 300.0,
                    "incident_id": "e1-refusals",
                    "above": 0.02,
                }
            ],
            "examples": [
                {
                    "event_id": "r1",
                    "time": "2026-03-02T09:00:00Z",
                    "model": "gpt-x",
                    "evaluator": "refusal",
                    "reason": "says that it cannot",
                    "output": "I'm sorry, I can't help.",
                }
            ],
        },
    },
}


@pytest.fixture
def channel():
    return PagerDuty(
        Config.model_validate(
            {
                "channels": {"pagerduty": {"routing_key": KEY}},
                "links": {
                    "status": "https://status.example/?f={service}%2F{feature}",
                    "runbook": "file:///etc/passwd",
                    "dashboard": "https://dash.example/d?service={service}&from={from_ms}&to={to_ms}",
                },
            }
        )
    )


def step(episode, action="trigger", urgency=None, reason="opened", **more):
    return Step("pagerduty", episode.episode_id, action, urgency or episode.urgency, reason, episode, **more)


def sent(channel, step):
    return json.loads(channel.request(step, NOW_US).body)


def test_the_payload_equals_its_golden_file(channel, episode_of):
    request = channel.request(step(episode_of(minute=2)), NOW_US)
    assert json.loads(request.body) == GOLDEN
    assert (request.method, request.url, request.timeout_s) == (
        "POST",
        "https://events.pagerduty.com/v2/enqueue",
        10.0,
    )
    assert dict(request.headers)["Content-Type"] == "application/json"


def test_the_likely_cause_is_in_the_summary_before_the_numbers(channel, episode_of):
    payload = sent(
        channel,
        step(
            episode_of(
                causes=["new prompt version v8: in use since 08:54 UTC, 6 min before this began", "another"]
            )
        ),
    )["payload"]
    assert payload["summary"].endswith(
        ", 310 events in 5 min; likely: new prompt version v8: in use since 08:54 UTC, 6 min before this"
        " began"
    )
    assert payload["custom_details"]["likely_cause"] == [
        "new prompt version v8: in use since 08:54 UTC, 6 min before this began",
        "another",
    ]
    assert list(payload["custom_details"])[:4] == ["why_now", "findings", "likely_cause", "next_step"]


def test_a_resolve_contains_only_its_key(channel, episode_of):
    assert sent(channel, step(episode_of(state="resolved"), "resolve")) == {
        "routing_key": KEY,
        "event_action": "resolve",
        "dedup_key": "softfail/e1/high",
    }


def test_a_note_is_a_ticket_with_its_own_key(channel, episode_of):
    event = sent(channel, step(episode_of(state="resolved", minute=30), "note", "low", "missed while down"))
    assert (event["event_action"], event["dedup_key"], event["payload"]["severity"]) == (
        "trigger",
        "softfail/e1/missed",
        "warning",
    )
    assert event["payload"]["summary"].startswith(
        "Missed while down, over since 2 Mar 09:30 UTC: support-bot/answer: 23 % of answers refused"
    )


@pytest.mark.parametrize(
    ("urgency", "severity", "says"),
    [
        ("high", "critical", "critical"),
        ("high", "error", "error"),
        ("high", "warning", "error"),
        ("low", "critical", "warning"),
        ("low", "error", "warning"),
        ("low", "warning", "warning"),
        ("low", "info", "info"),
    ],
)
def test_severity_never_contradicts_the_urgency(channel, episode_of, urgency, severity, says):
    assert sent(channel, step(episode_of(urgency=urgency, severity=severity)))["payload"]["severity"] == says


def test_an_episode_of_any_size_respects_every_limit(channel, episode_of):
    label = "ж" * 256
    huge = episode_of(
        rules=tuple(f"rule-{number}" for number in range(400)),
        service=label,
        feature=label,
        environment=label,
    )
    dimensions = {f"{number}-{label}"[:256]: label for number in range(32)}
    huge = huge.model_copy(
        update={
            "incidents": [
                incident.model_copy(update={"level": "segment", "dimensions": dimensions})
                for incident in huge.incidents
            ],
            "examples": [
                example.model_copy(update={"output": "word " * 40_000}) for example in huge.examples
            ],
        }
    )
    body = channel.request(step(huge, left_out=77), NOW_US).body
    event = json.loads(body)
    assert len(body) <= BODY_BYTES
    assert len(event["payload"]["summary"]) <= 1024
    assert event["payload"]["summary"].endswith("; and 476 more findings")
    assert event["payload"]["custom_details"]["left_out"]


def test_lone_surrogates_and_control_characters_produce_a_valid_event(channel, episode_of):
    odd = episode_of(service="a\x00\n\x1b[31mb")
    odd = odd.model_copy(update={"examples": [odd.examples[0].model_copy(update={"output": "\ud800"})]})
    assert sent(channel, step(odd))["payload"]["summary"].startswith("a [31mb/answer:")


def test_only_http_links_are_sent_and_their_values_are_quoted(channel, episode_of):
    links = sent(channel, step(episode_of(service="a b&c=d/../{feature}")))["links"]
    assert [link["text"] for link in links] == ["Status", "Dashboard"]
    assert "service=a%20b%26c%3Dd%2F..%2F%7Bfeature%7D&" in links[1]["href"]


@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (429, {}, Retry("429: said", 30.0, hold=True)),
        (429, {"Retry-After": "0"}, Retry("429: said", 0.0, hold=True)),
        (429, {"retry-after": "99999999"}, Retry("429: said", 3600.0, hold=True)),
        (408, {}, Retry("408: said")),
        (500, {}, Retry("500: said")),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:01:00 GMT"}, Retry("503: said", 50.0)),
        (None, {}, Retry("said")),
    ],
)
def test_each_response_code_has_one_meaning(channel, status, headers, result):
    assert channel.interpret(status, headers, b" said\n", 10_000_000) == result


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (202, b'{"status": "success", "message": "Event processed", "dedup_key": "a/b"}', Delivered),
        (202, b'{"status": "success", "message": "Change event processed"}', Delivered),
        (202, b'{"status": "invalid event"}', Retry),
        (202, b'{"status": ["success"]}', Retry),
        (202, b'["status", "success"]', Retry),
        (202, b"", Retry),
        (202, b"success", Retry),
        (202, b'{"status": "success"', Retry),
        (200, b'{"status": "success"}', Retry),
        (204, b"", Retry),
        (400, b'{"status": "invalid event", "message": "Event object is invalid", "errors": []}', Permanent),
        (400, b'{"status": "success"}', Retry),
        (400, b"plain HTTP request was sent to HTTPS port", Retry),
    ],
)
def test_only_an_answer_of_pagerduty_itself_confirms_or_refuses(channel, status, body, result):
    assert type(channel.interpret(status, {}, body, 0)) is result


def test_a_redirect_is_retried_with_the_remedy(channel):
    assert "configure the address" in channel.interpret(301, {}, b"", 0).reason


def test_the_routing_key_is_only_in_the_body(channel, episode_of):
    request = channel.request(step(episode_of()), NOW_US)
    quoted = channel.interpret(400, {}, f"invalid key {KEY}".encode(), 0)
    assert KEY not in f"{request!r}{request}{channel!r}{vars(channel)}{quoted!r}"
    assert KEY.encode() in request.body


def test_a_channel_requires_its_configuration():
    with pytest.raises(ValueError, match="not configured"):
        PagerDuty(Config())


def change(**more):
    time = datetime(2026, 3, 2, 9, tzinfo=UTC)
    fields = {
        "record": "change",
        "change_id": "c1",
        "service": "support-bot",
        "feature": "answer",
        "environment": "production",
        "kind": "prompt version",
        "name": "v8",
        "before": "v7",
        "time": time,
        "decided_at": time + timedelta(seconds=61),
    }
    return Change(**(fields | more))


def test_a_change_shows_no_hidden_character(channel):
    evil = "v\x1b[2J\u202e8\u200b"
    payload = json.loads(channel.change_request(change(name=evil, service=evil), NOW_US).body)["payload"]
    assert payload["summary"] == "v [2J8/answer: new prompt version v [2J8, until then mostly v7"
    assert payload["custom_details"]["name"] == payload["custom_details"]["service"] == "v [2J8"


def test_a_change_equals_its_golden_payload(channel):
    request = channel.change_request(change(), NOW_US)
    assert (request.method, request.url, request.timeout_s) == (
        "POST",
        "https://events.pagerduty.com/v2/change/enqueue",
        10.0,
    )
    assert json.loads(request.body) == {
        "routing_key": KEY,
        "payload": {
            "summary": "support-bot/answer: new prompt version v8, until then mostly v7",
            "source": "support-bot/answer",
            "timestamp": "2026-03-02T09:00:00Z",
            "custom_details": {
                "change_id": "c1",
                "service": "support-bot",
                "feature": "answer",
                "environment": "production",
                "kind": "prompt version",
                "name": "v8",
                "before": "v7",
                "decided_at": "2026-03-02T09:01:01Z",
            },
        },
        "links": [
            {"href": "https://status.example/?f=support-bot%2Fanswer", "text": "Status"},
            {
                "href": "https://dash.example/d?service=support-bot&from=1772441100000&to=1772442900000",
                "text": "Dashboard",
            },
        ],
    }
    assert KEY not in f"{request!r}{channel!r}"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"kind": "answering model", "name": "gpt-n", "before": "gpt-o"},
            (
                "support-bot/answer: gpt-n answers now, until then mostly gpt-o, though no other model is"
                " asked for"
            ),
        ),
        ({"kind": "model", "name": "gpt-n", "before": ""}, "support-bot/answer: new model gpt-n"),
        (
            {"kind": "service version", "name": "2.1", "environment": "canary", "before": ""},
            "support-bot/answer (canary): new service version 2.1",
        ),
    ],
)
def test_a_change_is_described_in_a_sentence(channel, more, says):
    assert json.loads(channel.change_request(change(**more), NOW_US).body)["payload"]["summary"] == says


def test_a_change_with_any_labels_respects_the_limits(channel):
    odd = change(
        service="ж\n" * 300,
        feature="ж" * 600,
        environment="e" * 600,
        name="\ud800" * 5000,
        kind="k" * 900,
        before="b" * 900,
    )
    event = json.loads(channel.change_request(odd, NOW_US).body)
    assert len(event["payload"]["summary"]) <= 1024
    assert "\n" not in event["payload"]["summary"] + event["payload"]["source"]
