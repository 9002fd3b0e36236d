"""All five channels in the agent over real connections: one hangs, and no other waits for it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from aiohttp import web

from agents.notify import NotifyAgent
from monitor.delivery import outbox as outbox_module
from monitor.delivery.retries import EPISODES
from schemas.config.monitor_config import Config
from softfail.backoff import Backoff
from tests.agents.notify.memory_partition import MemoryPartition
from tests.monitor.channels.channel_settings import CONFIRMATIONS
from tests.polling import until

CHANNELS = ("pagerduty", "alertmanager", "slack", "webhook", "console")
TIMEOUT_S = 0.4


class Receivers:
    """All receivers behind one port, distinguished by path, and standard output. Those in ``hanging`` accept
    a step and never answer.
    """

    def __init__(self):
        self.hanging, self.mended = set(), threading.Event()
        self.asked, self.received = dict.fromkeys(CHANNELS, 0), {name: [] for name in CHANNELS}

    async def answer(self, request):
        name = request.path.strip("/").split("/")[0]
        self.asked[name] += 1
        if name in self.hanging:
            await asyncio.sleep(60)
        self.received[name].append(summary_of(name, await request.json()))
        status, body = CONFIRMATIONS[name]
        return web.Response(status=status, body=body)

    def write(self, body):
        self.asked["console"] += 1
        if "console" in self.hanging:
            self.mended.wait(60)
        self.received["console"].append(
            (
                "end" if body.startswith(b"RESOLVED") else "page",
                body.decode().splitlines()[0].rsplit("[", 1)[1][:-1],
            )
        )


def summary_of(name, body):
    """Return start or end, and the episode."""
    if name == "slack":
        head, foot = body["blocks"][0]["text"]["text"], body["blocks"][-1]["elements"][0]["text"]
        return ("end" if head.startswith("RESOLVED") else "page"), foot.rsplit(" ", 1)[1]
    if name == "alertmanager":
        over = body[0]["endsAt"] < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return ("end" if over else "page"), body[0]["labels"]["episode"]
    return ("end" if body.get("action", body.get("event_action")) == "resolve" else "page"), body[
        "dedup_key"
    ].split("/")[1]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    quick_episodes = EPISODES._replace(probes=Backoff(0.05, 0.2), steps=Backoff(0.05, 300.0))
    monkeypatch.setattr(outbox_module, "EPISODES", quick_episodes)


def run(scene, receivers):
    """Run an async function that gets a partition with a running notifier."""

    async def play():
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("POST", "/{any:.*}", receivers.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        agent = NotifyAgent(
            Config.model_validate(
                {
                    "channels": {
                        "pagerduty": {
                            "routing_key": "0123456789abcdef0123456789abcdef",
                            "url": f"{base}/pagerduty/v2/enqueue",
                            "timeout": TIMEOUT_S,
                        },
                        "alertmanager": {"url": f"{base}/alertmanager", "timeout": TIMEOUT_S},
                        "slack": {"webhook_url": f"{base}/slack", "timeout": TIMEOUT_S},
                        "webhook": {"url": f"{base}/webhook", "timeout": TIMEOUT_S},
                        "console": {},
                    }
                }
            )
        )
        partition = MemoryPartition(agent.core(0, 1))
        task = asyncio.create_task(agent.tend(partition))
        try:
            await scene(partition)
        finally:
            receivers.mended.set()  # the thread that prints cannot be cancelled
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runner.cleanup()

    asyncio.run(play())


@pytest.mark.parametrize("name", CHANNELS)
def test_a_hanging_channel_delays_no_other_and_then_gets_each_step_once_and_in_order(
    recent, monkeypatch, name
):
    receivers = Receivers()
    receivers.hanging.add(name)
    monkeypatch.setattr(
        sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(write=receivers.write), flush=lambda: None)
    )
    life = [("page", "a"), ("page", "b"), ("end", "a"), ("page", "c")]

    async def scene(partition):
        partition.put(recent("a"), recent("b"))
        await until(
            lambda: all(len(sent) == 2 for channel, sent in receivers.received.items() if channel != name),
            20.0,
        )
        partition.put(recent("a", "resolved"))
        await until(
            lambda: all(len(sent) == 3 for channel, sent in receivers.received.items() if channel != name),
            20.0,
        )
        assert receivers.asked[name] >= 1
        assert receivers.received[name] == []
        receivers.hanging.clear()
        receivers.mended.set()
        await until(lambda: len(receivers.received[name]) >= 3, 20.0)
        partition.put(recent("c"))  # a step that came twice would come before this one
        await until(lambda: all(("page", "c") in sent for sent in receivers.received.values()), 20.0)
        assert {channel: sorted(sent) for channel, sent in receivers.received.items()} == dict.fromkeys(
            CHANNELS, sorted(life)
        )
        assert receivers.received[name].index(("page", "a")) < receivers.received[name].index(("end", "a"))

    run(scene, receivers)
