"""A judged failure rate that rises: the anchors decide whether the answers or the judge changed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from agents.judging import agent as agent_module
from monitor.judging.identity import identity
from tests.agents.judging.test_agent import JUDGE, FakeModel, Process, events, publish
from tests.agents.runtime.test_worker_in_memory import made_kafka
from tests.monitor.judging.test_trust import calibration, judge

ANCHORS = [{"id": f"a{number}", "output": f"anchor {number:03}"} for number in range(200)]
DAY_US = 86_400_000_000


@pytest.fixture
def clock(monkeypatch):
    """A wall clock that tests move on, in days; anchors are looked at without a pause."""
    offset = {"us": -2 * DAY_US}
    real = agent_module.wall_clock_us
    monkeypatch.setattr(agent_module, "wall_clock_us", lambda: real() + offset["us"])
    monkeypatch.setattr(agent_module, "ANCHORS_S", 0.0)
    return offset


async def until(condition, process):
    for _ in range(60_000):  # a minute at least, on a busy machine
        process.partition.end, process.partition.end_seen = process.partition.position, float("inf")
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


def scene(clock, later):
    """Judge 800 good answers and the anchors on three days; then ``later``."""
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    name = identity(judge(**JUDGE), "m-1")
    setting = judge(**JUDGE | {"anchors": ANCHORS}, calibration=calibration(identity=name))

    async def run():
        process = Process(kafka, model, setting)
        await process.start()
        for _ in range(3):
            runs = process.standing.checked_us
            await until(lambda runs=runs: process.standing.checked_us > runs, process)
            clock["us"] += DAY_US
        clock["us"] -= DAY_US
        publish(kafka, [5 * number + 1 for number in range(800)])  # none is BAD
        await process.read(1000)
        await process.await_judged()
        await later(process, model, kafka)
        await process.store.revoke_all()
        return process

    return asyncio.run(run()), kafka


def evaluators(kafka, first):
    return Counter(event["evaluator"] for event in events(kafka)[first:])


def test_if_the_answers_became_worse_the_verdicts_count_again_once_the_anchors_are_judged(clock):
    async def later(process, model, kafka):
        assert evaluators(kafka, 0) == {"grounded": 800}
        publish(kafka, range(10_000, 10_060))  # a fifth is BAD
        await process.read(1000)
        await process.await_judged()
        assert "the anchors are judged again" in process.standing.doubt
        process.standing.checked_us -= 3_600_000_001  # an hour ago
        await until(lambda: not process.standing.doubt, process)
        publish(kafka, range(20_000, 20_040))
        await process.read(1000)
        await process.await_judged()

    process, kafka = scene(clock, later)
    assert process.standing.changed_us == 0
    counts = evaluators(kafka, 800)
    assert counts["grounded"] >= 41
    assert counts["grounded_uncalibrated"] >= 10
    assert evaluators(kafka, 860) == {"grounded": 40}


def test_if_the_judge_changed_its_verdicts_page_for_nothing_and_a_ticket_is_written(clock):
    async def later(process, model, kafka):
        model.failed_texts = {"BAD", "anchor 01", "anchor 12", "fine"}  # it became stricter
        publish(kafka, [50_001 + 5 * number for number in range(60)])
        await process.read(1000)
        await process.await_judged()
        process.standing.checked_us -= 3_600_000_001  # an hour ago
        await until(lambda: process.standing.changed_us, process)
        publish(kafka, [90_001 + 5 * number for number in range(40)])
        await process.read(1000)
        await process.await_judged()
        process.core._beat_us = 0
        outputs = process.core.heartbeat(agent_module.wall_clock_us())
        record, rates = outputs.records["alerts"]
        assert (rates.calibrated, bool(rates.reasons)) == (False, True)
        assert [finding.name for finding in record.findings] == ["judge-changed"]
        assert "20 of 200 anchors have another verdict than usual" in record.findings[0].text

    process, kafka = scene(clock, later)
    assert evaluators(kafka, 860) == {"grounded_uncalibrated": 40}
    assert events(kafka)[-1]["evaluator_version"].endswith("-1")
    assert not process.standing.trust(agent_module.wall_clock_us()).calibrated


def test_the_anchors_are_judged_once_a_day_and_their_history_survives_a_restart(clock):
    async def later(process, model, kafka):
        assert process.core.ledgers["grounded"].results["anchor"] == 600
        del model, kafka

    process, kafka = scene(clock, later)
    model = FakeModel(random.Random(1))

    async def again():
        restarted = Process(kafka, model, process.standing.judge)
        await restarted.start()
        assert restarted.standing.history.counts["a7"] == (3, 0)
        await until(lambda: True, restarted)
        await restarted.store.revoke_all()

    asyncio.run(again())
    assert model.answers == 0
