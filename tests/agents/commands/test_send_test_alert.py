"""``python -m agents test-alert``: the requests to each channel, the output, and that nothing stays open."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from agents.commands import send_test_alert
from agents.commands.send_test_alert import main
from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from softfail.backoff import Backoff
from tests.polling import wait_until

ROOT = Path(__file__).parents[3]
KEY, HOOK, SIGN = "0123456789abcdef0123456789abcdef", "slackslackslack", "signsignsignsign"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", KEY)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://unset.example/services/x")
    monkeypatch.setenv("SIGNING_SECRET", SIGN)
    monkeypatch.setattr(send_test_alert, "BACKOFF", Backoff(0.05, 300.0))


class Anything:
    """A receiver for the other channels: accepts every POST and keeps path and body."""

    def __init__(self, status=200):
        self.requests, self.status, self.url = [], status, ""

    async def start(self):
        app = web.Application()
        app.router.add_post("/{any:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self):
        await self._runner.cleanup()

    async def _take(self, request):
        self.requests.append((request.path, await request.read()))
        accepted = "" if request.path == "/api/v2/alerts" else "ok"
        return web.Response(
            status=self.status, text=accepted if self.status == 200 else f"no such hook: {request.path}"
        )


@contextmanager
def run_receivers(*receivers):
    """Run receivers in their own event loop, because the command has one too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for receiver in receivers:
            asyncio.run_coroutine_threadsafe(receiver.start(), loop).result(10)
        yield
    finally:
        for receiver in receivers:
            asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def write_config(tmp_path):
    def write(**channels):
        path = tmp_path / "softfail.yaml"
        # nobody is there, and nobody is asked
        path.write_text(json.dumps({"channels": channels, "kafka": {"brokers": "127.0.0.1:9"}}))
        return str(path)

    return write


def pagerduty(receiver):
    return {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": receiver.url, "timeout": "300ms"}


def test_every_channel_gets_a_marked_test_alert_and_its_resolve(write_config, capsys, monkeypatch):
    pager, receiver = FakePagerDuty(KEY), Anything()
    with run_receivers(pager, receiver):
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{receiver.url}/services/{HOOK}")
        path = write_config(
            pagerduty=pagerduty(pager),
            slack={"webhook_url": "${SLACK_WEBHOOK_URL}"},
            alertmanager={"url": receiver.url},
            webhook={"url": f"{receiver.url}/in", "secret": "${SIGNING_SECRET}"},
            console={},
        )
        assert main(["--config", path]) == 0
    [incident] = pager.incidents
    assert incident.resolved_at is not None
    assert incident.dedup_key.endswith("/low")
    assert incident.payload["severity"] == "warning"
    assert "TEST, nothing is wrong" in incident.payload["summary"]
    assert incident.payload["custom_details"]["why_now"] == "test"
    for path_of in (f"/services/{HOOK}", "/api/v2/alerts", "/in"):
        bodies = [body.decode() for where, body in receiver.requests if where == path_of]
        assert len(bodies) == 2
        assert "TEST, nothing is wrong" in bodies[0]
    output = capsys.readouterr()
    lines = output.out.splitlines()
    for name in ("pagerduty", "slack", "alertmanager", "webhook", "console"):
        assert [line for line in lines if line.startswith(f"{name}: delivered and resolved: softfail/test-")]
    assert [line for line in lines if line.startswith("TICKET (warning, test) softfail/test-alert: TEST")]
    assert [line for line in lines if line.startswith("RESOLVED softfail/test-alert")]


def test_high_urgency_pages_and_a_single_channel_can_be_chosen(write_config, capsys):
    pager, receiver = FakePagerDuty(KEY), Anything()
    with run_receivers(pager, receiver):
        path = write_config(pagerduty=pagerduty(pager), webhook={"url": f"{receiver.url}/in"})
        assert main(["--config", path, "--channel", "pagerduty", "--urgency", "high"]) == 0
    assert [(incident.dedup_key[-5:], incident.payload["severity"]) for incident in pager.incidents] == [
        ("/high", "error")
    ]
    assert receiver.requests == []
    assert capsys.readouterr().out.count("\n") == 1


def test_a_refused_key_is_reported_with_the_reason_without_its_value_and_other_channels_continue(
    write_config, capsys
):
    pager, receiver = FakePagerDuty("f" * 32), Anything(status=404)
    with run_receivers(pager, receiver):
        secret = f"/in/{SIGN}"
        assert (
            main(
                [
                    "--config",
                    write_config(
                        pagerduty=pagerduty(pager), webhook={"url": receiver.url + secret}, console={}
                    ),
                ]
            )
            == 1
        )
    output = capsys.readouterr()
    assert "pagerduty: refused: 400: " in output.out
    assert "'routing_key' is not the key of an integration" in output.out
    assert "webhook: refused: 404" in output.out
    assert "console: delivered and resolved" in output.out
    assert KEY not in output.out + output.err
    assert SIGN not in output.out + output.err
    assert len(receiver.requests) == 1  # what was refused is not resolved


def test_a_closed_port_is_retried_until_the_timeout_and_reported(write_config, capsys, free_port):
    path = write_config(
        pagerduty={
            "routing_key": "${PAGERDUTY_ROUTING_KEY}",
            "url": f"http://127.0.0.1:{free_port()}/v2/enqueue",
        }
    )
    assert main(["--config", path, "--patience", "400ms"]) == 1
    output = capsys.readouterr().out
    assert re.fullmatch(
        r"pagerduty: no final answer: .*\(tried [2-4] times\); if softfail/test-\S+ is open there"
        r" nevertheless, close it by hand\n",
        output,
    )


def test_a_recovering_receiver_succeeds_and_a_lost_response_is_still_resolved(write_config, capsys):
    pager = FakePagerDuty(KEY, faults=deque([Fault("status", 500), Fault("close")]))
    with run_receivers(pager):
        assert main(["--config", write_config(pagerduty=pagerduty(pager)), "--patience", "5s"]) == 0
        pager.faults.append(Fault("silence", delay_s=0.6, taken=True))
        assert main(["--config", write_config(pagerduty=pagerduty(pager)), "--patience", "0s"]) == 1
        wait_until(lambda: len(pager.incidents) >= 2, 5)
    assert "no answer within 0.3 s" in capsys.readouterr().out
    assert [answer[0] for answer in pager.answers].count("resolve") == 2


def test_a_test_alert_that_cannot_be_resolved_is_reported_with_its_key(write_config, capsys):
    pager = FakePagerDuty(KEY)
    take = pager.take
    pager.take = lambda body: take(body) if b'"trigger"' in body else (400, {"errors": ["no"]})
    with run_receivers(pager):
        assert main(["--config", write_config(pagerduty=pagerduty(pager))]) == 1
    output = capsys.readouterr().out
    assert "pagerduty: delivered, but not resolved: refused: 400" in output
    assert f"close {pager.incidents[0].dedup_key} by hand" in output


def test_an_interrupt_leaves_nothing_open(write_config):
    """Ctrl-C while the trigger waits for its response still sends the resolve."""
    pager = FakePagerDuty(KEY, faults=deque([Fault("slow", delay_s=20)]))
    with run_receivers(pager):
        path = write_config(pagerduty=pagerduty(pager) | {"timeout": "60s"})
        process = subprocess.Popen(
            [sys.executable, "-m", "agents", "test-alert", "--config", path],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: not pager.faults, 30, "no request arrived")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.decode() == "stopped; a resolve was sent for each test that was opened\n"
    assert ("resolve", 202) in [(action, status) for action, _, status in pager.answers]


@pytest.mark.parametrize(
    ("arguments", "channels", "code", "says"),
    [
        (
            ["--channel", "slack"],
            {"console": {}},
            2,
            "--channel: 'slack' is not configured; the channels are console",
        ),
        ([], {}, 78, "channels: none is configured"),
        ([], {"pagerduty": {"routing_key": "${NOT_THERE}"}}, 78, "channels.pagerduty.routing_key"),
    ],
)
def test_invalid_settings_are_reported_with_the_remedy(write_config, capsys, arguments, channels, code, says):
    assert main(["--config", write_config(**channels), *arguments]) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--patience", "2h"], ["--patience", "soon"], ["--urgency", "huge"]])
def test_invalid_arguments_are_refused(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
