from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from faust.types import TP

from agents.process import exits
from agents.runtime import watchdog
from agents.runtime.watchdog import REWIND_S, STUCK_S, WITHDRAWN_S, Watchdog, WatchdogState
from schemas.config.connections import Kafka

TPS = TP("t.events", 1)


class Stage:
    """A watchdog over a store whose positions are ours to set."""

    def __init__(self, partition: Any = None) -> None:
        self.current: dict[TP, int] = {}
        self.restored = 0
        self.owned = {TPS: partition} if partition else {}
        self.rewound = 0
        self.dog = Watchdog(Kafka(), self, set, self._rewind)  # type: ignore[arg-type]

    def positions(self) -> dict[TP, int]:
        return dict(self.current)

    def progress(self) -> Any:
        return dict(self.current), self.restored

    async def _rewind(self, _: str) -> None:
        self.rewound += 1

    def look(self, end: int, *seconds: float) -> None:
        for now in seconds:
            asyncio.run(self.dog.judge_ends({TPS: end}, now))

    def reason(self, now: float) -> str | None:
        self.dog.state.tick = now
        return self.dog.state.reason(now)


def test_lag_without_progress_is_a_failure_after_a_minute_and_not_earlier():
    scene = Stage()
    scene.current[TPS] = 5
    scene.look(9, 0.0, 1.0, 1.0 + STUCK_S)
    assert scene.reason(1.0 + STUCK_S) is None
    assert scene.reason(2.0 + STUCK_S) == "lag and no progress"


def test_any_progress_restarts_the_timeout():
    scene = Stage()
    scene.current[TPS] = 5
    scene.look(9, 0.0, 1.0)
    scene.current[TPS] = 6
    scene.look(9, STUCK_S)
    scene.look(9, STUCK_S + 1)
    assert scene.reason(STUCK_S + 10) is None


def test_restored_records_are_progress():
    scene = Stage()
    for now in range(0, 200, 10):
        scene.restored += 1
        scene.look(9, float(now))
    assert scene.reason(200.0) is None


def test_a_partition_that_is_assigned_and_never_restored_is_lag():
    scene = Stage()
    scene.look(0, 0.0, 1.0)
    assert scene.reason(2.0 + STUCK_S) == "lag and no progress"


def test_a_position_at_the_end_is_not_lag():
    scene = Stage()
    scene.current[TPS] = 9
    scene.look(9, 0.0, 1.0, 1000.0)
    assert scene.reason(1000.0) is None
    assert scene.rewound == 0


def test_stalled_partitions_are_fetched_again_every_few_seconds():
    scene = Stage()
    scene.current[TPS] = 5
    began = 1000.0
    scene.look(9, began, *(began + 1 + second for second in range(int(2 * REWIND_S) + 1)))
    assert scene.rewound == 2


def test_an_unresponsive_event_loop_is_a_failure():
    assert WatchdogState(tick=0.0).reason(STUCK_S + 1) == "the event loop does not answer"


def test_partitions_without_owner_for_a_minute_are_a_failure():
    state = WatchdogState(tick=100.0, unowned_since=100.0 - STUCK_S - 1)
    assert state.reason(100.0) == "the topic has partitions that nobody owns"


def test_a_suspended_process_is_not_reported_as_hanging():
    state = WatchdogState(tick=0.0, stuck_since=0.0, unowned_since=0.0)
    state.reset(1000.0)
    assert state.reason(1000.0) is None


def test_a_log_that_stays_shorter_than_the_position_is_a_failure_that_names_the_topic(
    make_partition, ends, ended
):
    async def scene() -> None:
        stage = Stage(await make_partition(position=50))
        stage.current[TPS] = 50
        await stage.dog.judge_ends({TPS: 3}, 0.0)
        await stage.dog.judge_ends({TPS: 3}, WITHDRAWN_S)
        await stage.dog.judge_ends({TPS: 50}, WITHDRAWN_S + 1)  # it was a broker that had just started
        await stage.dog.judge_ends({TPS: 3}, WITHDRAWN_S + 2)
        assert ends == []
        with pytest.raises(ended):
            await stage.dog.judge_ends({TPS: 3}, 2 * WITHDRAWN_S + 3)

    asyncio.run(scene())
    assert ends[0][:2] == ("leave", exits.CONFIGURATION)
    assert "t.events/1" in ends[0][2]
    assert "re-created" in ends[0][2]


def test_partitions_are_given_the_end_of_their_log(make_partition):
    async def scene() -> None:
        partition = await make_partition(position=5)
        stage = Stage(partition)
        stage.current[TPS] = 5
        await stage.dog.judge_ends({TPS: 5}, time.monotonic())
        assert partition.caught_up

    asyncio.run(scene())


def test_an_unresponsive_event_loop_is_detected_by_the_thread(monkeypatch, ends, ended):
    monkeypatch.setattr(watchdog, "STUCK_S", 0.05)
    monkeypatch.setattr(watchdog, "TICK_S", 0.05)
    scene = Stage()
    with pytest.raises(ended):
        scene.dog._judge()
    assert ends[0][:2] == ("restart", exits.WATCHDOG)
    assert "does not answer" in ends[0][2]
