"""Fixtures that more than one folder uses: a real Kafka, started once a session, and workers that are
restarted when they end.
"""

from __future__ import annotations

import os

# as monitor/__init__.py says; hypothesis may import numpy before it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import collections
import importlib.util
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schemas.records import Episode, EpisodeIncident, Evidence, Example

HERE = Path(__file__).parent
collect_ignore = ["remedies.py"]  # a program that imports its neighbour by name
_numbers = itertools.count(1)

# A shell makes jobs in its background ignore interrupts, and whatever they start inherits that: the tests
# would say that our programs do.
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kafka_launcher() -> ModuleType:
    """The module that starts brokers, for tests that need one of their own."""
    launcher = _module(HERE / "kafka_launcher.py")
    if (lack := launcher.missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(f"CI must run the tests on Kafka, but this machine {lack}")
        pytest.skip(lack)
    return launcher


@pytest.fixture(scope="session")
def kafka(kafka_launcher: ModuleType) -> Iterator[Any]:
    """An Apache Kafka broker (``address``, ``start()``, ``stop(signal)``). One for all tests, so each takes a
    prefix of its own.
    """
    with kafka_launcher.Kafka() as broker:
        yield broker


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a TCP port that nobody listens on."""
    port: Callable[[], int] = _module(HERE / "kafka_launcher.py").free_port
    return port


class Topics:
    """Our topics under a prefix of their own: what was written to each."""

    def __init__(self, address: str, prefix: str, partitions: int) -> None:
        self.address, self.prefix, self.partitions = address, prefix, partitions

    def read(self, suffix: str) -> tuple[list[Any], dict[int, int]]:
        """All committed records, in order within a partition, and the end of each partition."""
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(
            bootstrap_servers=self.address,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_records=20_000,
            max_partition_fetch_bytes=16 << 20,
        )
        topic = f"{self.prefix}.{suffix}"
        tps = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        ends, found = consumer.end_offsets(tps), []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        consumer.close()
        return found, {tp.partition: end for tp, end in ends.items()}

    def send(self, suffix: str, value: bytes, partition: int) -> None:
        """Publish one record and see it acknowledged."""
        from kafka import KafkaProducer

        producer = KafkaProducer(bootstrap_servers=self.address)
        producer.send(f"{self.prefix}.{suffix}", value, partition=partition).get(30)
        producer.close()

    def state(self, agent: str = "watch") -> tuple[dict[tuple[int, bytes], bytes], dict[int, int]]:
        """What a state topic says: (partition, key) -> value without the store's own records, and the
        position of each partition.
        """
        latest: dict[tuple[int, bytes], bytes | None] = {
            (record.partition, record.key): record.value for record in self.read(f"{agent}.state")[0]
        }
        positions = {
            partition: int(value or b"0")
            for (partition, key), value in latest.items()
            if key == b"\x00position"
        }
        return {
            at: value for at, value in latest.items() if value is not None and not at[1].startswith(b"\x00")
        }, positions

    def await_positions(
        self, ends: dict[int, int], patience_s: float, agent: str = "watch"
    ) -> dict[tuple[int, bytes], bytes]:
        """The state once it stands at these ends.

        Raises:
            AssertionError: it does not within the patience.
        """
        deadline = time.monotonic() + patience_s
        while True:
            state, positions = self.state(agent)
            if all(positions.get(partition, 0) == end for partition, end in ends.items()):
                return state
            assert time.monotonic() < deadline, f"positions stand at {positions}, the topic ends at {ends}"
            time.sleep(0.5)


@pytest.fixture
def make_topics(kafka: Any) -> Callable[[int], Topics]:
    """Creates our topics under a fresh prefix, the events with so many partitions."""
    from agents.kafka.topics import create
    from schemas.config.monitor_config import Kafka

    def make(partitions: int) -> Topics:
        prefix = f"t{os.getpid()}-{next(_numbers)}"
        asyncio.run(create(Kafka(brokers=kafka.address, prefix=prefix, partitions=partitions)))
        return Topics(kafka.address, prefix, partitions)

    return make


class Workers:
    """Worker processes and the process manager over them: what ends is started again, until it is retired."""

    def __init__(
        self, directory: Path, command: Callable[[int], list[str]], environment: dict[str, str] | None = None
    ) -> None:
        self.directory, self._command, self._environment = directory, command, environment or {}
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.exits: collections.Counter[int] = collections.Counter()
        self._lock, self._on = threading.RLock(), True
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def start(self, number: int) -> None:
        """Start a worker; it is kept from now on."""
        with self._lock, open(self.directory / f"worker{number}.log", "ab") as out:
            self.processes[number] = subprocess.Popen(
                self._command(number),
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=HERE.parent,
                env={**os.environ, **self._environment},
            )

    def send(self, number: int, signal_number: int) -> None:
        """Send a signal to a worker."""
        with self._lock:
            self.processes[number].send_signal(signal_number)

    def retire(self, number: int, signal_number: int = signal.SIGTERM) -> int:
        """End a worker for good and return its exit code."""
        with self._lock:
            process = self.processes.pop(number)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal_number)
        try:
            return process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def log(self) -> str:
        """What all of them said."""
        return "".join(
            path.read_text(errors="replace") for path in sorted(self.directory.glob("worker*.log"))
        )

    def close(self) -> None:
        """Kill what runs."""
        self._on = False
        self._keeper.join()
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _keep(self) -> None:
        while self._on:
            with self._lock:
                for number, process in list(self.processes.items()):
                    if process.poll() is not None:
                        self.exits[process.returncode] += 1
                        self.start(number)
            time.sleep(0.2)


@pytest.fixture
def make_workers(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Workers]]:
    """Makes ``Workers``; what they said is shown when the test fails."""
    made: list[Workers] = []

    def make(command: Callable[[int], list[str]], environment: dict[str, str] | None = None) -> Workers:
        made.append(Workers(tmp_path, command, environment))
        return made[-1]

    yield make
    for workers in made:
        workers.close()
        print(workers.log()[-20_000:])


@pytest.fixture(scope="session")
def counting() -> ModuleType:
    """The module of the worker that only counts (``tests/agents/counting_worker.py``)."""
    return _module(HERE / "agents" / "counting_worker.py")


@pytest.fixture
def counting_command(tmp_path: Path) -> Callable[..., Callable[[int], list[str]]]:
    """Command lines of counting workers on given topics."""
    import json

    def make(topics: Any, **kafka_settings: Any) -> Callable[[int], list[str]]:
        def command(number: int) -> list[str]:
            path = tmp_path / f"config{number}.json"
            settings = {
                "brokers": topics.address,
                "prefix": topics.prefix,
                "partitions": topics.partitions,
                "checkpoint": 0.5,
                **kafka_settings,
            }
            path.write_text(json.dumps({"kafka": settings, "http": {"port": 20_000 + number}}))
            return [sys.executable, str(HERE / "agents" / "counting_worker.py"), str(path)]

        return command

    return make


@pytest.fixture(scope="session")
def episode_of():
    """Makes an episode: ``episode_of("e1", "opened", minute=3, urgency="low", rules=("a", "b"))``; minutes
    since 2 March 2026, 09:00 UTC.
    """
    began = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def make(
        name="e1",
        state="opened",
        *,
        minute=0.0,
        urgency="high",
        severity=None,
        rules=("refusals",),
        muted="",
        environment="production",
        **more,
    ):
        severity = severity or ("critical" if urgency == "high" else "warning")
        time = began + timedelta(minutes=minute)
        evidence = Evidence(
            metric="evaluator.refusal.fail_rate",
            value=0.23,
            low=0.19,
            high=0.28,
            n=310,
            above=0.02,
            window_s=300,
        )
        incidents = [
            EpisodeIncident(
                level="feature",
                service="support-bot",
                feature="answer",
                environment=environment,
                incident_id=f"{name}-{rule}",
                rule=rule,
                severity=severity,
                state="resolved" if state == "resolved" else "firing",
                since=began,
                evidence=evidence,
            )
            for rule in rules
        ]
        example = Example(
            event_id="r1",
            time=began,
            model="gpt-x",
            evaluator="refusal",
            reason="says that it cannot",
            output="I'm sorry, I can't help.",
        )
        fields = {
            "record": "episode",
            "episode_id": name,
            "dedup_key": f"softfail/{name}",
            "state": state,
            "reason": "refusals fired",
            "service": "support-bot",
            "feature": "answer",
            "environment": environment,
            "severity": severity,
            "urgency": urgency,
            "muted": muted,
            "started_at": began,
            "time": time,
            "decided_at": time,
            "incidents": incidents,
            "examples": [example],
        }
        return Episode(**(fields | more))

    return make


@pytest.fixture(scope="session")
def nine_us():
    """2 March 2026, 09:00 UTC in microseconds since 1970."""
    return int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()) * 1_000_000
