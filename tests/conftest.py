"""Fixtures that more than one folder uses: a real Kafka, shared by all processes of a run, and workers that
are restarted when they end.
"""

from __future__ import annotations

import contextlib
import os

# as monitor/__init__.py says; hypothesis may import numpy before it
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import collections
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from schemas.evidence_record import Evidence
from schemas.records import Episode, EpisodeIncident, Example
from tests import kafka_launcher as launcher
from tests.tiers import (  # noqa: F401 - hooks of pytest
    missing_service,
    pytest_addoption,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_ignore_collect,
    pytest_report_to_serializable,
    pytest_terminal_summary,
    pytest_xdist_make_scheduler,
)

HERE = Path(__file__).parent
# kafka.session_timeout of workers in tests, half of the default: how long a worker that is gone keeps its
# partitions. Tests state longer waits as multiples of it.
SESSION_S = 6.0 if "KAFKA" in os.environ else 3.0  # brokers refuse less than 6 s by default
collect_ignore = ["remedies.py"]  # a program that imports its neighbour by name

# A shell makes jobs in its background ignore interrupts, and whatever they start inherits that: the tests
# would say that our programs do.
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)


class SharedKafka(NamedTuple):
    """A broker that other tests use at the same time; nobody may stop it."""

    address: str


@pytest.fixture(scope="session")
def kafka_launcher() -> ModuleType:
    """The module that starts brokers, for tests that need one of their own."""
    if (lack := launcher.missing()) is not None:
        missing_service(lack)
    return launcher


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> SharedKafka:
    """An Apache Kafka broker (``address``): one for all processes of the run, so each test takes a prefix of
    its own. ``KAFKA=host:port`` names one that runs already.
    """
    if address := os.environ.get("KAFKA"):
        return SharedKafka(address)
    if (lack := launcher.missing()) is not None:
        missing_service(lack)
    state = _broker_state(tmp_path_factory.getbasetemp())
    with open(state.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not state.exists():
            broker = launcher.Kafka()
            state.write_text(
                json.dumps({"address": broker.address, "pid": broker.process.pid, "folder": str(broker.dir)})
            )
        return SharedKafka(json.loads(state.read_text())["address"])


def _broker_state(base: Path) -> Path:
    """The file that names the shared broker; processes of pytest-xdist have folders below one."""
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kafka.json"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the shared broker with the process that began the run."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is None or "PYTEST_XDIST_WORKER" in os.environ:
        return
    state = _broker_state(factory.getbasetemp())
    if state.exists():
        broker = json.loads(state.read_text())
        state.unlink()
        os.kill(broker["pid"], signal.SIGKILL)
        shutil.rmtree(broker["folder"], ignore_errors=True)


@pytest.fixture(scope="session")
def own_kafka(kafka_launcher: ModuleType) -> Iterator[Any]:
    """A broker that the test may stop and start (``address``, ``start()``, ``stop(signal)``)."""
    with kafka_launcher.Kafka() as broker:
        yield broker


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a TCP port that nobody listens on."""
    return launcher.free_port


class Topics:
    """The topics under one prefix, and their records."""

    def __init__(self, address: str, prefix: str, partitions: int) -> None:
        self.address, self.prefix, self.partitions = address, prefix, partitions

    def read(self, suffix: str) -> tuple[list[Any], dict[int, int]]:
        """All committed records, in order within a partition, and the end of each partition."""
        from kafka import KafkaConsumer, TopicPartition
        from kafka.errors import MetadataEmptyBrokerList

        def partitions_of(topic: str) -> set[int]:
            """A broker names a new topic late, and itself late after it was suspended."""
            with contextlib.suppress(MetadataEmptyBrokerList):
                return consumer.partitions_for_topic(topic) or set()
            return set()

        consumer = KafkaConsumer(
            bootstrap_servers=self.address,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_records=20_000,
            max_partition_fetch_bytes=16 << 20,
        )
        topic = f"{self.prefix}.{suffix}"
        deadline = time.monotonic() + 30
        while not (partitions := partitions_of(topic)):
            assert time.monotonic() < deadline, f"{topic} does not exist"
            consumer.poll(timeout_ms=100)
        tps = [TopicPartition(topic, number) for number in sorted(partitions)]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        ends, records_read = consumer.end_offsets(tps), []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(timeout_ms=500).values():
                records_read += records
        consumer.close()
        return records_read, {tp.partition: end for tp, end in ends.items()}

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
            key: value
            for key, value in latest.items()
            if value is not None and not key[1].startswith(b"\x00")
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
    """Create the topics under a new prefix, the events with this many partitions."""
    from agents.kafka.topics import create
    from schemas.config.connections import Kafka

    def make(partitions: int) -> Topics:
        prefix = f"t{uuid.uuid4().hex[:8]}"
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
        """Return the logs of all workers."""
        return "".join(
            path.read_text(errors="replace") for path in sorted(self.directory.glob("worker*.log"))
        )

    def taken(self, number: int) -> int:
        """How often a worker has taken a partition."""
        path = self.directory / f"worker{number}.log"
        return path.read_text(errors="replace").count(" owns ") if path.exists() else 0

    def close(self) -> None:
        """Kill all running workers."""
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
    """Make ``Workers``; their logs are shown when the test fails."""
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
    """The module of the counting worker (``tests/agents/counting_worker.py``)."""
    from tests.agents import counting_worker

    return counting_worker


@pytest.fixture
def counting_command(tmp_path: Path) -> Callable[..., Callable[[int], list[str]]]:
    """Command lines of counting workers on given topics."""

    def make(topics: Any, **kafka_settings: Any) -> Callable[[int], list[str]]:
        def command(number: int) -> list[str]:
            path = tmp_path / f"config{number}.json"
            settings = {
                "brokers": topics.address,
                "prefix": topics.prefix,
                "partitions": topics.partitions,
                "checkpoint": 0.5,
                "session_timeout": SESSION_S,
                **kafka_settings,
            }
            path.write_text(json.dumps({"kafka": settings, "http": {"port": 20_000 + number}}))
            return [sys.executable, str(HERE / "agents" / "counting_worker.py"), str(path)]

        return command

    return make


@pytest.fixture(scope="session")
def episode_of():
    """Makes an episode: ``episode_of("e1", "opened", minute=3, urgency="low", rules=("a", "b"))``; minutes
    since 2 March 2026, 09:00 UTC. ``apart``: each rule has a rate of its own, so each is a finding.
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
        apart=False,
        **more,
    ):
        severity = severity or ("critical" if urgency == "high" else "warning")
        feature = "answer" if name == "e1" else name  # one of a feature is open at a time
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
                feature=feature,
                environment=environment,
                incident_id=f"{name}-{rule}",
                rule=rule,
                severity=severity,
                state="resolved" if state == "resolved" else "firing",
                since=began,
                evidence=evidence.model_copy(update={"metric": f"evaluator.{rule}.fail_rate"})
                if apart
                else evidence,
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
            "feature": feature,
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
