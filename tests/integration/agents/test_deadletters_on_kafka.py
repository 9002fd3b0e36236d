"""Dead letters on a real Kafka: listed by reason, and reinjected once each."""

from __future__ import annotations

import base64
import datetime
import json
import os
import sys
import time
import urllib.request
from typing import Any

import pytest

from agents.dead_letters.records import MARK_HEADER
from agents.dead_letters.reinjection import REINJECTED
from monitor.ingest.dead_letters import dead_letter
from monitor.protocol.messages import FileRecord
from softfail.partitioning import partition_of
from tests.agents.run_command import Finished, kafka_environment, run_command
from tests.polling import wait_until

WHY = "tokens: Input should be a valid number, got 'x'"


def command(topics: Any, *arguments: str) -> Finished:
    ran = run_command("deadletters", *arguments, environment=kafka_environment(topics))
    assert "Traceback" not in ran.stderr
    return ran


def response(feature: str, **fields: Any) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return json.dumps(
        {"event_id": "1", "time": now, "service": "s", "feature": feature, "model": "m", **fields}
    ).encode()


@pytest.fixture
def publish():
    """Publish events to a partition and write their dead letters, as the worker does; return their
    offsets.
    """
    from kafka import KafkaProducer

    made = []

    def start(
        topics: Any, *read_letters: tuple[bytes, str, str], partition: int = 1, offset: int | None = None
    ) -> list[int]:
        producer = KafkaProducer(bootstrap_servers=topics.address, max_request_size=4 << 20)
        made.append(producer)
        offsets = []
        for value, error, field in read_letters:
            topic = f"{topics.prefix}.events"
            headers = [("traceparent", b"\xff7"), ("softfail-forwarded", b"0")]
            source_offset, timestamp = offset, 1
            if source_offset is None:
                sent = producer.send(topic, value=value, partition=partition, headers=headers).get(10)
                source_offset, timestamp = sent.offset, sent.timestamp
            letter = dead_letter(
                FileRecord(value, source_offset, timestamp, b"k", topic, partition, headers), error, field
            )
            producer.send(
                f"{topics.prefix}.deadletter", value=letter.value, key=letter.key, partition=partition % 4
            ).get(10)
            offsets.append(source_offset)
        return offsets

    yield start
    for producer in made:
        producer.close()


def rows(ran: Finished) -> dict[tuple[str, str], int]:
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    return {(row["outcome"], row["reason"]): row["count"] for row in rows}


def test_an_empty_topic_is_reported_without_error_and_a_missing_topic_exits_with_78(make_topics):
    topics = make_topics(2)
    ran = command(topics)
    assert (ran.returncode, "no dead letters in" in ran.stdout) == (0, True)
    topics.prefix += "x"
    ran = command(topics)
    assert (ran.returncode, ran.stdout) == (78, "")
    assert f"{topics.prefix}.deadletter does not exist" in ran.stderr


def test_dead_letters_are_listed_by_reason_with_a_redacted_sanitized_excerpt(make_topics, publish):
    topics = make_topics(4)
    offsets = publish(
        topics,
        (b"[]", "not JSON at column 4", ""),
        (b"{} ann@example.org \x1b[2J", "not JSON at column 3", ""),
        (b"7", WHY, "tokens"),
    )
    listed = [json.loads(line) for line in command(topics, "--format", "ndjson").stdout.splitlines()]
    assert [(group["count"], group["field"]) for group in listed] == [(2, ""), (1, "tokens")]
    assert listed[0]["example"] == {"topic": f"{topics.prefix}.events", "partition": 1, "offset": offsets[1]}
    assert listed[0]["excerpt"] == r"{} <EMAIL> \x1b[2J"
    table = command(topics, "--reason", "JSON", "--since", "1h").stdout
    assert "2 dead letters, 1 reasons" in table
    assert "tokens" not in table
    assert "no dead letters" in command(topics, "--field", "nothing").stdout


def test_hostile_letters_are_passed_and_the_good_one_is_reinjected(make_topics, publish):
    topics = make_topics(4)
    publish(topics, (response("good"), WHY, "tokens"))
    good = json.loads(topics.read("deadletter")[0][0].value)
    hostile: list[dict[str, Any]] = [
        {"partition": 99},
        {"partition": -1},
        {"partition": 2**40},
        {"offset": -5},
        {"offset": 2**63},
        {"offset": 10**400},
        {"timestamp": -(2**70)},
        {"size": -1},
        {"value": "not base64"},
        {"value": None},
        {"topic": f"{topics.prefix}.watch.state"},
        {"topic": "\x00" * 300},
        {"headers": [["softfail-forwarded", "1"]] * 10_000},
        {"headers": [["", "\x00"]]},
        {"error": "poison\x1b[2J"},
        {"error": "x" * 100_000},
    ]
    for number, change in enumerate(hostile):
        letter = good | {"timestamp": number, "key": "k"} | change
        topics.send("deadletter", json.dumps(letter).encode(), number % 4)
    for value in (b"[" * 50_000, b"\xff", b"{}", b'{"reinjected": [[]]}'):
        topics.send("deadletter", value, 0)
    listed = command(topics)
    assert listed.returncode == 0
    assert "\x1b" not in listed.stdout
    ran = command(topics, "--reinject", "--yes", "--format", "ndjson")
    assert ran.returncode == 0
    written = [record for record in topics.read("events")[0] if REINJECTED in dict(record.headers)]
    assert {record.value for record in written} == {base64.b64decode(good["value"])}


def test_readable_events_are_reinjected_once_completely_into_their_own_partition(make_topics, publish):
    topics = make_topics(4)
    small, large = response("small"), response("large", output="x" * 300_000)
    offsets = publish(topics, (small, WHY, "tokens"), (large, WHY, "tokens"), (b"never", "not JSON", ""))
    publish(topics, (response("gone"), WHY, "tokens"), offset=10**6)
    publish(topics, (response("lost", output="x" * 70_000), WHY, "tokens"), offset=10**6 + 1)

    asked = command(topics, "--reinject")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert len(topics.read("events")[0]) == 3

    first = rows(command(topics, "--reinject", "--yes", "--format", "ndjson"))
    assert first == {
        ("re-injected", "from its source offset"): 2,
        ("re-injected", "from the stored value, the source is gone"): 1,
        ("skipped", "still cannot be read: no JSON object"): 1,
        ("skipped", "the source is gone, and only the first 64 KiB are stored"): 1,
    }
    again = rows(command(topics, "--reinject", "--yes", "--format", "ndjson"))
    assert again[("skipped", "re-injected before")] == 3
    assert not any(outcome == "re-injected" for outcome, _ in again)

    written = {
        json.loads(record.value)["feature"]: record
        for record in topics.read("events")[0]
        if REINJECTED in dict(record.headers)
    }
    assert {feature: record.partition for feature, record in written.items()} == {
        name: partition_of("s", name, 4) for name in ("small", "large", "gone")
    }
    assert written["large"].value == large
    assert dict(written["large"].headers) == {
        "traceparent": b"\xff7",
        REINJECTED: f"{topics.prefix}.events/1/{offsets[1]}".encode(),
    }
    assert [
        record.partition for record in topics.read("deadletter")[0] if MARK_HEADER in dict(record.headers)
    ] == [1]
    assert (
        sum(
            json.loads(line)["reinjected"]
            for line in command(topics, "--format", "ndjson").stdout.splitlines()
        )
        == 3
    )


def test_a_plan_already_executed_by_another_process_writes_nothing(make_topics, publish):
    from agents.commands.dead_letters import _plan
    from agents.dead_letters.records import LetterFilter
    from agents.dead_letters.reinjection import inject
    from schemas.config.connections import Kafka

    topics = make_topics(2)
    publish(topics, (response("a"), WHY, "tokens"), (response("b"), WHY, "tokens"))
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    first, second = _plan(kafka, LetterFilter(), 10), _plan(kafka, LetterFilter(), 1)
    assert second.more
    assert len(inject(kafka, second.ready).ready) == 1
    done = inject(kafka, first.ready)
    assert (len(done.ready), dict(done.skipped)) == (1, {"re-injected by somebody else meanwhile": 1})
    assert len(topics.read("events")[0]) == 4


def test_events_without_their_mark_are_not_written(make_topics, publish, monkeypatch):
    from agents.commands.dead_letters import _plan
    from agents.dead_letters import reinjection
    from agents.dead_letters.records import LetterFilter
    from schemas.config.connections import Kafka

    topics = make_topics(2)
    publish(topics, (response("a"), WHY, "tokens"))
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    planned = _plan(kafka, LetterFilter(), 10)
    with monkeypatch.context() as patch:

        def breaks(_: Any) -> bytes:
            time.sleep(0.5)  # the event is at the broker by now
            raise RuntimeError("the disk is full")

        patch.setattr(reinjection, "encode_mark", breaks)
        with pytest.raises(RuntimeError, match="full"):
            reinjection.inject(kafka, planned.ready)
    assert len(topics.read("events")[0]) == 1
    assert len(reinjection.inject(kafka, planned.ready).ready) == 1
    assert len(topics.read("events")[0]) == 2


def test_a_fenced_process_writes_nothing_more(make_topics, publish):
    from kafka.errors import ProducerFencedError

    from agents.commands.dead_letters import _plan
    from agents.dead_letters.records import LetterFilter
    from agents.dead_letters.reinjection import inject
    from schemas.config.connections import Kafka

    topics = make_topics(2)
    publish(topics, *[(response("a", output="x" * 60_000), WHY, "tokens")] * 80)  # more than one transaction
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    planned = _plan(kafka, LetterFilter(), 80)
    second = []

    def overtake(count: int) -> None:
        if not second:
            second.append(inject(kafka, planned.ready))

    with pytest.raises(ProducerFencedError):
        inject(kafka, planned.ready, overtake)
    assert 0 < len(second[0].ready) < 80
    assert len(topics.read("events")[0]) == 160


def test_an_event_too_large_for_the_broker_does_not_prevent_others(make_topics):
    from agents.dead_letters.records import Identity
    from agents.dead_letters.reinjection import Reinjection, inject
    from schemas.config.connections import Kafka

    topics = make_topics(2)
    sizes = {1: 10, 2: 2_000_000, 3: 10}
    ready = [
        Reinjection(Identity("e", 0, offset, 1), offset, 0, b"k", os.urandom(size), (), "")
        for offset, size in sizes.items()
    ]
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    result = inject(kafka, ready)
    assert [event.source.offset for event in result.ready] == [1, 3]
    assert dict(result.skipped) == {"the broker finds it too large": 1}
    assert [len(record.value) for record in topics.read("events")[0]] == [10, 10]
    assert {record.partition for record in topics.read("deadletter")[0]} == {1, 3}


def test_a_reinjected_event_is_counted_once_by_a_real_worker(make_topics, make_workers, tmp_path, free_port):
    from kafka import KafkaProducer

    topics, port, path = make_topics(2), free_port(), tmp_path / "softfail.yaml"
    path.write_text(
        json.dumps(
            {
                "kafka": {
                    "brokers": topics.address,
                    "prefix": topics.prefix,
                    "partitions": 2,
                    "checkpoint": 0.5,
                },
                "http": {"port": port},
                "time": {"pane": "1s", "lateness": "1s"},
            }
        )
    )
    ahead = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=306)).isoformat()
    producer = KafkaProducer(bootstrap_servers=topics.address)
    for value in (response("a", time=ahead), b"poison", response("a")):
        producer.send(f"{topics.prefix}.events", value=value, partition=0).get(10)
    producer.close()
    workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
    workers.start(1)

    def received() -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return -1
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("softfail_received_events_total")
        )

    def wait_for(condition: Any) -> None:
        wait_until(condition, 60, every_s=0.3)

    wait_for(lambda: len(topics.read("deadletter")[0]) == 2 and received() == 1)
    wait_for(
        lambda: (
            ("re-injected", "from its source offset")
            in rows(command(topics, "--reinject", "--yes", "--format", "ndjson"))
        )
    )
    wait_for(lambda: received() == 2)
    table = command(topics, "--reinject", "--yes").stdout
    assert "1  skipped       re-injected before" in table
    assert workers.retire(1) == 0
    assert len([record for record in topics.read("deadletter")[0] if not record.headers]) == 2
