"""Self-health on a real Kafka: a producer of invalid events is a single page about softfail and affects no
other feature.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaProducer

from agents.demo.fake_pagerduty import FakePagerDuty, PagerDutyIncident
from softfail import Softfail
from tests.polling import wait_until

WINDOW_S, PANE_S = 10, 5


class Producers(threading.Thread):
    """Two healthy features, and a producer of unreadable records while ``poisoning`` is set: every fifth
    record.
    """

    def __init__(self, address: str, topic: str, partitions: int) -> None:
        super().__init__(daemon=True)
        self.poisoning, self.done = threading.Event(), threading.Event()
        self._sf = Softfail(
            service="support-bot", bootstrap_servers=address, topic=topic, content_probability=1.0
        )
        self._raw = KafkaProducer(bootstrap_servers=address, linger_ms=20)
        self._topic, self._partitions = topic, partitions
        self.poison = 0

    def run(self) -> None:
        for nth in range(1_000_000):
            if self.done.is_set():
                break
            for feature in ("answer", "search"):
                self._sf.response(feature=feature, model="m", output="It ships on Tuesday.", duration_s=0.4)
            if self.poisoning.is_set() and nth % 2 == 0:
                self._raw.send(self._topic, b"\xff garbage", partition=self.poison % self._partitions)
                self.poison += 1
            time.sleep(0.02)
        assert self._sf.close(20)
        self._raw.close(20)


def test_invalid_events_are_one_health_page_through_kills_and_other_features_are_measured(
    make_topics: Any, make_workers: Any, tmp_path: Path, free_port: Callable[[], int], receiver: FakePagerDuty
) -> None:
    topics, port = make_topics(4), free_port()

    def command(number: int) -> list[str]:
        settings = {
            "kafka": {"brokers": topics.address, "prefix": topics.prefix, "partitions": 4},
            "http": {"port": port},
            "health": {"window": WINDOW_S},
            "time": {"pane": PANE_S, "lateness": "2s"},
            "channels": {"pagerduty": {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": receiver.url}},
        }
        path = tmp_path / f"softfail{number}.yaml"
        path.write_text(yaml.safe_dump(settings))
        return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

    workers = make_workers(command, {"PAGERDUTY_ROUTING_KEY": receiver.routing_key})
    workers.start(1)
    producers = Producers(topics.address, f"{topics.prefix}.events", 4)
    producers.start()
    wait_until(lambda: len(topics.read("windows")[0]) >= 2, 60, "nothing is measured", every_s=0.3)
    time.sleep(WINDOW_S)
    assert receiver.incidents == []
    producers.poisoning.set()

    def pages() -> list[PagerDutyIncident]:
        """A share that rises is a ticket first, which is resolved when it becomes a page."""
        return [incident for incident in receiver.incidents if incident.dedup_key.endswith("/high")]

    wait_until(lambda: bool(pages()), 30 + 2 * WINDOW_S, "no page")
    owned = workers.log().count(" owns ")
    workers.send(1, signal.SIGKILL)
    wait_until(lambda: workers.log().count(" owns ") >= 2 * owned, 60, "the worker did not come back")
    time.sleep(WINDOW_S)
    assert pages()[0].resolved_at is None  # a new owner without shares ends nothing
    producers.poisoning.clear()
    wait_until(lambda: pages()[0].resolved_at is not None, 60 + 4 * WINDOW_S, "the page was not resolved")
    time.sleep(2 * PANE_S)
    producers.done.set()
    producers.join(30)
    (incident,) = pages()
    assert len(receiver.incidents) <= 2
    assert all(other.resolved_at is not None for other in receiver.incidents)
    assert incident.payload["source"] == "softfail/monitor"
    assert incident.payload["severity"] == "error"
    assert "of records could not be read" in incident.payload["summary"]
    alerts = [json.loads(record.value) for record in topics.read("alerts")[0]]
    assert {alert["feature"] for alert in alerts if alert["record"] == "episode"} == {"monitor"}
    letters = topics.read("deadletter")[0]
    assert len(letters) == producers.poison
    windows = [json.loads(record.value) for record in topics.read("windows")[0]]
    for feature in ("answer", "search"):
        starts = sorted(
            window["start"]
            for window in windows
            if window["feature"] == feature and window["level"] == "feature"
        )
        assert len(set(starts)) >= 3 * WINDOW_S // PANE_S
        assert all(
            window["events"] > 10 * PANE_S
            for window in windows
            if window["feature"] == feature and window["start"] in starts[2:-2]
        )
