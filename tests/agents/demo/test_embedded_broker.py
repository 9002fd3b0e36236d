"""The embedded broker of the demo: one worker, killed and restarted, with the same code as on Kafka."""

from __future__ import annotations

import json
import re
import signal
from types import SimpleNamespace

import pytest

from tests.agents.embedded_records import records_of
from tests.polling import wait_until

confluent_kafka = pytest.importorskip(
    "confluent_kafka", reason="the embedded broker comes with confluent-kafka (extra: demo)"
)


@pytest.fixture
def embedded():
    """A mock cluster; librdkafka keeps it while its producer exists."""
    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    return SimpleNamespace(
        address=f"{broker.host}:{broker.port}", prefix="embedded", partitions=4, keep=producer
    )


def publish(embedded, begin, end):
    producer = confluent_kafka.Producer({"bootstrap.servers": embedded.address, "log_level": 0})
    for number in range(begin, end):
        producer.produce(
            "embedded.events",
            key=b"f%d" % (number % 7),
            value=json.dumps({"key": f"f{number % 7}", "minute": number // 100}).encode(),
        )
    assert producer.flush(20) == 0


def windows(embedded):
    return [value for _, value in records_of(embedded.address, "embedded.windows")]


def saved_events(embedded):
    """Return how many events the state in Kafka has counted."""
    latest = dict(records_of(embedded.address, "embedded.watch.state"))
    return sum(int(value) for key, value in latest.items() if re.fullmatch(rb"f\d \d+", key))


def test_a_worker_counts_on_the_embedded_broker_and_continues_after_a_kill(
    embedded, make_workers, counting_command
):
    workers = make_workers(counting_command(embedded, embedded=True, checkpoint=0.3))
    workers.start(1)
    publish(embedded, 0, 3000)
    wait_for_lines(workers, "owns embedded.events", 4)
    wait_until(lambda: saved_events(embedded) > 0, 40, "nothing was saved")
    workers.send(1, signal.SIGKILL)
    publish(embedded, 3000, 6000)
    wait_for_lines(workers, "owns embedded.events", 8)
    wait_until(lambda: saved_events(embedded) == 6000, 40, "not all events were saved")
    assert workers.retire(1) == 0
    workers.start(2)
    wait_for_lines(workers, "owns embedded.events", 12)
    positions = [
        int(line.split(" from ")[1].split(":")[0])
        for line in workers.log().splitlines()
        if "owns embedded.events" in line
    ]
    assert sum(positions[:4]) == 0
    assert 0 < sum(positions[4:8]) <= 3000
    assert sum(positions[8:]) == 6000
    assert len(windows(embedded)) == len(set(windows(embedded))) > 59
    assert "RESTART" not in workers.log()


def wait_for_lines(workers, text, count, patience_s=40):
    missing = f"fewer than {count} lines with {text!r}"
    wait_until(lambda: workers.log().count(text) >= count, patience_s, missing, every_s=0.2)
