"""A broker that restarts or hangs: nothing is lost or duplicated, and the memory of a worker far behind is
bounded.

The bytes between broker and checkpoint are bounded, whatever the size of the decompressed events.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.durability.undisturbed import disturbed_equals_undisturbed
from tests.polling import wait_until

# 640 MB that gzip compresses by a factor of a hundred, so that a fetch of 4 MB contains all of it
PARTITIONS, EVENTS, CHARS = 16, 1600, 400_000
# measured: an idle worker about 150; this worker 420, without a limit in bytes 1,700
MOST_MB = 700


@pytest.fixture
def kafka(own_kafka):
    """A broker that may be stopped, for the topics and workers of this module."""
    return own_kafka


def publish_large(topics: Any) -> dict[int, int]:
    """Publish large events evenly over the partitions and in time; return the end of each partition."""
    from softfail.partitioning import partition_of

    names: dict[int, str] = {}
    for number in range(1000):
        names.setdefault(partition_of("service", f"feature-{number}", PARTITIONS), f"feature-{number}")
    producer = KafkaProducer(
        bootstrap_servers=topics.address,
        compression_type="gzip",
        batch_size=8 << 20,
        max_request_size=16 << 20,
        linger_ms=50,
    )
    output = ("the parcel ships on monday and you can follow its way. " * (CHARS // 55 + 1))[:CHARS]
    for index in range(EVENTS):
        partition = index % PARTITIONS
        event = {
            "event_id": f"e{index}",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "service": "service",
            "feature": names[partition],
            "model": "m",
            "output": output,
        }
        producer.send(f"{topics.prefix}.events", json.dumps(event).encode(), partition=partition)
    producer.flush()
    producer.close()
    return dict.fromkeys(range(PARTITIONS), EVENTS // PARTITIONS)


def peak_mb(pid: int) -> float:
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1000


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak of the resident memory from /proc"
)
def test_memory_stays_bounded_behind_large_events_while_the_broker_hangs(
    make_topics, make_workers, kafka, tmp_path, free_port
):
    topics = make_topics(PARTITIONS)
    ends = publish_large(topics)

    def command(number: int) -> list[str]:
        path = tmp_path / f"softfail{number}.json"
        path.write_text(
            json.dumps(
                {
                    "kafka": {
                        "brokers": topics.address,
                        "prefix": topics.prefix,
                        "partitions": PARTITIONS,
                        "checkpoint": 1,
                    },
                    "http": {"port": free_port()},
                }
            )
        )
        return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

    workers = make_workers(command)
    workers.start(1)
    wait_until(lambda: any(topics.state()[1].values()), 120, "nothing was applied", every_s=0.2)
    kafka.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(8)
    finally:
        kafka.process.send_signal(signal.SIGCONT)
    topics.await_positions(ends, 240)
    assert peak_mb(workers.processes[1].pid) < MOST_MB
    assert not workers.exits


def test_broker_restarts_lose_and_duplicate_nothing(kafka, two_workers, counting):
    topics, workers, publisher = two_workers()
    for number, down_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 4.0)):
        kafka.stop(number)
        time.sleep(down_s)
        kafka.start()
        durable = sum(topics.state()[1].values())
        wait_until(
            lambda least=durable + 1000: sum(topics.state()[1].values()) > least,
            90,
            "nothing is counted after the restart",
            every_s=0.3,
        )
    publisher.finish()
    disturbed_equals_undisturbed(topics, workers, counting)
