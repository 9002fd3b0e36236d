from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from monitor.channels.alertmanager import HOLD_US, Alertmanager
from monitor.channels.interface import Delivered, Permanent, Retry, Step
from monitor.delivery.delivery_times import REPEAT_US
from monitor.wording import episode_text
from schemas.config.monitor_config import Config

NOW_US = 1_772_443_800_000_000  # 2 March 2026, 09:30 UTC
SUMMARY = (
    "support-bot/answer: 23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar 09:00 UTC,"
    " 310 events in 5 min"
)
GOLDEN = [
    {
        "labels": {
            "alertname": "SoftfailDegraded",
            "service": "support-bot",
            "feature": "answer",
            "environment": "production",
            "severity": "critical",
            "urgency": "high",
            "episode": "e1",
            "key": "softfail/e1/high",
        },
        "annotations": {
            "summary": SUMMARY,
            "description": (
                "- 23 % of answers refused (19 to 28 %; should stay under 2 %), since 2 Mar 09:00 UTC, 310"
                " events in 5 min\ne.g. refusal: I'm sorry, I can't help."
            ),
            "why_now": "opened",
            "episode_severity": "critical",
            "findings": "1",
            "last_change": "2 Mar 09:02 UTC: refusals fired",
            "status_url": "https://status.example/?f=answer",
            "runbook_url": "https://wiki.example/support-bot",
        },
        "startsAt": "2026-03-02T09:00:00Z",
        "endsAt": "2026-03-02T21:30:00Z",
        "generatorURL": "https://status.example/?f=answer",
    }
]


def channel(**more):
    return Alertmanager(
        Config.model_validate(
            {
                "channels": {"alertmanager": {"url": "http://alertmanager:9093/am/"} | more},
                "links": {
                    "status": "https://status.example/?f={feature}",
                    "runbook": "https://wiki.example/{service}",
                },
            }
        )
    )


def step(episode, action="trigger", urgency=None, reason="opened", **more):
    return Step(
        "alertmanager", episode.episode_id, action, urgency or episode.urgency, reason, episode, **more
    )


def sent(step, now_us=NOW_US):
    (alert,) = json.loads(channel().request(step, now_us).body)
    return alert


def ends(alert):
    return datetime.fromisoformat(alert["endsAt"])


NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)


def test_the_alert_equals_its_golden_payload(episode_of):
    request = channel().request(step(episode_of(minute=2)), NOW_US)
    (alert,) = json.loads(request.body)
    assert alert["annotations"].pop("next_step") == episode_text.next_step(episode_of())
    assert [alert] == GOLDEN
    assert (request.method, request.url, request.timeout_s) == (
        "POST",
        "http://alertmanager:9093/am/api/v2/alerts",
        10.0,
    )
    assert "Authorization" not in dict(request.headers)


def test_the_watchdog_equals_its_golden_payload_and_logs_in_like_alerts():
    request = channel(url="https://alertmanager:9093/", token="geheim").watchdog(NOW_US)
    assert json.loads(request.body) == [
        {
            "labels": {
                "alertname": "SoftfailWatchdog",
                "service": "softfail",
                "prefix": "softfail",
                "severity": "none",
            },
            "annotations": {
                "summary": (
                    "All is well: softfail measures and delivers. Send this to a dead man's switch, which"
                    " tells you when it ends"
                )
            },
            "startsAt": "2026-03-02T09:30:00Z",
            "endsAt": "2026-03-02T09:35:00Z",
        }
    ]
    assert (request.method, request.url) == ("POST", "https://alertmanager:9093/api/v2/alerts")
    assert dict(request.headers)["Authorization"] == "Bearer geheim"


def test_labels_are_constant_from_the_first_trigger_to_the_resolve(episode_of):
    steps = [
        step(episode_of(severity="error")),
        step(episode_of("e1", "updated", minute=9, severity="critical", rules=("a", "b")), reason="updated"),
        step(episode_of("e1", "updated", minute=9, severity="critical"), reason="still firing"),
        step(episode_of("e1", "resolved", minute=20, severity="critical"), "resolve", reason="resolved"),
    ]
    alerts = [sent(step) for step in steps]
    assert [alert["labels"] for alert in alerts] == [alerts[0]["labels"]] * 4
    assert [alert["startsAt"] for alert in alerts] == [alerts[0]["startsAt"]] * 4


def test_page_ticket_and_note_of_an_episode_are_three_alerts(episode_of):
    alerts = [
        sent(step(episode_of())),
        sent(step(episode_of(urgency="low"))),
        sent(step(episode_of(state="resolved"), "note", "low")),
    ]
    assert [
        (alert["labels"]["alertname"], alert["labels"]["severity"], alert["labels"]["key"])
        for alert in alerts
    ] == [
        ("SoftfailDegraded", "critical", "softfail/e1/high"),
        ("SoftfailDegraded", "warning", "softfail/e1/low"),
        ("SoftfailMissed", "warning", "softfail/e1/missed"),
    ]
    assert alerts[2]["annotations"]["summary"].startswith(
        "Missed while down, over since 2 Mar 09:00 UTC: support-bot/answer: "
    )


def test_a_firing_alert_outlives_one_lost_repetition_of_its_trigger(episode_of):
    assert HOLD_US >= 2 * REPEAT_US
    assert ends(sent(step(episode_of()))) == NOW + timedelta(microseconds=HOLD_US)
    assert ends(sent(step(episode_of()), NOW_US + REPEAT_US)) == NOW + timedelta(
        microseconds=HOLD_US + REPEAT_US
    )


@pytest.mark.parametrize(
    ("minute", "ends_at"),
    [(20, "2026-03-02T09:20:00Z"), (29, "2026-03-02T09:25:00Z"), (99, "2026-03-02T09:25:00Z")],
)
def test_the_end_of_a_resolve_is_in_the_past_also_for_a_clock_that_is_minutes_behind(
    episode_of, minute, ends_at
):
    assert sent(step(episode_of(state="resolved", minute=minute), "resolve"))["endsAt"] == ends_at


def test_no_alert_ends_before_its_start(episode_of):
    began_us = NOW_US - 30 * 60_000_000
    for action in ("trigger", "resolve", "note"):
        for now_us in (began_us - 3_600_000_000, began_us, began_us + 60_000_000):
            alert = sent(step(episode_of(state="resolved"), action), now_us)
            assert ends(alert) >= datetime.fromisoformat(alert["startsAt"])


def test_a_note_expires_within_the_hour(episode_of):
    assert NOW < ends(sent(step(episode_of(state="resolved"), "note", "low"))) <= NOW + timedelta(hours=1)


def test_the_likely_causes_are_listed_beside_the_findings(episode_of):
    alert = sent(step(episode_of(causes=["a new prompt version", "a new model"])))
    assert alert["annotations"]["likely_cause"] == "a new prompt version; a new model"


def test_many_findings_are_truncated_and_counted(episode_of):
    alert = sent(step(episode_of(rules=tuple(map(str, range(15))), apart=True), left_out=3))
    assert alert["annotations"]["description"].count("- 23 % of answers failed") == 10
    assert "\n- and 8 more\n" in alert["annotations"]["description"]
    assert alert["annotations"]["findings"] == "18"


@pytest.mark.parametrize(
    ("login", "header"),
    [
        ({"token": "geheim-token"}, "Bearer geheim-token"),
        ({"username": "me", "password": "geheim"}, "Basic bWU6Z2VoZWlt"),
    ],
)
def test_the_login_is_sent_and_never_shown(episode_of, login, header):
    alertmanager = channel(url="https://alertmanager:9093", **login)
    request = alertmanager.request(step(episode_of()), NOW_US)
    assert dict(request.headers)["Authorization"] == header
    reason = alertmanager.interpret(401, {}, f"not {header}".encode(), 0).reason
    assert reason.startswith(f"401: not {header.split()[0]} <SECRET> (")
    assert "geheim" not in f"{request!r}{vars(alertmanager)}{request.body!r}"


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"", Delivered),
        (200, b"{}", Delivered),
        (200, b'{"status":"success"}', Delivered),
        (200, b'{"status":"error"}', Retry),
        (200, b"<html>", Retry),
        (200, b"OK", Retry),
        (202, b"", Retry),
        (204, b"", Retry),
        (400, b'"bad"', Permanent),
        (400, b"bad", Retry),
    ],
)
def test_only_an_answer_of_alertmanager_itself_confirms_or_refuses(status, body, result):
    assert type(channel().interpret(status, {}, body, 0)) is result


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "alertmanager:9093"}, "url: must be an address"),
        ({"url": "http://a/api/v2/alerts"}, "without /api/v2"),
        ({"url": "http://a/?b=c"}, "without /api/v2"),
        ({"url": "http://me:geheim@a/"}, "must not contain credentials"),
        ({"username": "me"}, "both username and password"),
        ({"password": "geheim"}, "both username and password"),
        ({"username": "m:e", "password": "geheim"}, "must not contain a colon"),
        ({"token": "geheim", "username": "me", "password": "geheim"}, "not both"),
        ({"token": "geheim geheim"}, "without spaces"),
        ({"token": "geheim"}, "sent unencrypted; write https"),
        ({"username": "me", "password": "geheim"}, "sent unencrypted; write https"),
    ],
)
def test_invalid_settings_are_refused_with_the_remedy_and_without_the_secret(settings, says):
    with pytest.raises(ValueError, match=says) as caught:
        channel(**settings)
    assert "geheim" not in str(caught.value)
