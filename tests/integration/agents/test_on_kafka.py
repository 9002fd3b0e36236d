"""The worker on Kafka: topics, invalid and misplaced events, and state of another deployment."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import os
import re
import sys
import urllib.request
from typing import Any

import pytest

from agents.kafka import topics as kafka_topics
from agents.kafka.topics import describe
from agents.process.exits import Misconfigured
from schemas.config.connections import Kafka
from softfail.partitioning import partition_of
from tests.agents.run_command import Finished, kafka_environment, run_command
from tests.polling import wait_until


def topics_command(topics: Any) -> Finished:
    return run_command("topics", environment=kafka_environment(topics))


def alter(topics: Any, suffix: str, settings: dict[str, str]) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    async def scene() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=topics.address)
        await admin.start()
        name, is_taken_over = f"{topics.prefix}.{suffix}", False
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, settings)])
        while not is_taken_over:  # a moment later
            topic = (await describe(admin, topics.prefix)).get(name)  # a new topic is named late
            is_taken_over = topic is not None and settings.items() <= topic.settings.items()
        await admin.close()

    asyncio.run(scene())


def delete(topics: Any, *suffixes: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    async def scene() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=topics.address)
        await admin.start()
        names = {f"{topics.prefix}.{suffix}" for suffix in suffixes}
        await admin.delete_topics(sorted(names))
        while names & set(await admin.list_topics()):  # noqa: ASYNC110 - the broker does not tell
            await asyncio.sleep(0.1)
        await admin.close()

    asyncio.run(scene())


def send(topics: Any, *values: bytes, partition: int | None = None, key: bytes | None = None) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for value in values:
        producer.send(f"{topics.prefix}.events", value=value, key=key, partition=partition).get(10)
    producer.close()


def response(feature: str, **fields: Any) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return json.dumps(
        {
            "event_id": "1",
            "time": now,
            "service": "s",
            "feature": feature,
            "model": "m",
            "output": "Paris.",
            **fields,
        }
    ).encode()


@pytest.fixture
def worker(make_workers, tmp_path, free_port):
    """Start a real worker with panes of a second; return it and a function that reads its /metrics."""

    def start(topics: Any) -> tuple[Any, Any]:
        port, path = free_port(), tmp_path / "softfail.yaml"
        kafka = {
            "brokers": topics.address,
            "prefix": topics.prefix,
            "partitions": topics.partitions,
            "checkpoint": 0.5,
        }
        path.write_text(
            json.dumps({"kafka": kafka, "http": {"port": port}, "time": {"pane": "1s", "lateness": "1s"}})
        )
        workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
        workers.start(1)

        def metrics() -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text: str = answer.read().decode()
                    return text
            except OSError:
                return ""

        return workers, metrics

    return start


def wait_for(condition: Any, patience_s: float = 40) -> Any:
    return wait_until(condition, patience_s, every_s=0.3)


def test_topics_are_created_once_with_the_documented_settings(make_topics):
    topics = make_topics(4)
    again = topics_command(topics)
    assert (again.returncode, again.stdout) == (0, "8 topics, 0 differences\n")

    async def scene() -> dict[str, Any]:
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(bootstrap_servers=topics.address)
        await admin.start()
        result = await describe(admin, topics.prefix)
        await admin.close()
        return result

    result = asyncio.run(scene())
    assert result[f"{topics.prefix}.events"].settings["message.timestamp.type"] == "LogAppendTime"
    assert result[f"{topics.prefix}.watch.state"].settings["cleanup.policy"] == "compact"
    assert {name.removeprefix(topics.prefix + "."): topic.partitions for name, topic in result.items()} == {
        "events": 4,
        "watch.state": 4,
        "judge.state": 4,
        "windows": 16,
        "alerts": 1,
        "notify.state": 1,
        "samples": 4,
        "deadletter": 4,
    }


def test_different_settings_are_reported_with_the_remedy_and_fatal_differences_fail(make_topics):
    topics = make_topics(4)
    alter(topics, "samples", {"retention.ms": "1000"})
    output = topics_command(topics)
    assert output.returncode == 0
    assert f"topic {topics.prefix}.samples has retention.ms=1000" in output.stdout
    alter(topics, "events", {"message.timestamp.type": "CreateTime"})
    wrong = topics_command(topics)
    assert wrong.returncode == 78
    assert (
        f"--entity-name {topics.prefix}.events --add-config message.timestamp.type=LogAppendTime"
        in wrong.stdout
    )


def test_a_worker_does_not_start_without_its_topics_and_names_them(make_topics, monkeypatch):
    monkeypatch.setattr(kafka_topics, "SETTLE_S", 0.1)  # a broker that has just started names topics late
    topics = make_topics(4)
    delete(topics, "samples")
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=4)

    def refusal() -> str:
        try:
            asyncio.run(kafka_topics.await_cluster(kafka, [("watch", "events")]))
        except Misconfigured as error:  # which ends the process with 78
            return str(error)
        return ""  # the broker still names the topic

    missing = f"topic {topics.prefix}.samples does not exist; run: python -m agents topics"
    assert missing in wait_for(refusal)


def test_an_invalid_event_is_a_dead_letter_and_its_neighbours_are_counted(make_topics, worker):
    topics = make_topics(4)
    workers, metrics = worker(topics)
    partition = partition_of("s", "f", 4)
    tomorrow = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).isoformat()
    bad = {
        "random": os.urandom(1000),
        "cut": response("f")[:-20],
        "range": response("f", output_tokens=-7),
        "tomorrow": response("f", time=tomorrow),
    }
    for value in bad.values():
        send(topics, response("f"), value, response("f"), partition=partition, key=b"s/f")
    send(topics, response("f", output="x" * 900_000), partition=partition, key=b"s/f")
    wait_for(
        lambda: (
            'softfail_received_events_total{environment="production",feature="f",kind="response",service="s"} 9.0'
            in metrics()
        )
    )
    letters = wait_for(
        lambda: dead_letters if len(dead_letters := topics.read("deadletter")[0]) == 4 else None
    )
    result = {json.loads(letter.value)["offset"]: json.loads(letter.value) for letter in letters}
    assert sorted(result) == [1, 4, 7, 10]
    for (name, value), letter in zip(bad.items(), (result[offset] for offset in sorted(result)), strict=True):
        assert (letter["topic"], letter["partition"]) == (f"{topics.prefix}.events", partition), name
        assert base64.b64decode(letter["value"]) == value
        assert letter["error"]
    assert [result[offset]["field"] for offset in sorted(result)] == ["", "", "output_tokens", "time"]
    assert 'softfail_dead_letters_total{reason="future"} 1.0' in metrics()
    assert not workers.exits
    assert "RESTART" not in workers.log()


def test_an_event_without_key_is_measured_in_the_partition_of_its_feature(make_topics, worker):
    topics = make_topics(4)
    _, metrics = worker(topics)
    for partition in range(4):
        send(topics, response("g"), partition=partition)
    wait_for(lambda: re.search(r'^softfail_pass_rate\{.*level="feature".*\} 1\.0$', metrics(), re.MULTILINE))
    elsewhere = (partition_of("s", "g", 4) + 1) % 4
    send(topics, response("g", output="y" * 900_000), partition=elsewhere)
    wait_for(
        lambda: (
            'softfail_received_events_total{environment="production",feature="g",kind="response",service="s"} 5.0'
            in metrics()
        )
    )
    forwarded = re.findall(r"^softfail_forwarded_events_total\S* (\S+)$", metrics(), re.MULTILINE)
    assert sum(map(float, forwarded)) == 4
    windows = wait_for(lambda: [json.loads(record.value) for record in topics.read("windows")[0]])
    assert {window["feature"] for window in windows} == {"g"}


def test_aborted_events_are_never_counted_and_a_log_that_ends_with_a_marker_is_read_to_its_end(
    make_topics, make_workers, counting_command
):
    from kafka import KafkaProducer

    topics = make_topics(2)
    workers = make_workers(counting_command(topics))
    workers.start(1)
    producer = KafkaProducer(bootstrap_servers=topics.address, transactional_id=f"{topics.prefix}-source")
    producer.init_transactions()
    for transaction in range(12):
        producer.begin_transaction()
        aborted = transaction % 3 == 2
        for number in range(50):
            value = json.dumps({"key": "aborted" if aborted else "kept", "minute": transaction}).encode()
            producer.send(f"{topics.prefix}.events", value=value, partition=number % 2)
        producer.flush()
        if aborted:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()
    state = topics.await_positions(topics.read("events")[1], patience_s=40)
    counts = {key: int(value) for (_, key), value in state.items() if key != b"latest"}
    assert sum(int(value) for (_, key), value in state.items() if key != b"latest") == 8 * 50
    assert not any(key.startswith(b"aborted") for key in counts)
    assert "fetching again" not in workers.log()


def test_the_group_reports_unowned_partitions(make_topics, make_workers, counting_command):
    from agents.kafka.consumer_group import unowned

    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix)
    source = f"{topics.prefix}.events"
    workers = make_workers(counting_command(topics))
    workers.start(1)
    wait_for(lambda: workers.log().count("owns ") == 2)
    assert asyncio.run(unowned(kafka.model_copy(update={"prefix": "another"}), [source])) == {
        (source, 0),
        (source, 1),
    }
    assert asyncio.run(unowned(kafka, [source])) == set()
