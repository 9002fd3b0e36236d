"""Each channel over a real connection: the requests to a receiver, and the result of each fault."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from agents import notify_http
from agents.notify_http import deliver
from monitor.channels import configured
from monitor.channels.interface import Delivered, Request, Retry, Step
from monitor.channels.webhook import signature
from schemas.config.monitor_config import Config
from tests.monitor.channels.channel_settings import CONFIRMATIONS

KEY, SECRET = "0123456789abcdef0123456789abcdef", "fedcba9876543210"
PATHS = {
    "pagerduty": "/v2/enqueue",
    "alertmanager": "/api/v2/alerts",
    "slack": "/services/T0/B0/slackslackslack",
    "webhook": "/in?key=urlurlurlurl",
}
HTTP = pytest.mark.parametrize("name", PATHS)


def config_for(base, timeout_s=20.0):
    return Config.model_validate(
        {
            "channels": {
                "pagerduty": {"routing_key": KEY, "url": base + PATHS["pagerduty"], "timeout": timeout_s},
                "alertmanager": {
                    "url": base,
                    "username": "bot",
                    "password": "passpasspass",
                    "timeout": timeout_s,
                },
                "slack": {"webhook_url": base + PATHS["slack"], "timeout": timeout_s},
                "webhook": {
                    "url": base + PATHS["webhook"],
                    "secret": SECRET,
                    "headers": {"X-Api-Key": "headheadhead"},
                    "timeout": timeout_s,
                },
            }
        }
    )


def run(name, steps, faults=()):
    """Deliver steps through a channel to a receiver that answers the first requests by ``faults``; return
    results and requests (path, headers, body).
    """
    requests, queue = [], list(faults)

    async def answer(request):
        requests.append((request.path_qs, request.headers.copy(), await request.read()))
        fault = queue.pop(0) if queue else "well"
        if fault == "slow":
            await asyncio.sleep(60)
        elif fault == "close":
            request.transport.abort()
        elif fault != "well":
            status, headers = fault
            return web.Response(
                status=status,
                headers=headers,
                text="no: "
                + " ".join([KEY, "passpasspass", PATHS["slack"], PATHS["webhook"], "headheadhead"]),
            )
        status, body = CONFIRMATIONS[name]
        return web.Response(status=status, body=body)

    async def play():
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("POST", "/{any:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            base, verdicts = f"http://127.0.0.1:{runner.addresses[0][1]}", []
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), trust_env=True
            ) as session:
                for step in steps:
                    timeout_s = 0.3 if queue[:1] == ["slow"] else 20.0
                    verdicts.append(
                        await deliver(configured(config_for(base, timeout_s))[name], step, session)
                    )
            return verdicts
        finally:
            await runner.cleanup()

    return asyncio.run(play()), requests


@pytest.fixture
def life(episode_of):
    """Return trigger, update and resolve of an episode as steps of a channel."""

    def steps(name):
        opened, updated, over = (
            episode_of(),
            episode_of("e1", "updated", minute=6, rules=("refusals", "slow")),
            episode_of(state="resolved", minute=20),
        )
        return [
            Step(name, "e1", "trigger", "high", "opened", opened),
            Step(name, "e1", "trigger", "high", "updated", updated),
            Step(name, "e1", "resolve", "high", "resolved", over),
        ]

    return steps


@HTTP
def test_the_steps_of_an_episode_arrive_in_order_at_the_configured_address(life, name):
    verdicts, requests = run(name, life(name))
    assert verdicts == [Delivered()] * 3
    assert [path for path, _, _ in requests] == [PATHS[name]] * 3
    assert {headers["Content-Type"] for _, headers, _ in requests} == {"application/json"}
    bodies = [json.loads(body) for _, _, body in requests]
    if name == "pagerduty":
        assert [body["event_action"] for body in bodies] == ["trigger", "trigger", "resolve"]
    elif name == "alertmanager":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        assert [alert["endsAt"] > now for (alert,) in bodies] == [True, True, False]
        assert {json.dumps(alert["labels"]) for (alert,) in bodies} == {json.dumps(bodies[0][0]["labels"])}
    elif name == "slack":
        assert [body["blocks"][0]["text"]["text"].split(" support-bot")[0] for body in bodies] == [
            "PAGE:",
            "PAGE, UPDATE:",
            "RESOLVED",
        ]
    else:
        assert [
            (body["action"], body["dedup_key"], len(body["episode"]["incidents"])) for body in bodies
        ] == [
            ("trigger", "softfail/e1/high", 1),
            ("trigger", "softfail/e1/high", 2),
            ("resolve", "softfail/e1/high", 1),
        ]


def test_a_receiver_can_verify_a_webhook_as_the_documentation_describes(life):
    (snippet,) = re.findall(
        r"```python\n(.*?def is_ours.*?)```",
        (Path(__file__).parents[3] / "docs/operations.md").read_text("utf-8"),
        re.DOTALL,
    )
    names = {}
    exec(snippet, names)
    _, requests = run("webhook", life("webhook"))
    for _, headers, body in requests:
        header = headers["X-Softfail-Signature"]
        assert headers["X-Api-Key"] == "headheadhead"
        assert names["is_ours"](SECRET, header, body)
        assert not names["is_ours"](SECRET, header, body + b" ")
        assert not names["is_ours"]("another secret", header, body)
    old = signature(SECRET, int(time.time()) - 400, body)
    assert not names["is_ours"](SECRET, old, body)


FAULTS = [
    ((429, {"Retry-After": "7"}), Retry, "429: no: ", 7.0, True),
    ((500, {}), Retry, "500: no: ", 0.0, False),
    ((503, {"Retry-After": "3"}), Retry, "503: no: ", 3.0, False),
    ("slow", Retry, "no answer within 0.3 s", 0.0, False),
    ("close", Retry, "ServerDisconnectedError", 0.0, False),
    ((404, {}), Retry, "404: no: ", 0.0, False),
    ((307, {"Location": "/elsewhere"}), Retry, "307: no: ", 0.0, False),
]


@HTTP
@pytest.mark.parametrize(
    ("fault", "kind", "reason", "after_s", "hold"),
    FAULTS,
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_each_fault_is_retried_and_the_same_step_succeeds_after_it(
    life, name, fault, kind, reason, after_s, hold
):
    trigger = life(name)[0]
    (first, second), requests = run(name, [trigger, trigger], [fault])
    assert isinstance(first, kind)
    assert first.reason.startswith(reason)
    if isinstance(first, Retry):
        assert (first.after_s, first.hold) == (after_s, hold)
    assert second == Delivered()
    assert len(requests) == 2  # a redirect is not followed
    own = {
        "pagerduty": [KEY],
        "alertmanager": ["passpasspass"],
        "slack": ["slackslackslack"],
        "webhook": ["urlurlurlurl", "headheadhead", SECRET],
    }[name]
    assert not [secret for secret in own if secret in first.reason]


@HTTP
def test_an_unreachable_receiver_is_retried_and_no_secret_is_logged(life, name, free_port):
    async def play():
        channel = configured(config_for(f"http://127.0.0.1:{free_port()}"))[name]
        async with aiohttp.ClientSession() as session:
            return await deliver(channel, life(name)[0], session)

    verdict = asyncio.run(play())
    assert isinstance(verdict, Retry)
    assert "ClientConnectorError" in verdict.reason
    assert not [
        secret
        for secret in (KEY, "passpasspass", "slackslackslack", "urlurlurlurl", SECRET, "headheadhead")
        if secret in verdict.reason
    ]


def test_a_request_has_the_wall_clock_time(life, monkeypatch):
    monkeypatch.setattr(notify_http, "wall_clock_us", lambda: 1_772_442_000_000_000)
    _, requests = run("webhook", life("webhook")[:1])
    assert requests[0][1]["X-Softfail-Signature"].startswith("t=1772442000,")


def test_a_compressed_answer_is_never_unpacked():
    async def run() -> tuple[str, bytes]:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.headers["Accept-Encoding"])
            bomb = gzip.compress(bytes(32 << 20))
            return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

        server = web.Server(answer)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with notify_http.session_of(aiohttp.TCPConnector(force_close=True)) as session:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
                _, _, body = await notify_http.post(Request("POST", "k", url, body=b"{}"), session)
            return asked[0], body
        finally:
            await runner.cleanup()

    asked, body = asyncio.run(run())
    assert asked == "identity"
    assert body.startswith(b"\x1f\x8b")
    assert len(body) <= notify_http.ANSWER_BYTES
