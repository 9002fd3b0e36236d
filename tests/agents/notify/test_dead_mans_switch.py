"""Pings to a dead man's switch: from the background task over HTTP, without Kafka."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import pytest
from aiohttp import web

from agents import notify
from agents.notify import NotifyAgent
from monitor.delivery import outbox as outbox_module
from monitor.delivery.retries import EPISODES
from monitor.protocol.messages import FileRecord, Outputs
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.backoff import Backoff

KEY = "0123456789abcdef0123456789abcdef"
PARTITIONS = 2


class Partition:
    """A partition without Kafka."""

    def __init__(self, core):
        self.core, self.caught_up, self.changed_event = core, True, asyncio.Event()

    def add(self, outputs):
        del outputs
        self.changed_event.set()

    async def checkpoint(self):
        self.core.changed()

    def beat(self, *partitions):
        for partition in partitions:
            beat = {
                "record": "health",
                "agent": "watch",
                "partition": partition,
                "partitions": PARTITIONS,
                "time": rfc3339(now_us()),
                "observed_s": 300.0,
                "counts": {},
                "findings": [],
            }
            self.core.apply([FileRecord(json.dumps(beat, separators=(",", ":")).encode())], now_us())

    def put(self, episode):
        self.add(self.core.apply([FileRecord(episode.model_dump_json().encode())], now_us()) or Outputs())


class Ears:
    """A dead man's switch that counts pings, and a pager, at one address."""

    def __init__(self):
        self.heard, self.alerts, self.paged, self.status, self.pager_status, self.slow_s = (
            [],
            [],
            0,
            200,
            202,
            0.0,
        )
        app = web.Application()
        app.router.add_route("*", "/ping/geheim", self._ping)
        app.router.add_post("/v2/enqueue", self._page)
        app.router.add_post("/api/v2/alerts", self._alert)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self):
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self):
        await self._runner.cleanup()

    async def _ping(self, request):
        self.heard.append((request.method, request.path_qs))
        await asyncio.sleep(self.slow_s)
        return web.Response(
            status=self.status, headers={"Location": f"{self.url}/elsewhere"}, text=f"no {request.path}"
        )

    async def _page(self, request):
        await request.read()
        self.paged += self.pager_status == 202
        return web.json_response({"status": "success"}, status=self.pager_status)

    async def _alert(self, request):
        self.alerts += await request.json()
        return web.json_response({})


def now_us():
    return time.time_ns() // 1000


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(notify, "HEALTH_S", 0.02)
    monkeypatch.setattr(notify, "DEAD_MAN_S", 0.01)
    quick_episodes = EPISODES._replace(probes=Backoff(0.02, 60.0), steps=Backoff(0.02, 300.0))
    monkeypatch.setattr(outbox_module, "EPISODES", quick_episodes)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def recent(episode_of, nine_us):
    minutes = (now_us() - nine_us) / 60e6
    return lambda *args, **more: episode_of(*args, minute=minutes, **more)


async def until(condition, patience_s=10.0):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        await asyncio.sleep(0.01)


def run(scene, **channels):
    async def play():
        ears, tasks = Ears(), []
        await ears.start()

        def begin():
            pager = {"pagerduty": {"routing_key": KEY, "url": f"{ears.url}/v2/enqueue"}}
            config = Config.model_validate(
                {
                    "health": {"dead_mans_url": f"{ears.url}/ping/geheim?rid=1", "dead_mans_interval": 1.0},
                    "channels": pager | {name: {"url": ears.url} | more for name, more in channels.items()},
                }
            )
            agent = NotifyAgent(config)
            partition = Partition(agent.core(0, 1))
            partition.task = asyncio.create_task(agent.tend(partition))
            tasks.append(partition.task)
            return partition

        try:
            await scene(ears, begin)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await ears.stop()

    asyncio.run(play())


def test_pings_start_after_a_heartbeat_of_each_partition_and_stop_while_the_channel_is_down(recent, caplog):
    async def scene(ears, begin):
        partition = begin()
        partition.beat(0)
        await asyncio.sleep(0.2)
        assert ears.heard == []
        partition.beat(1)
        await until(lambda: len(ears.heard) >= 2)
        assert set(ears.heard) == {("GET", "/ping/geheim?rid=1")}

        ears.pager_status = 503
        partition.put(recent())
        await until(lambda: partition.core.status()["dead_man"]["withheld"])
        before = len(ears.heard)
        await asyncio.sleep(1.3)
        assert len(ears.heard) == before
        ears.pager_status = 202
        await until(lambda: len(ears.heard) > before)
        assert ears.paged == 1

    with caplog.at_level(logging.DEBUG):
        run(scene)
    messages = [record.message for record in caplog.records if "dead man" in record.message]
    assert messages == [
        "dead man's switch: no sign of life: waiting for the first heartbeat of partition 1",
        "dead man's switch: softfail is healthy, signs of life are sent",
        'dead man\'s switch: no sign of life: pagerduty takes nothing: 503: {"status": "success"}',
        "dead man's switch: softfail is healthy, signs of life are sent",
    ]


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "answered 404"), (302, "answered 302"), (None, "ClientConnectorError")]
)
def test_a_failed_ping_disturbs_no_delivery_is_repeated_and_its_address_is_never_logged(
    recent, caplog, status, reason
):
    async def scene(ears, begin):
        partition = begin()
        if status is None:  # nobody listens there
            partition.core.dead_mans_switch._url = type(partition.core.dead_mans_switch._url)(
                "http://127.0.0.1:1/ping/geheim"
            )
        else:
            ears.status = status
        partition.beat(0, 1)
        await until(
            lambda: any(
                measure.labels == ("url", "failed") and measure.value >= 2
                for measure in partition.core.measures()
            )
        )
        partition.put(recent())
        await until(lambda: ears.paged)
        assert partition.core.status()["dead_man"] == {"withheld": None, "last": {"url": None}}

    with caplog.at_level(logging.DEBUG):
        run(scene)
    assert f"dead man's switch: no sign of life reached url: {reason}" in caplog.text
    assert "geheim" not in caplog.text


def test_an_unresponsive_switch_delays_no_page(recent):
    async def scene(ears, begin):
        ears.slow_s = 60.0
        partition = begin()
        partition.beat(0, 1)
        await until(lambda: ears.heard)
        partition.put(recent())
        await until(lambda: ears.paged, patience_s=3.0)

    run(scene)


def test_the_next_owner_sends_pings_and_the_previous_stops():
    async def scene(ears, begin):
        first = begin()
        first.beat(0, 1)
        await until(lambda: ears.heard)
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        before = len(ears.heard)
        await asyncio.sleep(1.3)
        assert len(ears.heard) == before
        second = begin()
        second.beat(0, 1)
        await until(lambda: len(ears.heard) > before)

    run(scene)


def test_the_watchdog_is_sent_to_alertmanager_too():
    async def scene(ears, begin):
        begin().beat(0, 1)
        await until(lambda: ears.heard and ears.alerts)
        assert [alert["labels"]["alertname"] for alert in ears.alerts] == ["SoftfailWatchdog"]

    run(scene, alertmanager={"watchdog": True})


def test_without_an_address_there_is_no_ping_task():
    async def play():
        agent = NotifyAgent(Config.model_validate({"channels": {}}))
        partition = Partition(agent.core(0, 1))
        task = asyncio.create_task(agent.tend(partition))
        await asyncio.sleep(0.1)
        partition.beat(0, 1)
        await asyncio.sleep(0.1)
        assert partition.core.status()["dead_man"] is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
