"""The real worker on a real Kafka measures the same as ``replay``, for every producer."""

from __future__ import annotations

import json
import sys
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
from tests.llmdrift import JUNE, MARCH, measurements_of, rows_of
from tests.polling import wait_until
from tests.tiers import by_profile

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


def real_answers(name: str) -> list[bytes]:
    begin = datetime(2023, 6, 1, tzinfo=UTC)
    return [
        json.dumps(
            {
                "kind": "response",
                "event_id": f"{name}-{number}",
                "time": (begin + timedelta(seconds=number)).isoformat(),
                "service": "llmdrift",
                "feature": name,
                "model": "gpt-4",
                **measurements_of(row),
            }
        ).encode()
        for number, row in enumerate([*rows_of(name, MARCH), *rows_of(name, JUNE)])
    ]


PRIME, OPINIONS = ("PRIME_FULL", {"below": 200}), ("OPINIONQA", {"above": 60})


@pytest.mark.llmdrift
@pytest.mark.long_form
@pytest.mark.parametrize(("name", "rule"), by_profile([PRIME], [PRIME, OPINIONS]))
def test_recorded_answers_through_kafka_give_the_windows_of_replay_and_the_incident_after_the_change(
    worker: Callable[..., Any], name: str, rule: dict[str, Any]
) -> None:
    values = real_answers(name)
    rules = [{"name": "length", "on": "output_chars.mean", "window": "5m", "severity": "warning", **rule}]
    # the last pane closes by the wall clock, a pane and the lateness later
    settings = {"rules": rules, "time": {"pane": "10s", "lateness": "1s"}}
    expected = replayed(Config.model_validate(settings), values)
    topics, _, _ = worker(1, **settings)
    publish(topics, values)
    goal = windows(expected)

    def got() -> list[dict[str, Any]]:
        return [
            json.loads(record.value) for suffix in ("windows", "alerts") for record in topics.read(suffix)[0]
        ]

    # the last pane closes by the wall clock
    wait_until(lambda: len(windows(got())) == len(goal), 150, "not all windows were written", every_s=0.5)
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
    # the events are of 2023: the episode is recorded and does not page
    assert {record["muted"] for record in muted} == {"over 24 h old on arrival"}
