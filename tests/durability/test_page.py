"""From a service's call to a single page and its resolve on a real Kafka, while workers are killed and the
receiver fails.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from softfail import Softfail
from tests.conftest import SESSION_S
from tests.polling import wait_until

REFUSAL = "I'm sorry, but I can't help with that."


class Service(threading.Thread):
    """Two features, one of which refuses while ``refusing`` is set."""

    def __init__(self, address: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.refusing, self.done = threading.Event(), threading.Event()
        self._sf = Softfail(
            service="support-bot", bootstrap_servers=address, topic=topic, content_probability=1.0
        )

    def run(self) -> None:
        rng = random.Random(4)
        while not self.done.is_set():
            for feature in ("answer", "search"):
                refuses = feature == "answer" and self.refusing.is_set() and rng.random() < 0.8
                self._sf.response(
                    feature=feature,
                    model="m",
                    output=REFUSAL if refuses else "It ships on Tuesday.",
                    duration_s=0.4,
                )
            time.sleep(0.02)
        assert self._sf.close(20)


def test_one_fault_is_one_page_and_one_resolve_through_kills_and_a_failing_receiver(
    make_topics: Any, make_workers: Any, tmp_path: Path, free_port: Callable[[], int], receiver: FakePagerDuty
) -> None:
    topics = make_topics(4)
    refusals = {"name": "refusals", "on": "evaluator.refusal.fail_rate", "above": 0.1, "level": "feature"}
    rule = refusals | {"window": "6s", "min_events": 30, "keep_firing_for": "6s"}
    ports = {number: free_port() for number in (1, 2)}

    def command(number: int) -> list[str]:
        settings = {
            "kafka": {
                "brokers": topics.address,
                "prefix": topics.prefix,
                "partitions": 4,
                "checkpoint": 0.5,
                "session_timeout": SESSION_S,
            },
            "http": {"port": ports[number]},
            "time": {"pane": "2s", "lateness": "1s"},
            "rules": [rule],
            "default_rules": False,
            "no_data": {"severity": None},
            "channels": {
                "pagerduty": {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": receiver.url, "timeout": 2}
            },
        }
        path = tmp_path / f"softfail{number}.yaml"
        path.write_text(yaml.safe_dump(settings))
        return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

    workers = make_workers(command, {"PAGERDUTY_ROUTING_KEY": receiver.routing_key})
    workers.start(1)
    workers.start(2)
    service = Service(topics.address, f"{topics.prefix}.events")
    service.start()
    wait_until(lambda: len(topics.read("windows")[0]) >= 8, 60, "nothing is measured", every_s=0.3)
    assert receiver.incidents == []
    receiver.faults.extend(
        [
            Fault("status", 429, (("Retry-After", "1"),)),
            Fault("status", 500),
            Fault("close"),
            Fault("silence", delay_s=5),
        ]
    )
    service.refusing.set()
    rng = random.Random(9)
    for _ in range(3):
        time.sleep(rng.uniform(1, 3))  # at any point of their work
        workers.send(rng.choice((1, 2)), signal.SIGKILL)
    wait_until(lambda: len(receiver.incidents) == 1, 90, "no page")
    taken = sum(map(workers.taken, (1, 2)))
    workers.send(1, signal.SIGKILL)
    workers.send(2, signal.SIGKILL)
    wait_until(lambda: sum(map(workers.taken, (1, 2))) >= taken + 4, 60, "the workers did not come back")
    service.refusing.clear()
    wait_until(lambda: receiver.incidents[0].resolved_at is not None, 120, "the page was not resolved")
    time.sleep(4)  # two panes without a further request
    service.done.set()
    service.join(30)
    (incident,) = receiver.incidents
    assert incident.dedup_key.startswith(f"{topics.prefix}/")
    assert incident.dedup_key.endswith("/high")
    assert "of answers refused" in incident.payload["summary"]
    assert incident.payload["source"] == "support-bot/answer"
    actions = [action for action, _, status in receiver.answers if status == 202]
    assert {"trigger", "resolve"} == set(actions)
    # a crash may repeat the last step, which is idempotent by its key; never a trigger after a resolve
    assert actions == sorted(actions, reverse=True)
    assert [status for _, _, status in receiver.answers][:3] == [429, 500, None]
    assert receiver.routing_key not in workers.log()
