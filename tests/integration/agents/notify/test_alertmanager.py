"""Tests with Debian's Alertmanager: active alerts, their end, and its notifications."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from agents import notify_http
from agents.notify_http import deliver
from monitor.channels.alertmanager import HOLD_US, WATCHDOG_US, Alertmanager
from monitor.channels.interface import Delivered, Permanent, Step
from schemas.config.monitor_config import Config
from tests.polling import wait_until
from tests.tiers import missing_service


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    """Address of Debian's Alertmanager, started once."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        missing_service("needs Debian's Alertmanager: apt-get install prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "config.yml").write_text(
        "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n"
    )
    with open(folder / "log", "wb") as log:
        flags = [
            f"--config.file={folder}/config.yml",
            f"--storage.path={folder}/data",
            "--cluster.listen-address=",
            "--web.listen-address=127.0.0.1:0",
        ]
        process = subprocess.Popen([program, *flags], stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"http://{_listening(process, folder / 'log')}"
    finally:
        process.terminate()
        process.wait(20)


def _listening(process, log, patience_s=60):
    deadline = time.monotonic() + patience_s
    while True:
        for line in log.read_text().splitlines():
            if "Listening on" in line and "address=" in line:
                return line.rpartition("address=")[2].strip()
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def tell(alertmanager):
    """Deliver steps to Alertmanager; return the results."""
    channel = Alertmanager(
        Config.model_validate(
            {
                "channels": {"alertmanager": {"url": alertmanager}},
                "links": {"status": "https://status.example/{feature}"},
            }
        )
    )

    def send(*steps):
        async def play():
            async with aiohttp.ClientSession() as session:
                return [await deliver(channel, step, session) for step in steps]

        return asyncio.run(play())

    return send


@pytest.fixture
def active_alerts(alertmanager):
    """Return the active alerts of an episode by their key."""

    def ask(episode_id):
        with urllib.request.urlopen(
            f"{alertmanager}/api/v2/alerts?filter=episode%3D%22{episode_id}%22", timeout=10
        ) as answer:
            return {alert["labels"]["key"]: alert for alert in json.load(answer)}

    return ask


@pytest.fixture
def recent(episode_of, nine_us):
    """Make episodes that started half an hour ago."""
    began = datetime.now(UTC) - timedelta(minutes=30)
    minutes = (began.timestamp() - nine_us / 1e6) / 60

    def make(*args, minute=0.0, **more):
        made = episode_of(
            *args,
            minute=minutes + minute,
            **{name: value for name, value in more.items() if name not in ("time", "started_at")},
        )
        return made.model_copy(
            update={"started_at": began}
            | {name: more[name] for name in ("time", "started_at") if name in more}
        )

    return make


def test_an_alert_appears_is_updated_and_ends(tell, active_alerts, recent):
    assert tell(
        Step("alertmanager", "life", "trigger", "high", "opened", recent("life", severity="error"))
    ) == [Delivered()]
    (first,) = active_alerts("life").values()
    assert first["labels"] == {
        "alertname": "SoftfailDegraded",
        "service": "support-bot",
        "feature": "life",
        "environment": "production",
        "severity": "critical",
        "urgency": "high",
        "episode": "life",
        "key": "softfail/life/high",
    }
    assert first["status"]["state"] == "active"
    assert first["annotations"]["summary"].startswith(
        "support-bot/life: 23 % of answers refused (19 to 28 %; should stay under 2 %)"
    )
    assert first["generatorURL"] == first["annotations"]["status_url"] == "https://status.example/life"
    ahead_us = (datetime.fromisoformat(first["endsAt"]) - datetime.now(UTC)) / timedelta(microseconds=1)
    assert HOLD_US - 60e6 < ahead_us <= HOLD_US

    tell(
        Step(
            "alertmanager",
            "life",
            "trigger",
            "high",
            "updated",
            recent("life", "updated", minute=9, severity="critical", rules=("refusals", "slow"), apart=True),
        )
    )
    (second,) = active_alerts("life").values()
    assert (second["fingerprint"], second["startsAt"]) == (first["fingerprint"], first["startsAt"])
    assert (second["annotations"]["findings"], second["annotations"]["episode_severity"]) == ("2", "critical")
    assert second["endsAt"] >= first["endsAt"]

    assert tell(
        Step("alertmanager", "life", "resolve", "high", "resolved", recent("life", "resolved", minute=29))
    ) == [Delivered()]
    assert active_alerts("life") == {}


def test_a_page_and_its_previous_ticket_are_two_alerts_and_each_ends_by_its_own_resolve(
    tell, active_alerts, recent
):
    tell(Step("alertmanager", "rise", "trigger", "low", "opened", recent("rise", urgency="low")))
    tell(Step("alertmanager", "rise", "trigger", "high", "escalated", recent("rise", "escalated")))
    assert set(active_alerts("rise")) == {"softfail/rise/low", "softfail/rise/high"}
    tell(Step("alertmanager", "rise", "resolve", "low", "is a page now", recent("rise", "escalated")))
    assert set(active_alerts("rise")) == {"softfail/rise/high"}
    tell(Step("alertmanager", "rise", "resolve", "high", "resolved", recent("rise", "resolved", minute=29.9)))
    assert active_alerts("rise") == {}


def test_a_resolve_ends_the_alert_of_an_episode_that_just_started(tell, active_alerts, recent):
    tell(
        Step(
            "alertmanager",
            "short",
            "trigger",
            "high",
            "opened",
            recent("short", started_at=datetime.now(UTC)),
        )
    )
    assert active_alerts("short")
    tell(
        Step(
            "alertmanager",
            "short",
            "resolve",
            "high",
            "resolved",
            recent("short", "resolved", started_at=datetime.now(UTC)),
        )
    )
    assert active_alerts("short") == {}


def test_a_note_is_a_separate_alert_that_ends_within_the_hour(tell, active_alerts, recent):
    tell(Step("alertmanager", "gone", "note", "low", "missed while down", recent("gone", "resolved")))
    (note,) = active_alerts("gone").values()
    assert (note["labels"]["alertname"], note["labels"]["severity"]) == ("SoftfailMissed", "warning")
    assert (
        timedelta(minutes=50)
        < datetime.fromisoformat(note["endsAt"]) - datetime.now(UTC)
        <= timedelta(hours=1)
    )


@pytest.mark.parametrize("ahead_us", [240_000_000, -240_000_000], ids=["ahead", "behind"])
def test_a_resolve_ends_the_alert_with_clocks_minutes_apart(
    tell, active_alerts, recent, monkeypatch, ahead_us
):
    now_us = time.time_ns() // 1000 + ahead_us
    name, times = (
        f"skew{ahead_us}",
        {
            "started_at": datetime.fromtimestamp(now_us / 1e6 - 1800, UTC),
            "time": datetime.fromtimestamp(now_us / 1e6, UTC),
        },
    )
    monkeypatch.setattr(notify_http, "wall_clock_us", lambda: now_us)
    tell(Step("alertmanager", name, "trigger", "high", "opened", recent(name, **times)))
    assert active_alerts(name)
    tell(Step("alertmanager", name, "resolve", "high", "resolved", recent(name, "resolved", **times)))
    assert active_alerts(name) == {}


def test_a_request_refused_by_alertmanager_is_never_repeated(alertmanager):
    request = urllib.request.Request(
        f"{alertmanager}/api/v2/alerts", b'[{"labels": {}}]', {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    channel = Alertmanager(Config.model_validate({"channels": {"alertmanager": {"url": alertmanager}}}))
    verdict = channel.interpret(caught.value.code, dict(caught.value.headers), caught.value.read(), 0)
    assert isinstance(verdict, Permanent)
    assert verdict.reason.startswith("400: ")


def test_alertmanager_accepts_and_ends_alerts_with_any_label_values(tell, active_alerts, recent):
    names = {"service": 'a"b\\c\n\x00\u2028', "feature": "\U0001f525 <x>&" * 40, "environment": "\ud800"}
    tell(Step("alertmanager", "names", "trigger", "high", "opened", recent("names", **names)))
    (alert,) = active_alerts("names").values()
    assert alert["labels"]["service"] == 'a"b\\c '
    tell(Step("alertmanager", "names", "resolve", "high", "resolved", recent("names", "resolved", **names)))
    assert active_alerts("names") == {}


def test_the_watchdog_is_a_single_alert_extended_by_each_ping_and_ended_by_missing_pings(
    alertmanager, monkeypatch
):
    channel = Alertmanager(Config.model_validate({"channels": {"alertmanager": {"url": alertmanager}}}))

    def active():
        with urllib.request.urlopen(
            f"{alertmanager}/api/v2/alerts?filter=alertname%3D%22SoftfailWatchdog%22", timeout=10
        ) as answer:
            return json.load(answer)

    def tell_of(now_us):
        request = channel.watchdog(now_us)
        urllib.request.urlopen(
            urllib.request.Request(request.url, request.body, dict(request.headers)), timeout=10
        ).close()
        return active()

    now_us = time.time_ns() // 1000
    (first,), (second,) = (tell_of(now_us - WATCHDOG_US + left_us) for left_us in (5_000_000, 8_000_000))
    assert second["fingerprint"] == first["fingerprint"]
    assert (second["startsAt"], second["labels"]["severity"]) == (first["startsAt"], "none")
    assert second["endsAt"] > first["endsAt"]
    wait_until(lambda: not active(), 60, "the last alert did not end", every_s=0.2)
    assert time.time_ns() // 1000 >= now_us + 8_000_000
