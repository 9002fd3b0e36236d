"""A quality lead sets a judge up: people label 100 of its verdicts, and the page shows its rate; a rise pages."""

from __future__ import annotations

import asyncio
import csv
import json
import random
from datetime import UTC, datetime

import pytest
import yaml

from agents.judging import agent as agent_module
from agents.judging.caller import Caller
from agents.judging.clients import client_of
from agents.runtime.counters import Counters
from agents.runtime.owned_partitions import OwnedPartitions
from agents.web.status_endpoint import narrow, overview
from monitor.__main__ import main
from monitor.config_check import load_checked_config
from monitor.fleet.read_model import Fleet
from monitor.judging.standing import Standing
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.connections import Kafka
from schemas.times import microseconds
from softfail.backoff import Backoff
from tests.agents.judging.model_server import ModelServer
from tests.agents.judging.test_agent import SOURCE, FakeModel, Process, events, publish
from tests.agents.judging.test_anchors import until
from tests.agents.runtime.test_worker_in_memory import made_kafka
from tests.agents.web.conftest import FakeWorker

RUBRIC = 'prompt: "Is the answer right? {{output}}"\nchoice_scores: {"yes": 1, "no": 0}\n'


class ConfiguredProcess(Process):
    """A process of the judge agent with the configuration of a file. ``model``: instead of the provider's client."""

    def __init__(self, kafka, config, model=None):
        self.config, self.kafka = config, kafka
        (setting,) = config.judges
        self.standing = Standing(setting)
        caller = Caller(self.standing, model or client_of(setting, "key"), Backoff(0.0, 0.0))
        self.agent = agent_module.JudgeAgent(config, {setting.name: caller}, {setting.name: self.standing})
        memory = Kafka(prefix="t", checkpoint=60, partitions=1)
        self.store = OwnedPartitions(memory, [self.agent], Counters(), kafka)

    async def judge_all(self, numbers, bad_of_5=1):
        """Publish answers and have all of them judged."""
        results = self.core.ledgers["grounded"].results
        chosen = results["chosen"] + len(numbers)
        for number in numbers:
            output = "a BAD answer" if number % 5 < bad_of_5 else "a fine answer"
            publish(self.kafka, [number], sample_probability=1.0, output=output)
        while results["chosen"] < chosen:  # an open transaction before them hides them until it is committed
            await self.read(2000)
        await self.await_judged()


def configuration(url, **judge):
    setting = {
        "name": "grounded",
        "match": ["bot/*"],
        "rubric": "rubric.yaml",
        "endpoint": {"kind": "openai", "url": f"{url}/v1"},
        "model": "m-1",
        "budget": 1000,
        "prices": {"input": 1, "output": 1},
        "sample": {"rate": 1.0, "failed": 1.0},
        "concurrency": 16,
        "anchors": "anchors.ndjson",
        **judge,
    }
    rule = {"name": "grounded", "on": "evaluator.grounded.fail_rate", "above": 0.4, "severity": "error"}
    return {"judges": [setting], "rules": [rule]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rubric.yaml").write_text(RUBRIC)
    anchors = (json.dumps({"id": f"a{number}", "output": f"anchor {number}"}) for number in range(100))
    (tmp_path / "anchors.ndjson").write_text("\n".join(anchors))
    monkeypatch.setattr(agent_module, "ANCHORS_S", 0.02)
    return tmp_path


def export(kafka, name):
    """Write what lies in the topic of events to a file."""
    records = kafka.read("t.events", SOURCE.partition)
    with open(name, "w") as stream:
        stream.writelines(record.value.decode() + "\n" for record in records)


def judged(kafka, config, numbers, finish, model=None):
    """Publish answers and have them judged; return what ``finish`` returns."""

    async def run():
        process = ConfiguredProcess(kafka, config, model)
        await process.start()
        await until(lambda: process.standing.checked_us, process)  # the anchors of this day
        await process.judge_all(numbers)
        result = finish(process)
        await process.store.revoke_all()
        return result

    return asyncio.run(run())


def rise(kafka, config, model):
    """Answers become bad; the anchors show that it is not the judge, and the verdicts count again."""

    async def run():
        process = ConfiguredProcess(kafka, config, model)
        await process.start()
        for first in range(500, 1700, 200):
            await process.judge_all(range(first, first + 200), bad_of_5=4)
            if process.standing.doubt:
                process.standing.checked_us -= 3_600_000_001  # an hour ago
                await until(lambda: not process.standing.doubt, process)
        await process.store.revoke_all()

    asyncio.run(run())


def label_all(name):
    """Fill in the labels of the CSV file, as a person does."""
    with open(name, newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["label"], row["rater"] = ("fail" if "BAD" in row["output"] else "pass"), "ann"
    with open(name, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def page_of(config, records, worker):
    """Return what the status page of a worker shows that measures nothing itself."""
    now = datetime.now(UTC)
    fleet = Fleet(config)
    for record in records:
        fleet.take("alerts", record, microseconds(now))
    reader = type("Reader", (), {"fleet": fleet, "fault": ""})()
    return narrow(asyncio.run(overview(worker, now, 0.0, reader)))


def beat(process):
    process.core._beat_us = 0
    outputs = process.core.heartbeat(agent_module.wall_clock_us())
    return [FileRecord(message.value, number) for number, message in enumerate(outputs.messages["alerts"])]


def test_answers_are_labelled_the_judge_is_calibrated_its_rate_is_shown_and_a_rise_pages(folder, capsys):
    kafka, model, worker = made_kafka(), FakeModel(random.Random(1)), FakeWorker([])
    with ModelServer() as server:
        (folder / "softfail.yaml").write_text(yaml.safe_dump(configuration(server.url)))
        config = load_checked_config(folder / "softfail.yaml")
        (shown,) = page_of(config, judged(kafka, config, range(250), beat), worker)["judges"]
        assert not shown["calibrated"]
        assert "judge calibrate" in shown["reasons"][0]
        export(kafka, "events.ndjson")

        draw = ["review", "sample", "events.ndjson", "--question", "grounded", "--ask", "Is it right?"]
        assert main([*draw, "--answers", "100", "--verdict", "grounded", "--output", "review"]) == 0
        assert len(label_all("review/labels.csv")) == 100
        imported = ["review", "import", "review/sample.jsonl", "review/labels.csv"]
        assert main([*imported, "--output", "labels.ndjson"]) == 0
        calibrate = ["judge", "calibrate", "events.ndjson", "labels.ndjson", "--config", "softfail.yaml"]
        assert main([*calibrate, "--output", "grounded.json"]) == 0, capsys.readouterr().out

        configured = configuration(server.url, calibration="grounded.json")
        (folder / "softfail.yaml").write_text(yaml.safe_dump(configured))
        config = load_checked_config(folder / "softfail.yaml")
        (shown,) = page_of(config, judged(kafka, config, range(250, 500), beat, model), worker)["judges"]
        (rate,) = shown["rates"]
        assert (shown["calibrated"], rate["calibrated"], shown["labels"]) == (True, True, 100)
        assert rate["judged"] == pytest.approx(0.2, abs=0.01)
        assert rate["low"] < 0.2 < rate["high"] < 0.4
        rise(kafka, config, model)

    values = [record.value for record in kafka.read("t.events", SOURCE.partition)]
    watch = Watch(config)
    records = [FileRecord(value, number) for number, value in enumerate(values)]
    outputs = watch.apply(records)
    outputs.extend(watch.finish())
    fired = [
        record.evidence
        for record in outputs.records["alerts"]
        if getattr(record, "rule", "") == "grounded" and getattr(record, "state", "") == "firing"
    ]
    assert fired, "the rise did not page"
    assert fired[0].low > 0.4
    assert {event["evaluator"] for event in events(kafka) if event["response_id"] == "e1699"} == {"grounded"}
