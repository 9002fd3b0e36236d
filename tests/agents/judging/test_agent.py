"""The judge agent over Kafka in memory: no verdict is lost or doubled, whatever ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter

import pytest
from faust.types import TP

from agents.judging.agent import JudgeAgent
from agents.judging.caller import Caller
from agents.judging.clients import CallFailed, Reply
from agents.runtime.clock import wall_clock_us
from agents.runtime.counters import Counters
from agents.runtime.owned_partitions import OwnedPartitions
from monitor.judging.core import JudgeCore
from monitor.judging.identity import identity
from monitor.judging.standing import Standing
from monitor.protocol.messages import to_json
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config
from schemas.records import JudgedRates
from schemas.times import rfc3339
from softfail.backoff import Backoff
from softfail.partitioning import partition_of
from tests.agents.runtime.memory_backend import PLAIN, Record, bundles
from tests.agents.runtime.test_worker_in_memory import made_kafka
from tests.monitor.judging.test_trust import calibration, judge

SOURCE = TP("t.events", partition_of("bot", "answer", 1))
JUDGE = {"sample": {"rate": 1.0, "failed": 1.0}, "budget": 1000, "concurrency": 16}


class FakeModel:
    """Answers at once; some calls fail. ``answers``: how many it gave."""

    def __init__(self, rng, faulty=0.0):
        self.rng, self.faulty, self.answers, self.failed_texts = rng, faulty, 0, {"BAD"}

    async def ask(self, prompt, repair=None):
        await asyncio.sleep(0)
        if self.rng.random() < self.faulty:
            raise CallFailed("rate_limited", "busy", may_retry=True)
        self.answers += 1
        verdict = "no" if any(text in prompt.user for text in self.failed_texts) else "yes"
        return Reply({"reason": "r", "verdict": verdict}, "m-1", 400, 40, "stop")

    async def close(self):
        pass


class Process:
    def __init__(self, kafka, model, setting):
        self.config = Config(judges=(setting,))
        self.standing = Standing(setting)
        callers = {setting.name: Caller(self.standing, model, Backoff(0.0, 0.0))}
        self.agent = JudgeAgent(self.config, callers, {setting.name: self.standing})
        self.kafka = kafka
        self.store = OwnedPartitions(
            Kafka(prefix="t", checkpoint=60, partitions=1), [self.agent], Counters(), kafka
        )

    async def start(self):
        await self.store.assign({SOURCE})
        self.partition = self.store.owned[SOURCE]

    async def read(self, most=50):
        for bundle in bundles(self.kafka, SOURCE, self.partition.position, most):
            await self.partition.take(bundle)
        await self.partition.checkpoint()

    @property
    def core(self):
        core = self.partition.core
        assert isinstance(core, JudgeCore)
        return core

    async def await_judged(self):
        while any(self.core.pending.values()):  # noqa: ASYNC110 - no event announces it
            await asyncio.sleep(0.005)
        await self.partition.checkpoint()

    async def die(self):
        """End without a last checkpoint; tasks stop where they are."""
        for task in self.partition._tasks:
            task.cancel()
        await asyncio.gather(*self.partition._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.partition.changelog.close()


def publish(kafka, numbers, **more):
    log, now_us = kafka.log(*SOURCE), wall_clock_us()
    for number in numbers:
        event = {
            "event_id": f"e{number}",
            "time": rfc3339(now_us),
            "service": "bot",
            "feature": "answer",
            "model": "m",
            "prompt_version": "7",
            "output": "a BAD answer" if number % 5 == 0 else "a fine answer",
            "sample_probability": 0.5,
            **more,
        }
        record = Record("t.events", 0, 0, now_us // 1000, b"bot/answer", json.dumps(event).encode(), ())
        log.append(record, PLAIN)


def events(kafka, kind="evaluation"):
    records = [json.loads(record.value) for record in kafka.read("t.events", SOURCE.partition)]
    return [record for record in records if record.get("kind", "response") == kind]


@pytest.mark.parametrize("seed", range(4))
def test_no_verdict_is_lost_or_doubled_through_kills(seed):
    rng, kafka = random.Random(seed), made_kafka()
    model = FakeModel(rng, faulty=0.3)

    async def scene():
        published = 0
        for _ in range(8):
            process = Process(kafka, model, judge(**JUDGE))
            await process.start()
            for _ in range(rng.randrange(1, 3)):
                publish(kafka, range(published, published + 30))
                published += 30
                await process.read()
            for _ in range(rng.randrange(40)):
                await asyncio.sleep(0)
            if rng.random() < 0.5:
                await process.partition.checkpoint()
            await process.die()
        process = Process(kafka, model, judge(**JUDGE))
        await process.start()
        await process.read(500)
        await process.await_judged()
        results = process.core.ledgers["grounded"].results
        await process.store.revoke_all()
        return published, results

    published, results = asyncio.run(scene())
    verdicts = Counter(event["response_id"] for event in events(kafka))
    errors = sum(n for result, n in results.items() if result.startswith("error/"))
    assert set(verdicts.values()) == {1}
    assert len(verdicts) + errors == published == results["chosen"]
    assert len(verdicts) > 0.95 * published


def run(kafka, model, setting, during=None):
    async def scene():
        process = Process(kafka, model, setting)
        await process.start()
        await process.read(500)
        await process.await_judged()
        if during is not None:
            await during(process)
        await process.store.revoke_all()
        return process

    return asyncio.run(scene())


def test_a_verdict_carries_labels_probability_identity_and_a_redacted_reason():
    kafka, setting = (
        made_kafka(),
        judge(**JUDGE | {"sample": {"rate": 0.5, "failed": 0.5, "least_per_hour": 0}}),
    )
    publish(kafka, range(40))
    run(kafka, FakeModel(random.Random(1)), setting)
    found = events(kafka)
    assert 10 < len(found) < 30
    assert {event["sample_probability"] for event in found} == {0.25}
    assert {(event["prompt_version"], event["service"], event["feature"]) for event in found} == {
        ("7", "bot", "answer")
    }
    assert {event["evaluator_version"] for event in found} == {identity(setting, "m-1")}
    assert {event["evaluator"] for event in found} == {"grounded_uncalibrated"}
    assert all(event["passed"] is (int(event["response_id"][1:]) % 5 != 0) for event in found)
    calls = [event for event in events(kafka, "response") if event["service"] == "softfail"]
    assert len(calls) == len(found)
    assert {(call["feature"], call["environment"], call["response_model"]) for call in calls} == {
        ("judge-grounded", "judge", "m-1")
    }
    assert all(call["cost_usd"] == pytest.approx(440e-6) and "output" not in call for call in calls)


def test_its_own_calls_and_softfails_own_features_are_never_judged():
    kafka = made_kafka()
    publish(kafka, range(10), service="softfail", feature="judge-other")
    model = FakeModel(random.Random(1))
    run(kafka, model, judge(**JUDGE))
    assert (model.answers, events(kafka)) == (0, [])


def test_only_a_calibrated_judge_counts_under_its_own_name():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    name = identity(judge(**JUDGE), "m-1")
    setting = judge(**JUDGE, calibration=calibration(identity=name))
    publish(kafka, range(10))
    run(kafka, model, setting)
    assert {event["evaluator"] for event in events(kafka)} == {"grounded"}


def test_labels_of_people_calibrate_a_judge_and_each_counts_once():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    publish(kafka, range(400))

    async def label(process):
        assert not process.standing.trust(wall_clock_us()).calibrated
        for number in (*range(400), 3):
            publish(
                kafka,
                [number],
                kind="evaluation",
                response_id=f"e{number}",
                evaluator="human:grounded",
                passed=number % 5 > 0,
                output=None,
            )
        await process.read(500)
        process.standing._trust = None
        trust = process.standing.trust(wall_clock_us())
        assert (trust.labels, trust.reasons) == (400, ())
        assert trust.agreement.agreement.value == 1

    run(kafka, model, judge(**JUDGE), label)


def test_a_judge_that_changes_is_found_by_its_anchors_and_begins_anew_as_another_judge():
    anchors = [{"id": f"a{number}", "output": f"anchor {number:03}"} for number in range(100)]
    name = identity(judge(**JUDGE), "m-1")
    setting = judge(**JUDGE | {"anchors": anchors}, calibration=calibration(identity=name))
    standing = Standing(setting)
    standing.answered_by("m-1")
    now_us = wall_clock_us()
    verdicts = {anchor["id"]: True for anchor in anchors}
    for day in range(5):
        standing.take_anchors(verdicts, name, now_us + day * 86_400_000_000)
    assert standing.trust(now_us).calibrated
    changed = verdicts | {f"a{number}": False for number in range(12)}
    standing.take_anchors(changed, name, now_us + 5 * 86_400_000_000)
    assert standing.changed_us
    assert not standing.trust(now_us).calibrated
    assert standing.answered_by("m-1") == f"{name}-1"
    copy = Standing(setting)
    copy.restore_anchors(json.loads(json.dumps(standing.anchor_row())))
    assert copy.answered_by("m-1") == f"{name}-1"


def test_spending_and_what_waits_survive_a_restart():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    publish(kafka, range(20))
    before = run(kafka, model, judge(**JUDGE))
    spent = before.core.ledgers["grounded"].spent_usd
    assert spent == pytest.approx(20 * 440e-6)

    async def look(process):
        assert process.standing.budget.spent_usd == pytest.approx(spent)

    run(kafka, model, judge(**JUDGE), look)
    assert model.answers == 20


def test_without_money_nothing_is_chosen_and_it_is_counted():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    publish(kafka, range(200))
    process = run(kafka, model, judge(**JUDGE | {"budget": 0.01}))
    results = process.core.ledgers["grounded"].results
    assert results["skip/budget"] > 100
    assert process.core.ledgers["grounded"].spent_usd <= 0.01
    assert len(events(kafka)) == results["chosen"]


def test_a_failing_answer_of_a_cheap_evaluator_is_of_the_failed_stratum():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    publish(kafka, range(100), finish_reason="length")
    publish(kafka, range(100, 200))
    run(kafka, model, judge(**JUDGE | {"sample": {"rate": 0.1, "failed": 1.0, "least_per_hour": 0}}))
    assert Counter(event["sample_probability"] for event in events(kafka))[0.5] == 100


def test_each_minute_the_trust_and_the_corrected_rate_of_each_feature_are_written_for_all_workers():
    kafka, model = made_kafka(), FakeModel(random.Random(1))
    setting = judge(**JUDGE, calibration=calibration(identity=identity(judge(**JUDGE), "m-1")))
    publish(kafka, range(100))

    async def report(process):
        process.core._beat_us = 0
        _, record = process.core.heartbeat(wall_clock_us()).records["alerts"]
        (rate,) = record.rates
        assert (record.judge, record.calibrated, record.reasons) == ("grounded", True, ())
        assert (rate.service, rate.feature, rate.reasons) == ("bot", "answer", ())
        assert rate.low <= rate.value <= rate.high
        assert rate.judged == pytest.approx(0.2, abs=0.001)
        JudgedRates.model_validate_json(to_json(record))

    run(kafka, model, setting, report)
