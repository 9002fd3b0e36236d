"""A broker with rights: whatever the worker or a producer may not do is one error that names the right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from softfail import Softfail
from tests.agents.run_command import run_command
from tests.conftest import Topics
from tests.polling import wait_until

ROOT = Path(__file__).parents[3]
PREFIX, PARTITIONS, PASSWORD = "softfail", 2, "marker-rights-77"
READ, WRITE, DESCRIBE = ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE
TOPIC, GROUP, TRANSACTION = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
REMEDY = "add the right (docs/security.md, Rights as commands), then start the worker"
Resource = tuple[ResourceType, str]
PREFIXED = {(TOPIC, f"{PREFIX}."), (TRANSACTION, f"{PREFIX}.")}
RIGHTS = {  # of docs/security.md
    (TOPIC, f"{PREFIX}."): (READ, WRITE, DESCRIBE, ACLOperation.DESCRIBE_CONFIGS),
    (GROUP, PREFIX): (READ, DESCRIBE),
    (TRANSACTION, f"{PREFIX}."): (WRITE, DESCRIBE),
    (ResourceType.CLUSTER, "kafka-cluster"): (DESCRIBE,),
}


def rule(permission: ACLPermissionType, operation: ACLOperation, resource: Resource) -> ACL:
    kind = ACLResourcePatternType.PREFIXED if resource in PREFIXED else ACLResourcePatternType.LITERAL
    return ACL("User:bot", "*", operation, permission, ResourcePattern(*resource, kind))


class Broker:
    """A broker where only `bot` needs rights, on the port with a login."""

    def __init__(self, kafka: Any) -> None:
        self.kafka = kafka
        self._admin = KafkaAdminClient(bootstrap_servers=kafka.address)
        allow = ACLPermissionType.ALLOW
        self._create(
            [
                rule(allow, operation, resource)
                for resource, granted in RIGHTS.items()
                for operation in granted
            ]
        )

    def _create(self, rules: list[ACL]) -> None:
        assert self._admin.create_acls(rules)["failed"] == []

    @contextmanager
    def denied(self, operation: ACLOperation, resource: Resource) -> Iterator[None]:
        """Take one right away."""
        denial = rule(ACLPermissionType.DENY, operation, resource)
        self._create([denial])
        pattern = denial.resource_pattern
        try:
            yield
        finally:
            self._admin.delete_acls(
                [
                    ACLFilter(
                        "User:bot",
                        "*",
                        operation,
                        ACLPermissionType.DENY,
                        ResourcePatternFilter(
                            pattern.resource_type, pattern.resource_name, pattern.pattern_type
                        ),
                    )
                ]
            )

    def publish(self, first: int, count: int) -> None:
        """Publish events of three minutes ago, so that their windows close soon."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.address)
        for number in range(first, first + count):
            when = datetime.now(UTC) - timedelta(seconds=180 - number)
            event = {"event_id": str(number), "time": when.isoformat(), "service": "s", "feature": "f"}
            value = json.dumps(event | {"model": "m"}).encode()
            producer.send(f"{PREFIX}.events", value, b"s/f")
        producer.flush(30)
        producer.close()

    def counted(self) -> int:
        """Return the events in the last revision of all windows of features."""
        last: dict[bytes, int] = {}
        for record in Topics(self.kafka.address, PREFIX, PARTITIONS).read("windows")[0]:
            window = json.loads(record.value)
            if window["level"] == "feature":
                last[record.key] = window["events"]
        return sum(last.values())


@pytest.fixture(scope="module")
def broker(kafka_launcher: Any) -> Iterator[Broker]:
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_bot="{PASSWORD}";'
    settings = {
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with kafka_launcher.Kafka(also=("SASL_PLAINTEXT",), **settings) as kafka:
        created = run_command(
            "topics",
            environment={
                **os.environ,
                "SOFTFAIL_KAFKA__BROKERS": kafka.address,
                "SOFTFAIL_KAFKA__PARTITIONS": str(PARTITIONS),
            },
        )
        assert created.returncode == 0, created.stderr
        yield Broker(kafka)


@pytest.fixture
def config(tmp_path: Path, broker: Broker, kafka_launcher: Any) -> Path:
    path = tmp_path / "softfail.yaml"
    security = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "PLAIN",
        "username": "bot",
        "password": "${KAFKA_PASSWORD}",
    }
    settings = {
        "kafka": {
            "brokers": broker.kafka.addresses["SASL_PLAINTEXT"],
            "prefix": PREFIX,
            "partitions": PARTITIONS,
            "security": security,
        },
        "time": {"pane": "1s", "lateness": "0s"},
        "http": {"port": kafka_launcher.free_port()},
        "channels": {"console": {}},
    }
    path.write_text(json.dumps(settings))
    return path


@contextmanager
def worker(config: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a worker; its log is in the file."""
    log = config.with_suffix(".log")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "agents", "worker", "--config", str(config)],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "KAFKA_PASSWORD": PASSWORD},
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize(
    ("operation", "resource", "fault"),
    [
        (WRITE, (TOPIC, "softfail.windows"), "write topic softfail.windows (operation Write)"),
        (WRITE, (TOPIC, "softfail.watch.state"), "write topic softfail.watch.state (operation Write)"),
        (READ, (TOPIC, "softfail.events"), "read topic softfail.events (operation Read)"),
        (DESCRIBE, (TOPIC, "softfail.alerts"), "describe topic softfail.alerts (operation Describe)"),
        (READ, (GROUP, "softfail"), "join group softfail (operations Read, Describe)"),
        (DESCRIBE, (GROUP, "softfail"), "join group softfail (operations Read, Describe)"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_worker_without_a_right_ends_with_78_and_names_it(
    broker: Broker, config: Path, operation: ACLOperation, resource: Resource, fault: str
) -> None:
    with broker.denied(operation, resource), worker(config) as (process, log):
        assert process.wait(60) == 78
    text = log.read_text()
    assert f"user 'bot' (kafka.security.username) may not {fault}; {REMEDY}" in text
    assert "Traceback" not in text


def test_a_worker_that_may_not_write_in_transactions_names_that(broker: Broker, config: Path) -> None:
    """Kafka does not say in advance whether it allows a transactional id."""
    fault = "may not write with transactional ids softfail.* (operation Write)"
    with broker.denied(WRITE, (TRANSACTION, f"{PREFIX}.")), worker(config) as (process, log):
        wait_until(lambda: fault in log.read_text(), 60, f"not named: {fault}", every_s=0.2)
        assert process.poll() is None  # it tries again ten times
    text = log.read_text()
    assert "(code 78): restoring softfail." in text
    assert REMEDY in text


def test_a_right_that_is_taken_away_and_given_back_loses_no_count(broker: Broker, config: Path) -> None:
    with worker(config) as (_, log):
        broker.publish(0, 20)
        wait_until(lambda: broker.counted() == 20, 90, "not counted", every_s=1)
        log.write_text("")
    with worker(config) as (process, log):
        wait_until(lambda: "owns softfail.events/1" in log.read_text(), 60, every_s=0.2)
        with broker.denied(WRITE, (TOPIC, "softfail.windows")):
            broker.publish(20, 20)
            assert process.wait(120) == 78
    text = log.read_text()
    assert (
        "may not read or write topic softfail.windows (operations Read, Write)" in text
    )  # at the checkpoint
    assert "may not write topic softfail.windows (operation Write)" in text  # at the next start
    broker.publish(40, 1)
    with worker(config):
        wait_until(lambda: broker.counted() == 41, 120, "lost", every_s=1)


def test_a_producer_that_may_not_write_drops_and_names_the_right(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "softfail")
    with (
        broker.denied(WRITE, (TOPIC, "softfail.events")),
        Softfail(
            service="s",
            bootstrap_servers=broker.kafka.addresses["SASL_PLAINTEXT"],
            topic="softfail.events",
            security={
                "protocol": "SASL_PLAINTEXT",
                "mechanism": "PLAIN",
                "username": "bot",
                "password": PASSWORD,
            },
        ) as client,
    ):
        for _ in range(5):
            client.response(feature="f", model="m", output="x")
        deadline = time.monotonic() + 60
        while not (dropped := client.counts()["s/f"]["dropped"]) and time.monotonic() < deadline:
            client.flush(1.0)
    assert dropped >= 5
    denial = "the broker does not let this user write to topic softfail.events (operation Write)"
    assert denial in caplog.text
