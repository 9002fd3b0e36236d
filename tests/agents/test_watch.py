from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import watch
from agents.runtime.clock import WallClock
from agents.watch import WatchAgent
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config
from tests.polling import until

SECOND = 1_000_000


def test_without_records_the_watermark_advances_one_second_per_second():
    clock, watermark = WallClock(), 100 * SECOND
    marks = []
    for now in range(5):
        watermark = clock.mark(watermark, float(now))
        marks.append(watermark // SECOND)
    assert marks == [100, 101, 102, 103, 104]


def test_records_ahead_of_the_watermark_advance_it():
    clock = WallClock()
    clock.mark(100 * SECOND, 0.0)
    assert clock.mark(500 * SECOND, 1.0) == 500 * SECOND
    assert clock.mark(500 * SECOND, 2.0) == 501 * SECOND


def test_a_stalled_partition_does_not_advance_the_watermark():
    clock = WallClock()
    clock.mark(100 * SECOND, 0.0)
    clock.stand_still()
    assert clock.mark(100 * SECOND, 1000.0) == 100 * SECOND


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 1)), max_size=50), st.floats(0, 0.9))
def test_with_live_records_the_watermark_never_passes_the_real_time(steps, delay_s):
    """Records carry the time at which they were made; each arrives at least ``delay_s`` later."""
    clock, now, watermark = WallClock(), 1000.0, 0
    for step_s, more_s in steps:
        now += step_s
        watermark = max(watermark, round((now - delay_s - more_s) * 1e6))
        mark = clock.mark(watermark, now)
        assert watermark <= mark <= (now - delay_s) * 1e6 + 1
        watermark = mark


@pytest.fixture
def tended(monkeypatch):
    """An agent that looks every hundredth of a second, and a partition whose pane ends a tenth of a second
    after its only event.
    """
    monkeypatch.setattr(watch, "TICK_S", 0.01)
    agent = WatchAgent(Config.model_validate({"time": {"pane": "1s", "lateness": "0s"}}))

    class Tended:
        is_caught_up, lost, recovery_s, ticks = False, 0, 75.0, 0
        core = agent.core(0, 0)
        windows, beats = 0, ()

        @property
        def caught_up(self):  # asked at each tick
            self.ticks += 1
            return self.is_caught_up

        async def run(self, steps, outputs):
            for _ in steps:
                await asyncio.sleep(0)
            self.add(outputs)

        def add(self, outputs):
            self.windows += len(outputs.messages.get("windows", []))
            self.beats += tuple(json.loads(message.value) for message in outputs.messages.get("alerts", ()))

    partition = Tended()
    partition.core.apply(
        [
            FileRecord(
                b'{"event_id":"1","time":"2026-03-02T09:00:00.9Z","service":"s","feature":"f","model":"m"}'
            )
        ],
        0,
    )
    return agent, partition


def test_a_caught_up_partition_closes_its_panes_without_records(tended):
    agent, partition = tended

    async def scene() -> None:
        task = asyncio.create_task(agent.tend(partition))
        await until(lambda: partition.ticks >= 20)
        assert partition.windows == 0
        partition.is_caught_up = True
        await until(lambda: partition.windows)
        task.cancel()

    asyncio.run(scene())


def test_the_first_heartbeat_reports_a_long_restore(tended):
    agent, partition = tended

    async def scene() -> None:
        task = asyncio.create_task(agent.tend(partition))
        await until(lambda: partition.beats)
        task.cancel()

    asyncio.run(scene())
    assert [(finding["name"], finding["value"]) for finding in partition.beats[0]["findings"]] == [
        ("recovery", 75.0)
    ]


def test_a_suspended_process_does_not_advance_the_watermark_after_it_resumes(tended, monkeypatch):
    agent, partition = tended
    partition.is_caught_up, calls = True, 0

    def monotonic() -> float:
        nonlocal calls
        calls += 1
        return calls * 1e-6 + (30.0 if calls > 10 else 0.0)  # SIGSTOP for half a minute

    async def scene() -> None:
        monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=monotonic, time_ns=time.time_ns))
        task = asyncio.create_task(agent.tend(partition))
        await until(lambda: calls > 60)
        task.cancel()
        assert partition.windows == 0

    asyncio.run(scene())
