"""Evaluators of users in a worker over Kafka in memory: a bad one takes nothing else along."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from agents import watch
from agents.runtime.clock import wall_clock_us
from agents.runtime.counters import Counters
from agents.runtime.faust_transport import Bundle
from agents.runtime.owned_partitions import OwnedPartitions
from agents.watch import WatchAgent
from agents.web.worker_status import worker_measures
from monitor.config_check import with_user_evaluators
from monitor.protocol.messages import FileRecord
from monitor.protocol.read_progress import ReadProgress
from monitor.watch import Watch
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config
from softfail import evaluator_budget
from softfail.evaluator_pool import EvaluatorPool
from tests.agents.runtime.memory_backend import PLAIN, MemoryKafka, Record, bundles
from tests.agents.runtime.test_worker_in_memory import made_kafka
from tests.monitor.event_values import NINE, event
from tests.polling import until, wait_until

GOOD = {"use": "tests.softfail.own_evaluators:CitesSource", "timeout": 10}
BAD = {"use": "tests.softfail.own_evaluators:by_text", "name": "bad", "timeout": 10, "memory": 256}
SOURCE = TP("t.events", 0)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine takes longer to start a process than a bundle waits."""
    monkeypatch.setattr(watch, "WAIT_S", 300.0)


def config_of(*evaluators: Any) -> Config:
    return Config.model_validate(
        {
            "features": [{"match": "*", "evaluators": list(evaluators)}],
            "default_rules": False,
            "no_data": {"severity": None},
        }
    )


class Deployment:
    """A worker of one partition, with processes for its evaluators."""

    def __init__(self, kafka: MemoryKafka, config: Config, pool: EvaluatorPool) -> None:
        self.config, _ = with_user_evaluators(config, Path(), pool.describe)
        self.kafka, self.pool = kafka, pool
        self.agent = WatchAgent(self.config, pool)
        settings = Kafka(prefix="t", checkpoint=60, partitions=1)
        self.store = OwnedPartitions(settings, [self.agent], Counters(), kafka)

    async def read(self) -> None:
        await self.store.assign({SOURCE})
        partition = self.store.owned[SOURCE]
        for bundle in bundles(self.kafka, SOURCE, partition.position, 500):
            await partition.take(bundle)

    async def stop(self) -> list[Any]:
        """Make everything durable; return the windows."""
        await self.store.revoke_all()
        return windows(self.kafka)


def windows(kafka: MemoryKafka) -> list[Any]:
    records = [
        json.loads(record.value or b"")
        for number in range(len(kafka.topics["t.windows"]))
        for record in kafka.read("t.windows", number)
    ]
    return sorted(records, key=lambda record: (record["start"], record["level"]))


def kafka_with(texts: dict[int, str], number: int = 400) -> MemoryKafka:
    """Publish an answer a second; ``texts`` are those that differ. Each is appended at its own time."""
    kafka = made_kafka()
    log = kafka.log(*SOURCE)
    begin_ms = round(NINE.timestamp() * 1000)
    for second in range(number):
        text = texts.get(second, "Yes [1]." if second % 4 else "Yes.")
        value = event(second, output=text)
        log.append(Record("t.events", 0, 0, begin_ms + second * 1000, b"bot/answer", value, ()), PLAIN)
    return kafka


def run(texts: dict[int, str], *evaluators: Any, during: Callable[[Deployment], None] | None = None) -> Any:
    """Read everything; return the deployment, its windows and its watermark."""

    async def scene() -> tuple[Deployment, list[Any], int | None]:
        with EvaluatorPool() as pool:
            deployment = Deployment(kafka_with(texts), config_of(*evaluators), pool)
            disturber = None
            if during is not None:
                disturber = threading.Thread(target=during, args=(deployment,))
                disturber.start()
            await deployment.read()
            if disturber is not None:
                disturber.join()
            core = deployment.store.owned[SOURCE].core
            assert isinstance(core, Watch)
            return deployment, await deployment.stop(), core.watermark_us

    return asyncio.run(scene())


def without_bad(records: list[Any]) -> list[Any]:
    return [
        {
            **record,
            "metrics": {name: value for name, value in record["metrics"].items() if ".bad." not in name},
        }
        for record in records
    ]


@pytest.mark.parametrize("text", ["raise", "die", "leak", "print", "fork", "exit", "garbage", "close"])
def test_a_bad_evaluator_leaves_all_other_figures_and_the_watermark_as_they_are(text):
    texts = {50: text, 51: text, 200: text}
    _, alone, watermark_us = run(texts, "defaults", GOOD)
    deployment, beside, same_us = run(texts, "defaults", GOOD, BAD)
    assert without_bad(beside) == alone
    assert watermark_us == same_us
    assert any("evaluator.cites_source.fail_rate" in record["metrics"] for record in alone)
    counts = {spec.use: counts for spec, counts in deployment.pool.counts().items()}[BAD["use"]]
    is_bad = text not in ("print", "fork")
    assert (counts.errors, counts.verdicts) == (3 * is_bad, 400 - 3 * is_bad)


def test_a_process_that_is_killed_during_a_bundle_costs_the_response_that_it_is_at():
    def kill(deployment: Deployment) -> None:
        (spec,) = (spec for spec in deployment.pool.counts() if spec.use == BAD["use"])
        wait_until(lambda: deployment.pool.counts()[spec].verdicts == 200)  # it is at the one that hangs
        os.kill(deployment.pool._runners[spec]._process._child.pid, signal.SIGKILL)

    patient = {**BAD, "timeout": 10}
    deployment, beside, watermark_us = run({200: "sleep"}, "defaults", GOOD, patient, during=kill)
    counts = {spec.use: counts for spec, counts in deployment.pool.counts().items()}[BAD["use"]]
    assert (counts.errors, counts.verdicts, counts.ends["exit"]) == (1, 399, 1)
    _, alone, same_us = run({200: "sleep"}, "defaults", GOOD)
    assert without_bad(beside) == alone
    assert watermark_us == same_us


def test_an_evaluator_that_always_hangs_is_cut_off_named_and_counted(monkeypatch):
    monkeypatch.setattr(evaluator_budget, "DEATHS", 3)

    async def scene() -> None:
        with EvaluatorPool() as pool:
            hangs = {**BAD, "timeout": "100ms"}
            texts = dict.fromkeys(range(400), "sleep")
            deployment = Deployment(kafka_with(texts), config_of("defaults", hangs), pool)
            for runner in pool._runners.values():
                runner.budget = evaluator_budget.ErrorBudget()
            await deployment.read()
            core = deployment.store.owned[SOURCE].core
            assert isinstance(core, Watch)
            ((_, skipped),) = [
                (feature, feature.skipped["bad"]) for feature in core.partition_state.features.values()
            ]
            errors = sum(
                feature.evaluator_errors["bad"] for feature in core.partition_state.features.values()
            )
            assert errors + sum(skipped.values()) == 400
            assert skipped["cut off"] > 300
            now_us = wall_clock_us()
            out = Watch(deployment.config).heartbeat(
                ReadProgress(True, 0), now_us, deployment.agent._cut_off()
            )
            (finding,) = [
                finding
                for finding in json.loads(out.messages["alerts"][0].value)["findings"]
                if finding["name"] == "evaluator-cut-off"
            ]
            assert finding["severity"] == "warning"
            assert "the evaluator bad is not asked for 10 min: its process ended" in finding["text"]
            measures = {(name, labels): value for name, labels, value in deployment.agent.measures()}
            assert measures["softfail_user_evaluator_cut_off", ("bad",)] == 1
            assert measures["softfail_user_evaluator_process_ends_total", ("bad", "timeout")] >= 3
            await deployment.stop()

    asyncio.run(scene())


def test_measures_of_an_evaluator_are_0_from_the_start_and_among_those_of_the_worker():
    with EvaluatorPool() as pool:
        deployment = Deployment(made_kafka(), config_of(GOOD), pool)

        class Running:
            counters, store = Counters(), deployment.store

            def partitions(self) -> list[Any]:
                return []

        measures = {(name, labels): value for name, labels, value in worker_measures(Running(), 0.0)}  # type: ignore[arg-type]
        for reason in ("start", "timeout", "memory", "exit"):
            assert measures["softfail_user_evaluator_process_ends_total", ("cites_source", reason)] == 0
        assert measures["softfail_user_evaluator_cut_off", ("cites_source",)] == 0


class Slow(WatchAgent):
    """An agent whose evaluators take until they are let go."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.waits, self.go = asyncio.Event(), asyncio.Event()

    async def prepare(self, core: Any, records: Any) -> None:
        self.waits.set()
        await self.go.wait()


async def slow_partition(kafka: MemoryKafka) -> tuple[Slow, OwnedPartitions, Bundle]:
    agent = Slow(config_of("defaults"))
    store = OwnedPartitions(Kafka(prefix="t", checkpoint=60, partitions=1), [agent], Counters(), kafka)
    await store.assign({SOURCE})
    (bundle,) = bundles(kafka, SOURCE, 0, 500)
    return agent, store, bundle


def test_while_a_bundle_waits_other_tasks_run_and_the_partition_is_not_caught_up():
    async def scene() -> None:
        agent, store, bundle = await slow_partition(kafka_with({}, 10))
        partition = store.owned[SOURCE]
        taking = asyncio.create_task(partition.take(bundle))
        await agent.waits.wait()
        partition.end, partition.end_seen = 0, time.monotonic()  # what the broker had before
        assert not partition.caught_up
        await partition.checkpoint()
        assert partition.durable == 0
        agent.go.set()
        await taking
        assert partition.position == 10
        await store.revoke_all()

    asyncio.run(scene())


def test_a_partition_that_is_revoked_while_a_bundle_waits_leaves_it_to_the_next_owner():
    async def scene() -> None:
        kafka = kafka_with({}, 10)
        agent, store, bundle = await slow_partition(kafka)
        taking = asyncio.create_task(store.owned[SOURCE].take(bundle))
        await agent.waits.wait()
        await store.revoke({SOURCE})
        agent.go.set()
        await taking
        agent.waits.clear()
        await store.assign({SOURCE})
        assert store.owned[SOURCE].position == 0
        await store.owned[SOURCE].take(bundle)
        await until(lambda: store.owned[SOURCE].position == 10)
        await store.revoke_all()

    asyncio.run(scene())


def test_a_wait_is_bounded_by_the_records_of_the_bundle():
    asked = []

    class Pool(EvaluatorPool):
        def evaluate(self, requests: Any, now_s: Any = None, budget_s: Any = None) -> Any:
            asked.append((len(list(requests)), budget_s))
            return {}

    agent = WatchAgent(config_of(GOOD), Pool())
    core = agent.core(0, 1)
    records = [FileRecord(event(second), second) for second in range(random.Random(1).randrange(100, 200))]
    asyncio.run(agent.prepare(core, records))
    assert asked == [(len(records), watch.WAIT_S + watch.EACH_S * len(records))]
