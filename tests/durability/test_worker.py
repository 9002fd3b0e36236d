"""The real worker on a real Kafka measures the same as ``replay``, for every producer."""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer

from monitor.backtest.engine import replay
from monitor.protocol.messages import FileRecord
from schemas.config.monitor_config import Config

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "llmdrift"
PARTITIONS = 4


@pytest.fixture
def worker(
    make_topics: Any, make_workers: Any, tmp_path: Path, free_port: Callable[[], int]
) -> Callable[..., Any]:
    """Start this many workers with a configuration on new topics; each has its own port."""

    def start(count: int = 1, **settings: Any) -> Any:
        topics = make_topics(PARTITIONS)
        ports = {number: free_port() for number in range(1, count + 1)}

        def command(number: int) -> list[str]:
            kafka = {
                "brokers": topics.address,
                "prefix": topics.prefix,
                "partitions": PARTITIONS,
                "checkpoint": 0.5,
            }
            path = tmp_path / f"softfail{number}.yaml"
            path.write_text(yaml.safe_dump({"kafka": kafka, "http": {"port": ports[number]}, **settings}))
            return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

        workers = make_workers(command)
        for number in ports:
            workers.start(number)
        return topics, workers, ports

    return start


def publish(
    topics: Any, values: list[bytes], *, key: bytes | None = b"by value", partition: int | None = None
) -> None:
    producer = KafkaProducer(bootstrap_servers=topics.address, max_request_size=1 << 20, linger_ms=5)
    for value in values:
        event_key = (
            f"{(event := json.loads(value))['service']}/{event['feature']}".encode()
            if key == b"by value"
            else key
        )
        producer.send(f"{topics.prefix}.events", key=event_key, value=value, partition=partition)
    producer.flush()
    producer.close()


def windows(records: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return the last revision of every window without its number, which depends on the time of reading."""
    last: dict[Any, dict[str, Any]] = {}
    for record in records:
        if record.get("record") == "window":
            key = json.dumps(
                [
                    record[name]
                    for name in (
                        "level",
                        "service",
                        "feature",
                        "environment",
                        "model",
                        "prompt_version",
                        "variant",
                        "start",
                    )
                ]
            )
            if key not in last or last[key]["revision"] < record["revision"]:
                last[key] = record
    return {
        key: {name: value for name, value in record.items() if name != "revision"}
        for key, record in last.items()
    }


def replayed(config: Config, values: list[bytes]) -> list[dict[str, Any]]:
    records = (FileRecord(value, offset) for offset, value in enumerate(values))
    return [
        json.loads(message.value)
        for outputs in replay(config, records)
        for topic, message in outputs.order
        if topic in ("windows", "alerts")
    ]


def until(condition: Callable[[], bool], patience_s: float, message: str) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.5)


def metrics(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line and not line.startswith("#")
    }


def real_answers(name: str) -> list[bytes]:
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"the real answers are not here: {path.name} belongs in ../shared/data/llmdrift")
    csv.field_size_limit(10**9)
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    begin, values = datetime(2023, 6, 1, tzinfo=UTC), []
    for model in ("openaichat/gpt-4-0314", "openaichat/gpt-4-0613"):
        for row in rows:
            if row["model"] == model:
                event = {
                    "kind": "response",
                    "event_id": f"{name}-{len(values)}",
                    "time": (begin + timedelta(seconds=len(values))).isoformat(),
                    "service": "llmdrift",
                    "feature": name,
                    "model": "gpt-4",
                    "input": row["query"],
                    "output": row["answer"],
                    "output_tokens": int(row["answer_token"]),
                    "duration_s": float(row["latency"]),
                    "cost_usd": float(row["cost"]),
                    "finish_reason": "stop",
                }
                values.append(json.dumps(event).encode())
    return values


@pytest.mark.llmdrift
@pytest.mark.parametrize(("name", "rule"), [("OPINIONQA", {"above": 60}), ("PRIME_FULL", {"below": 200})])
def test_recorded_answers_through_kafka_give_the_windows_of_replay_and_the_incident_after_the_change(
    worker: Callable[..., Any], name: str, rule: dict[str, Any]
) -> None:
    values = real_answers(name)
    rules = [{"name": "length", "on": "output_chars.mean", "window": "5m", "severity": "warning", **rule}]
    # the last pane closes by the wall clock, a pane and the lateness later
    settings = {"rules": rules, "time": {"pane": "10s", "lateness": "5s"}}
    expected = replayed(Config.model_validate(settings), values)
    topics, _, _ = worker(1, **settings)
    publish(topics, values)
    goal = windows(expected)

    def got() -> list[dict[str, Any]]:
        return [
            json.loads(record.value) for suffix in ("windows", "alerts") for record in topics.read(suffix)[0]
        ]

    def complete() -> bool:  # the last pane closes with the wall clock
        return len(windows(got())) == len(goal)

    until(complete, 150, "not all windows were written")
    assert windows(got()) == goal
    fired = [
        record
        for record in got()
        if record["record"] == "transition" and record["rule"] == "length" and record["level"] == "feature"
    ]
    would = [
        record
        for record in expected
        if record["record"] == "transition" and record["rule"] == "length" and record["level"] == "feature"
    ]
    assert fired[0]["state"] == "firing"
    assert {key: value for key, value in fired[0].items() if key != "decided_at"} == {
        key: value for key, value in would[0].items() if key != "decided_at"
    }
    change = datetime(2023, 6, 1, tzinfo=UTC) + timedelta(seconds=len(values) // 2)
    assert change < datetime.fromisoformat(fired[0]["time"]) < change + timedelta(minutes=6)
    muted = [record for record in got() if record["record"] == "episode"]
    # it happened in 2023: recorded, paged to nobody
    assert {record["muted"] for record in muted} == {"over 24 h old on arrival"}


def test_a_manually_produced_event_without_key_is_measured_from_any_partition(
    worker: Callable[..., Any],
) -> None:
    from confluent_kafka import Producer

    topics, _, ports = worker(1, time={"pane": "2s", "lateness": "1s"})
    producer = Producer({"bootstrap.servers": topics.address})
    for partition in range(PARTITIONS):
        time_now = datetime.now(UTC).isoformat()
        line = (
            f'{{"event_id":"h{partition}","time":"{time_now}","service":"by-hand","feature":"answer","model":"m","output":"It'
            ' ships on Tuesday."}'
        )
        producer.produce(f"{topics.prefix}.events", line.encode(), partition=partition)
    producer.flush(10)
    series = 'softfail_received_events_total{environment="production",feature="answer",kind="response",service="by-hand"}'
    until(lambda: metrics(ports[1]).get(series) == PARTITIONS, 40, "not all four lines were measured")
    rate = 'softfail_pass_rate{dimensions="",environment="production",feature="answer",level="feature",model="",prompt_version="",service="by-hand",variant=""}'
    until(lambda: metrics(ports[1]).get(rate) == 1.0, 40, "the pass rate is not shown")
    assert (
        sum(
            value
            for name, value in metrics(ports[1]).items()
            if name.startswith("softfail_forwarded_events_total")
        )
        == PARTITIONS - 1
    )


def test_an_invalid_event_is_a_dead_letter_its_neighbours_count_and_the_worker_continues(
    worker: Callable[..., Any],
) -> None:
    topics, workers, ports = worker(1, time={"pane": "2s", "lateness": "1s"})

    def event(**more: Any) -> dict[str, Any]:
        return {
            "event_id": "e",
            "time": datetime.now(UTC).isoformat(),
            "service": "bot",
            "feature": "answer",
            "model": "m",
            "output": "Fine.",
        } | more

    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    wrong = [json.dumps(event(**item)).encode() for item in ({"duration_s": "fast"}, {"time": tomorrow})]
    poison = [bytes(range(250)) * 4, json.dumps(event()).encode()[:-20], *wrong]
    large = json.dumps(event(output="x" * 900_000)).encode()
    from softfail.partitioning import partition_of

    home = partition_of("bot", "answer", PARTITIONS)
    for value in poison:
        publish(topics, [json.dumps(event()).encode()], key=b"bot/answer", partition=home)
        publish(topics, [value], key=b"bot/answer", partition=home)
    publish(topics, [large, json.dumps(event()).encode()], key=b"bot/answer", partition=home)
    series = 'softfail_received_events_total{environment="production",feature="answer",kind="response",service="bot"}'
    until(lambda: metrics(ports[1]).get(series) == 6, 40, "the neighbours were not all counted")
    until(lambda: len(topics.read("deadletter")[0]) == 4, 20, "not every poison became a dead letter")
    letters = sorted(
        (json.loads(record.value) for record in topics.read("deadletter")[0]),
        key=lambda letter: letter["offset"],
    )
    assert [
        (letter["topic"], letter["partition"], letter["offset"], letter["field"]) for letter in letters
    ] == [
        (f"{topics.prefix}.events", home, 1, ""),
        (f"{topics.prefix}.events", home, 3, ""),
        (f"{topics.prefix}.events", home, 5, "duration_s"),
        (f"{topics.prefix}.events", home, 7, "time"),
    ]
    assert workers.processes[1].poll() is None
    assert metrics(ports[1])['softfail_dead_letters_total{reason="future"}'] == 1
