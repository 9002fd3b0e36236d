"""``python -m agents state`` on a real Kafka, with running and stopped workers."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from agents.runtime.changelog import Changelog
from agents.state_admin.rewriter import Rewriter
from monitor.protocol.messages import Outputs
from schemas.config.connections import Kafka
from tests.agents.run_command import Finished, kafka_environment, run_command
from tests.conftest import SESSION_S
from tests.polling import wait_until

ROOT = Path(__file__).parents[3]


def state(topics: Any, *arguments: str, typed: str = "") -> Finished:
    return run_command("state", *arguments, environment=kafka_environment(topics), typed=typed)


def publish(topics: Any, count: int, partition: int) -> None:
    publish_values(
        topics,
        [json.dumps({"key": "k", "minute": number // 10}).encode() for number in range(count)],
        partition,
    )


def publish_values(topics: Any, values: list[bytes], partition: int) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for value in values:
        producer.send(f"{topics.prefix}.events", value=value, partition=partition)
    producer.flush()
    producer.close()


def await_free(topics: Any, *arguments: str) -> Finished:
    """Run the command until the group has removed the stopped worker, which takes a session."""
    return wait_until(
        lambda: done if "counts as alive" not in (done := state(topics, *arguments)).stderr else None,
        90,
        every_s=0.3,
    )


async def written(
    kafka: Kafka, number: int, position: int, *records: tuple[bytes, bytes | None]
) -> Changelog:
    """An open journal that has written this; close it yourself."""
    changelog = Changelog(kafka, "watch", TP(f"{kafka.prefix}.events", number), await cluster_of(kafka))
    await changelog.open()
    await changelog.write(position, records, Outputs())
    return changelog


async def cluster_of(kafka: Kafka) -> str:
    from agents.kafka.state_topic import StateTopic

    return await StateTopic(kafka, "watch").cluster()


def test_reading_state_does_not_disturb_a_running_worker_and_a_reset_needs_it_stopped(
    make_topics, make_workers, counting_command
):
    topics = make_topics(2)
    workers = make_workers(counting_command(topics))
    workers.start(1)
    publish(topics, 40, 0)
    ends = topics.read("events")[1]
    topics.await_positions(ends, 60)

    looked = state(topics, "inspect")
    assert looked.returncode == 0, looked.stderr
    assert f"position   {ends[0]} of [0, {ends[0]}), lag 0" in looked.stdout
    assert "UNREADABLE  k 0: " in looked.stdout  # the counting agent's records are not those of watch
    objects = [
        json.loads(line)
        for line in state(topics, "inspect", "--format", "ndjson", "--partition", "0").stdout.splitlines()
    ]
    assert {"k 0", "k 3", "\\x00header", "\\x00position"} <= {entry["key"] for entry in objects}
    assert {entry["partition"] for entry in objects} == {0}

    before = topics.state()
    for arguments in (
        ["reset", "--agent", "watch"],
        ["drop", "--agent", "watch", "--partition", "0", "--key", "k 0"],
    ):
        refused = state(topics, *arguments, "--yes")
        assert refused.returncode == 1
        assert "a worker owns" in refused.stderr
        assert "counts as alive for kafka.session_timeout, 6 s" in refused.stderr
    assert topics.state() == before
    assert not workers.exits  # nobody was fenced
    assert "RESTART" not in workers.log()

    workers.retire(1)
    dropped = await_free(topics, "drop", "--agent", "watch", "--partition", "0", "--key", "k 0", "--yes")
    assert (dropped.returncode, dropped.stdout.splitlines()[-1]) == (0, "dropped"), dropped.stderr
    assert topics.state()[0] == {key: value for key, value in before[0].items() if key != (0, b"k 0")}

    reset = state(topics, "reset", "--agent", "watch", "--to", "earliest", typed=f"{topics.prefix}\n")
    assert reset.returncode == 0, reset.stderr
    assert topics.state() == ({}, {0: 0, 1: 0})
    workers.start(1)
    assert topics.await_positions(ends, 60) == before[0]  # measured again, the dropped one too


def test_every_state_record_of_a_real_worker_is_readable(make_topics, make_workers, tmp_path, free_port):
    topics = make_topics(2)
    path, now = tmp_path / "softfail.yaml", datetime.now(UTC)
    path.write_text(
        json.dumps(
            {
                "kafka": {
                    "brokers": topics.address,
                    "prefix": topics.prefix,
                    "partitions": 2,
                    "checkpoint": 0.5,
                    "session_timeout": SESSION_S,
                },
                "http": {"port": free_port()},
                "time": {"pane": "1s", "lateness": "1s"},
                "channels": {"console": {}},
                "rules": [
                    {
                        "name": "refusals",
                        "on": "evaluator.refusal.fail_rate",
                        "above": 0.1,
                        "window": "30s",
                        "severity": "critical",
                    }
                ],
            }
        )
    )
    workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)])
    workers.start(1)
    events = [
        {
            "event_id": str(number),
            "time": (now + timedelta(milliseconds=number)).isoformat(),
            "service": "s",
            "feature": "answer",
            "model": "m",
            "output": "I'm sorry, I can't help with that.",
        }
        for number in range(400)
    ]
    publish_values(topics, [json.dumps(event).encode() for event in events], 0)
    looked = wait_until(
        lambda: (
            shown if "EPISODE" in (shown := state(topics, "inspect", "--match", "s/ans*")).stdout else None
        ),
        40,
        every_s=0.5,
    )
    assert ", 1 open episodes, 0 unreadable" in looked.stdout
    assert "s/answer (production): 1 segments" in looked.stdout
    assert "firing since" in looked.stdout
    output = state(topics, "inspect", "--agent", "notify")
    assert ", 0 unreadable" in output.stdout
    workers.retire(1)
    asked = await_free(topics, "reset", "--agent", "watch")
    assert asked.returncode == 1
    assert "not confirmed" in asked.stderr
    assert f"  {topics.prefix}/" in asked.stdout
    assert "1 features: s/answer (production)" in asked.stdout


def test_a_reset_partition_starts_fresh_or_at_the_given_offset(make_topics):
    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)
    publish(topics, 10, 1)

    async def begun() -> tuple[Any, ...]:
        changelog = Changelog(kafka, "watch", TP(f"{kafka.prefix}.events", 1), await cluster_of(kafka))
        recovered = await changelog.open()
        await changelog.close()
        return recovered.records, recovered.position, recovered.fresh

    async def filled() -> None:
        await (
            await written(kafka, 1, 9, *((b"key %d" % number, b"x" * 1000) for number in range(3000)))
        ).close()

    asyncio.run(filled())
    assert asyncio.run(begun())[1:] == (9, False)
    for place, expected in ((["--to", "7"], 7), (["--to", "latest"], 10), (["--to", "earliest"], 0)):
        done = state(topics, "reset", "--agent", "watch", "--partition", "1", *place, "--yes")
        assert done.returncode == 0, done.stderr
        assert f"begins at {expected}" in done.stdout
        assert asyncio.run(begun()) == ([], expected, False)
    assert state(topics, "reset", "--agent", "watch", "--partition", "1", "--yes").returncode == 0
    assert asyncio.run(begun()) == ([], 0, True)
    assert state(topics, "reset", "--agent", "watch", "--partition", "2", "--yes").returncode == 1
    assert (
        state(topics, "reset", "--agent", "watch", "--partition", "1", "--to", "11", "--yes").returncode == 1
    )


def test_a_state_refused_by_every_worker_can_be_reset(make_topics):
    topics = make_topics(2)
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=2)

    async def scene() -> None:
        rewriter = Rewriter(kafka, "watch", TP(f"{kafka.prefix}.events", 0), "")
        await rewriter.fence_and_read()
        await rewriter.rewrite(
            [(b"\x00header", b"{broken"), (b"\x00position", b"999"), (b'["clock"]', b"\xc1")]
        )
        await rewriter.close()

    asyncio.run(scene())
    looked = state(topics, "inspect", "--partition", "0").stdout
    assert "BEYOND THE END" in looked
    assert 'UNREADABLE  ["clock"]' in looked
    assert state(topics, "reset", "--agent", "watch", "--yes").returncode == 0
    assert "0 records, 0 bytes" in state(topics, "inspect", "--partition", "0").stdout

    async def opened() -> bool:
        changelog = Changelog(kafka, "watch", TP(f"{kafka.prefix}.events", 0), await cluster_of(kafka))
        fresh = (await changelog.open()).fresh
        await changelog.close()
        return fresh

    assert asyncio.run(opened())


def test_an_unknown_prefix_is_refused_and_creates_no_topic(make_topics):
    topics = make_topics(2)
    topics.prefix += "-not"
    looked = state(topics, "inspect")
    assert looked.returncode == 1
    assert f"topic {topics.prefix}.watch.state does not exist" in looked.stderr
    assert state(topics, "inspect").stderr == looked.stderr


def test_a_killed_worker_owns_its_partitions_until_its_session_expires(
    make_topics, make_workers, counting_command
):
    topics = make_topics(2)
    # a session much longer than the command takes on a busy machine
    workers = make_workers(counting_command(topics, session_timeout=4 * SESSION_S))
    workers.start(1)
    publish(topics, 20, 1)
    topics.await_positions(topics.read("events")[1], 60)
    workers.retire(1, signal.SIGKILL)
    refused = state(topics, "reset", "--agent", "watch", "--partition", "1", "--yes")
    assert refused.returncode == 1
    done = await_free(topics, "reset", "--agent", "watch", "--partition", "1", "--yes")
    assert done.returncode == 0, done.stderr
    assert 1 not in {partition for partition, _ in topics.state()[0]}


# ---- reset, drop and rebuild beside open episodes: with the real worker

REFUSED_RULE = {
    "name": "refusals",
    "on": "evaluator.refusal.fail_rate",
    "above": 0.1,
    "window": "5s",
    "keep_firing_for": 0,
    "severity": "critical",
}


class Monitored:
    """A real worker of one partition with short panes, and a feature whose answers are refusals."""

    def __init__(self, topics: Any, make_workers: Any, path: Path, port: int) -> None:
        self.topics, self._path, self._port, self._number = topics, path, port, 0
        path.write_text(json.dumps(self.settings()))
        self.workers = make_workers(
            lambda _: [sys.executable, "-m", "agents", "worker", "--config", str(path)]
        )

    def settings(self) -> dict[str, Any]:
        return {
            "kafka": {
                "brokers": self.topics.address,
                "prefix": self.topics.prefix,
                "partitions": 1,
                "checkpoint": 0.5,
                "session_timeout": SESSION_S,
            },
            "http": {"port": self._port},
            "time": {"pane": "1s", "lateness": "1s"},
            "channels": {"console": {}},
            "rules": [REFUSED_RULE],
            "no_data": {"severity": None},
            "default_rules": False,
        }

    def state(self, *arguments: str) -> Finished:
        return await_free(self.topics, *arguments, "--config", str(self._path))

    def publish(self, count: int, output: str) -> None:
        now = datetime.now(UTC)
        values = [
            {
                "event_id": str(self._number + nth),
                "time": (now + timedelta(milliseconds=nth)).isoformat(),
                "service": "s",
                "feature": "answer",
                "model": "m",
                "output": output,
            }
            for nth in range(count)
        ]
        self._number += count
        publish_values(self.topics, [json.dumps(value).encode() for value in values], 0)

    def episodes(self) -> list[dict[str, Any]]:
        result = [
            json.loads(record.value)
            for record in self.topics.read("alerts")[0]
            if b'"episode"' in record.value
        ]
        return [row for row in result if row["record"] == "episode" and row["service"] == "s"]

    def await_(self, condition: Any, patience_s: float = 120) -> Any:
        return wait_until(condition, patience_s, every_s=0.3)

    def fire(self) -> dict[str, Any]:
        self.workers.start(1)
        self.publish(400, "I'm sorry, I can't help with that.")
        self.await_(lambda: self.episodes())
        self.await_(lambda: "(opened) delivered" in self.workers.log())
        return self.episodes()[-1]

    def state_records(self) -> dict[bytes, bytes]:
        return {key: value for (_, key), value in self.topics.state()[0].items()}

    def delivery(self, episode: dict[str, Any]) -> dict[str, Any]:
        return json.loads(
            self.topics.state("notify")[0].get(
                (0, b"delivery/console/" + episode["episode_id"].encode()), b'{"keys": {}}'
            )
        )


@pytest.fixture
def monitored(make_topics, make_workers, tmp_path, free_port):
    return Monitored(make_topics(1), make_workers, tmp_path / "softfail.yaml", free_port())


def test_a_reset_resolves_open_episodes_and_the_notifier_sends_it(monitored):
    firing_episode = monitored.fire()
    monitored.workers.retire(1)
    assert monitored.delivery(firing_episode)["keys"] == {"high": "open"}
    done = monitored.state("reset", "--agent", "watch", "--to", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert "1 open episodes, which will be resolved (state_reset)" in done.stdout
    assert firing_episode["dedup_key"] in done.stdout
    last = monitored.episodes()[-1]
    assert (last["episode_id"], last["state"], last["reason"], last["firing"]) == (
        firing_episode["episode_id"],
        "resolved",
        "state_reset",
        0,
    )
    again = monitored.state("reset", "--agent", "watch", "--to", "latest", "--yes")
    assert again.returncode == 0, again.stderr
    assert len([episode for episode in monitored.episodes() if episode["state"] == "resolved"]) == 1  # once
    monitored.workers.start(1)
    monitored.await_(lambda: monitored.delivery(firing_episode)["keys"] == {"high": "closed"})
    incidents = [
        json.loads(record.value)
        for record in monitored.topics.read("alerts")[0]
        if b'"transition"' in record.value
    ]
    assert {incident["state"] for incident in incidents if incident["reason"] == "state_reset"} == {
        "resolved"
    }


def test_a_dropped_episode_is_resolved_and_a_remaining_breach_opens_a_new_episode(monitored):
    firing_episode = monitored.fire()
    monitored.workers.retire(1)
    done = monitored.state(
        "drop",
        "--agent",
        "watch",
        "--partition",
        "0",
        "--key",
        '["episode","s","answer","production"]',
        "--yes",
    )
    assert done.returncode == 0, done.stderr
    last = monitored.episodes()[-1]
    assert (last["episode_id"], last["state"], last["reason"]) == (
        firing_episode["episode_id"],
        "resolved",
        "state_dropped",
    )
    monitored.workers.start(1)
    monitored.publish(50, "I'm sorry, I can't help with that.")
    again = monitored.await_(
        lambda: [
            episode
            for episode in monitored.episodes()
            if episode["episode_id"] != firing_episode["episode_id"]
        ]
    )[0]
    assert again["state"] == "opened"
    # a ticket: the feature has rung less than 15 minutes ago (decision 60)
    monitored.await_(lambda: monitored.delivery(again)["keys"] == {"low": "open"})


def broken(topics: Any, keys: list[bytes]) -> None:
    """Writes over records of state with what nobody can read."""
    kafka = Kafka(brokers=topics.address, prefix=topics.prefix, partitions=1)

    async def scene() -> None:
        rewriter = Rewriter(kafka, "watch", TP(f"{kafka.prefix}.events", 0), "")
        records = await rewriter.fence_and_read()
        await rewriter.rewrite([(key, records[key][: len(records[key]) // 2]) for key in keys])
        await rewriter.close()

    asyncio.run(scene())


def events_in_windows(monitored) -> int:
    """Return the number of events in the last published version of each window of the feature."""
    last = {
        json.loads(record.value)["start"]: json.loads(record.value)["events"]
        for record in monitored.topics.read("windows")[0]
        if b'"level":"feature"' in record.value
    }
    return sum(last.values())


def test_unreadable_records_are_rebuilt_from_the_log_and_nothing_is_published_twice(monitored):
    firing_episode = monitored.fire()
    monitored.await_(lambda: monitored.topics.read("windows")[0])
    monitored.workers.retire(1)
    before, positions = monitored.state_records(), monitored.topics.state()[1]
    pane = next(key for key in before if key.startswith(b'["pane"'))
    incident = next(key for key in before if key.startswith(b'["incident"'))
    episode = next(key for key in before if key.startswith(b'["episode"'))
    windows = len(monitored.topics.read("windows")[0])
    broken(monitored.topics, [pane, incident, episode])
    refusing = subprocess.run(
        [sys.executable, "-m", "agents", "worker", "--config", str(monitored._path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert refusing.returncode == 78
    assert "cannot be read" in refusing.stderr + refusing.stdout
    assert "python -m agents state rebuild --agent watch --partition 0" in refusing.stderr + refusing.stdout

    asked = monitored.state("rebuild")
    assert asked.returncode == 1
    assert "not confirmed" in asked.stderr
    assert "3 records of" in asked.stdout
    assert "rebuilt 3, rebuilt as far as the log reaches 0, lost 0" in asked.stdout
    assert "all that was ever counted here" in asked.stdout
    done = monitored.state("rebuild", "--agent", "watch", "--partition", "0", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    assert monitored.topics.state()[1] == positions
    after = monitored.state_records()
    assert after.keys() == before.keys()
    assert after[pane] == before[pane]
    assert after[incident] == before[incident]
    assert after[episode] == before[episode]
    assert after == before
    assert len(monitored.topics.read("windows")[0]) == windows
    assert monitored.episodes()[-1] == firing_episode
    assert "nothing to rebuild" in monitored.state("rebuild", "--yes").stdout
    counted = monitored.state("rebuild", "--all", "--yes")
    assert (counted.returncode, "0 records of" in counted.stdout) == (0, True), counted.stderr
    assert monitored.state_records() == before

    monitored.workers.start(1)
    monitored.publish(600, "It ships on Tuesday.")
    monitored.await_(lambda: monitored.episodes()[-1]["state"] == "resolved", 90)
    assert {episode["episode_id"] for episode in monitored.episodes()} == {firing_episode["episode_id"]}
    monitored.await_(lambda: monitored.delivery(firing_episode)["keys"] == {"high": "closed"})
    # The last window is published after the page is resolved: wait for it.
    monitored.await_(lambda: events_in_windows(monitored) >= 1000)
    assert events_in_windows(monitored) == 1000
