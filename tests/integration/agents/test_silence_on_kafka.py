"""A silence on a real Kafka with a real worker: set by the command, through a kill, shown on the page, ended
over HTTP.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.agents.run_command import run_command
from tests.polling import wait_until

ROOT = Path(__file__).parents[3]


def test_a_silence_survives_a_kill_and_firing_episodes_are_sent_when_it_ends(
    make_topics, make_workers, tmp_path, free_port, episode_of, nine_us
):
    from kafka import KafkaProducer

    topics, port, path = make_topics(1), free_port(), tmp_path / "softfail.yaml"
    path.write_text(
        json.dumps(
            {
                "kafka": {
                    "brokers": topics.address,
                    "prefix": topics.prefix,
                    "partitions": 1,
                    "checkpoint": 0.5,
                },
                "http": {"port": port, "token": "none"},
            }
        )
    )

    def command(*arguments: str) -> str:
        ran = run_command("silence", *arguments, "--config", str(path))
        assert ran.returncode == 0
        return ran.stdout

    def ask(where: str, method: str = "GET", body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{where}", body, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)

    def suppressed() -> list[int]:
        try:
            return [silence["holds"] for silence in ask("/api/status")["silences"]]
        except OSError:
            return []

    def until(condition: Any) -> None:
        wait_until(condition, 60, every_s=0.2)

    def put(state: str, minute: float) -> None:
        producer = KafkaProducer(bootstrap_servers=topics.address)
        producer.send(
            f"{topics.prefix}.alerts",
            episode_of("a", state, minute=minute).model_dump_json().encode(),
            partition=0,
        ).get(10)
        producer.close()

    workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
    # before any worker was there
    added = ["--match", "support-bot/*", "--for", "1h", "--reason", "deploy", "--author", "ann"]
    ran = subprocess.run(
        [sys.executable, "-m", "agents", "silence", "add", *added, "--config", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    name = ran.stdout.split()[1]
    assert command("list").startswith(name)
    put("opened", (time.time_ns() // 1000 - nine_us) / 60e6)
    workers.start(1)
    until(lambda: suppressed() == [1])
    until(lambda: (0, f"silence/{name}".encode()) in topics.state("notify")[0])
    workers.send(1, signal.SIGKILL)
    until(lambda: workers.exits[-signal.SIGKILL])  # and it is started again
    until(lambda: suppressed() == [1])
    assert command("list").startswith(name)  # by what the notifier keeps
    assert "delivered" not in workers.log()
    assert (
        ask("/api/silences", "POST", json.dumps({"match": "b/*", "for": "1m", "reason": "r"}).encode())[
            "match"
        ]
        == "b/*"
    )
    until(lambda: sorted(suppressed()) == [0, 1])
    assert ask(f"/api/silences/{name}", "DELETE")["silence_id"] == name
    until(lambda: "console: trigger softfail/a/high (opened) delivered" in workers.log())
    assert "b/*" in command("list")
    assert name not in command("list")


def test_a_silence_of_a_feature_that_published_no_window_warns_with_the_nearest(make_topics, tmp_path):
    from kafka import KafkaProducer

    topics, path = make_topics(2), tmp_path / "softfail.yaml"
    kafka = {"brokers": topics.address, "prefix": topics.prefix, "partitions": 2}
    path.write_text(json.dumps({"kafka": kafka}))
    window = {"record": "window", "level": "feature", "service": "shop-bot", "environment": "production"}
    producer = KafkaProducer(bootstrap_servers=topics.address)
    for partition, feature in enumerate(("agent", "answer")):
        value = json.dumps(window | {"feature": feature}).encode()
        producer.send(f"{topics.prefix}.windows", value, feature.encode(), partition=partition).get(10)
    producer.close()
    for match, warning in (("shop-bot/agnt", "the nearest is shop-bot/agent"), ("shop-bot/answer", "")):
        added = ["--match", match, "--for", "1h", "--reason", "deploy", "--config", str(path)]
        ran = run_command("silence", "add", *added)
        assert ran.returncode == 0
        assert (warning in ran.stderr) if warning else ("warning" not in ran.stderr)
