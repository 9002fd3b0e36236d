"""Pings to a dead man's switch: from the background task over HTTP, without Kafka."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from unittest import mock

import pytest
from aiohttp import web

from agents import notify
from agents.notify import NotifyAgent
from monitor.delivery import outbox as outbox_module
from monitor.delivery.retries import EPISODES
from monitor.protocol.messages import FileRecord
from monitor.self_health.dead_mans_switch import DeadMansSwitch
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.backoff import Backoff
from tests.agents.notify.memory_partition import MemoryPartition
from tests.polling import idle, until

KEY = "0123456789abcdef0123456789abcdef"
PARTITIONS = 2
DUE = DeadMansSwitch.due


class BeatingPartition(MemoryPartition):
    """A partition that receives heartbeats of the watch."""

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


class Receiver:
    """Dead man's switch that counts pings, and a pager, at the same address.

    ``checks`` counts how often the notifier asked whether a ping is due; ``skipped_us`` is added to its
    clock.
    """

    def __init__(self):
        self.pings, self.alerts, self.paged = [], [], 0
        self.status, self.pager_status, self.slow_s = 200, 202, 0.0
        self.checks = self.skipped_us = 0
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

    def now_us(self):
        return now_us() + self.skipped_us

    async def pass_seconds(self, seconds):
        """Advance the clock of the notifier; return when it has checked since whether a ping is due."""
        self.skipped_us += seconds * 1_000_000
        checks = self.checks
        await until(lambda: self.checks >= checks + 3)

    async def _ping(self, request):
        self.pings.append((request.method, request.path_qs))
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


def run(scene, **channels):
    async def play():
        receiver, tasks = Receiver(), []
        await receiver.start()

        def begin():
            pager = {"pagerduty": {"routing_key": KEY, "url": f"{receiver.url}/v2/enqueue"}}
            config = Config.model_validate(
                {
                    "health": {
                        "dead_mans_url": f"{receiver.url}/ping/geheim?rid=1",
                        "dead_mans_interval": 1.0,
                    },
                    "channels": pager
                    | {name: {"url": receiver.url} | more for name, more in channels.items()},
                }
            )
            agent = NotifyAgent(config)
            partition = BeatingPartition(agent.core(0, 1))
            partition.task = asyncio.create_task(agent.tend(partition))
            tasks.append(partition.task)
            return partition

        def due(switch, now_us):
            receiver.checks += 1
            return DUE(switch, now_us)

        clock = mock.patch.object(notify, "wall_clock_us", receiver.now_us)
        checks = mock.patch.object(DeadMansSwitch, "due", due)
        try:
            with clock, checks:
                await scene(receiver, begin)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await receiver.stop()

    asyncio.run(play())


def test_pings_start_after_a_heartbeat_of_each_partition_and_stop_while_the_channel_is_down(recent, caplog):
    async def scene(receiver, begin):
        partition = begin()
        partition.beat(0)
        await until(lambda: receiver.checks >= 3)
        assert receiver.pings == []
        partition.beat(1)
        await until(lambda: len(receiver.pings) >= 2)
        assert set(receiver.pings) == {("GET", "/ping/geheim?rid=1")}

        receiver.pager_status = 503
        partition.put(recent())
        await until(lambda: partition.core.status()["dead_man"]["withheld"])
        before = len(receiver.pings)
        await receiver.pass_seconds(2)
        assert len(receiver.pings) == before
        receiver.pager_status = 202
        await until(lambda: len(receiver.pings) > before)
        assert receiver.paged == 1

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
    async def scene(receiver, begin):
        partition = begin()
        if status is None:  # nobody listens there
            partition.core.dead_mans_switch._url = type(partition.core.dead_mans_switch._url)(
                "http://127.0.0.1:1/ping/geheim"
            )
        else:
            receiver.status = status
        partition.beat(0, 1)
        await until(
            lambda: any(
                measure.labels == ("url", "failed") and measure.value >= 2
                for measure in partition.core.measures()
            )
        )
        partition.put(recent())
        await until(lambda: receiver.paged)
        assert partition.core.status()["dead_man"] == {"withheld": None, "last": {"url": None}}

    with caplog.at_level(logging.DEBUG):
        run(scene)
    assert f"dead man's switch: no sign of life reached url: {reason}" in caplog.text
    assert "geheim" not in caplog.text


def test_an_unresponsive_switch_delays_no_page(recent):
    async def scene(receiver, begin):
        receiver.slow_s = 60.0
        partition = begin()
        partition.beat(0, 1)
        await until(lambda: receiver.pings)
        partition.put(recent())
        await until(lambda: receiver.paged, timeout_s=3.0)

    run(scene)


def test_the_next_owner_sends_pings_and_the_previous_stops():
    async def scene(receiver, begin):
        first = begin()
        first.beat(0, 1)
        await until(lambda: receiver.pings)
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        before = len(receiver.pings)
        receiver.skipped_us += 2_000_000
        await idle()
        assert len(receiver.pings) == before
        second = begin()
        second.beat(0, 1)
        await until(lambda: len(receiver.pings) > before)

    run(scene)


def test_the_watchdog_is_sent_to_alertmanager_too():
    async def scene(receiver, begin):
        begin().beat(0, 1)
        await until(lambda: receiver.pings and receiver.alerts)
        assert [alert["labels"]["alertname"] for alert in receiver.alerts] == ["SoftfailWatchdog"]

    run(scene, alertmanager={"watchdog": True})


def test_without_an_address_there_is_no_ping_task():
    async def play():
        agent = NotifyAgent(Config.model_validate({"channels": {}}))
        partition = BeatingPartition(agent.core(0, 1))
        task = asyncio.create_task(agent.tend(partition))
        await idle()
        partition.beat(0, 1)
        await idle()
        assert partition.core.status()["dead_man"] is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
