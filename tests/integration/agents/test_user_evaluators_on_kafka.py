"""Evaluators of users in a real worker on Kafka: a good one beside bad ones, and a worker that is killed."""

from __future__ import annotations

import json
import re
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agents.test_on_kafka import response, send, wait_for

CHECKS = """
import os, time
from softfail.evaluator import failed, passed

def cites(response):
    return passed() if "[1]" in response.output else failed("no source")

def bad(response):
    if response.output.startswith("die"):
        os._exit(3)
    if response.output.startswith("hang"):
        time.sleep(3600)
    return True
"""
OUTPUTS = ["Yes [1].", "No.", "die [1]", "hang [1]", "Yes [1].", "leave", "Yes [1].", "No."] * 5


@pytest.fixture
def worker(make_workers: Any, tmp_path: Path, free_port: Any) -> Any:
    """Start a worker with three evaluators of a user; return it and a function that reads a metric."""

    def start(topics: Any) -> tuple[Any, Any]:
        port, path = free_port(), tmp_path / "softfail.yaml"
        (tmp_path / "own_checks.py").write_text(CHECKS)
        path.write_text(
            json.dumps(
                {
                    "kafka": {
                        "brokers": topics.address,
                        "prefix": topics.prefix,
                        "partitions": topics.partitions,
                        "checkpoint": 0.5,
                    },
                    "http": {"port": port},
                    "time": {"pane": "1s", "lateness": "1s"},
                    "features": [
                        {
                            "match": "*",
                            "evaluators": [
                                "defaults",
                                {"use": "own_checks:cites", "timeout": 10},
                                {"use": "own_checks:bad", "timeout": 2},
                                {"use": "own_checks:nowhere"},
                            ],
                        }
                    ],
                }
            )
        )
        workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
        workers.start(1)

        def metric(name: str, **labels: str) -> float | None:
            """Return the sum of the series of a metric that have these labels; None without any."""
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text: str = answer.read().decode()
            except OSError:
                return None
            values = [
                float(value)
                for found, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
                if all(f'{label}="{wanted}"' in found for label, wanted in labels.items())
            ]
            return sum(values) if values else None

        return workers, metric

    return start


def evaluator_processes() -> dict[str, str]:
    """Return the processes of evaluators of this test, by pid, that run: pid of the parent and state."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state, parent, *_ = (process / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if b"softfail.evaluator_worker" in command and state not in "ZX":
            found[process.name] = parent
    return found


def test_bad_evaluators_cost_their_own_verdicts_only_and_a_killed_worker_leaves_no_process(
    make_topics, worker
):
    topics = make_topics(1)
    before = evaluator_processes()
    workers, metric = worker(topics)
    wait_for(
        lambda: metric("softfail_user_evaluator_process_ends_total", evaluator="bad", reason="exit") == 0
    )
    assert metric("softfail_user_evaluator_process_ends_total", evaluator="nowhere", reason="start") == 1
    send(topics, *(response("f", output=output) for output in OUTPUTS[:20]))
    wait_for(lambda: metric("softfail_received_events_total", kind="response") == 20)
    workers.send(1, signal.SIGKILL)
    wait_for(lambda: workers.exits)
    wait_for(lambda: metric("softfail_user_evaluator_cut_off", evaluator="cites") == 0)
    send(topics, *(response("f", output=output) for output in OUTPUTS[20:]))

    def counted() -> dict[str, int]:
        """Return the verdicts and failures of `cites`, and the passes, that the windows have."""
        counts = {"events": 0, "cites": 0, "failed": 0, "passes": 0}
        latest: dict[bytes, Any] = {}
        for record in topics.read("windows")[0]:
            latest[record.key] = json.loads(record.value)
        for window in latest.values():
            if window["level"] == "segment":
                counts["events"] += window["events"]
                for _, n, failures in (
                    window["metrics"].get("evaluator.cites.fail_rate", {}).get("classes", [])
                ):
                    counts["cites"] += n
                    counts["failed"] += failures
                for _, n, failures in window["metrics"]["pass_rate"]["classes"]:
                    counts["passes"] += n - failures
        return counts

    # a later event closes the pane of the last ones
    wait_for(lambda: (send(topics, response("other")), counted()["events"])[1] >= 40, 60)
    result = counted()
    others = result["events"] - 40
    assert result["cites"] == result["events"]
    assert result["failed"] - others == sum("[1]" not in output for output in OUTPUTS)
    assert result["passes"] == result["events"]
    log = workers.log()
    assert "own_checks has no 'nowhere'" in log
    assert "evaluator bad: " in log
    wait_for(lambda: metric("softfail_evaluator_errors_total", evaluator="nowhere"))
    workers.close()
    wait_for(lambda: not evaluator_processes().keys() - before.keys())
