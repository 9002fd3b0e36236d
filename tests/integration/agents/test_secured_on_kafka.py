"""Worker and commands over TLS with a login and a private certificate authority; and every way in which a
broker refuses a client.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.kafka import topics
from agents.kafka.handshake import Refusal, shake_hands
from agents.process import exits
from schemas.config.connections import Kafka
from softfail import Softfail
from tests.agents.run_command import run_command
from tests.certificates import encrypt_key, openssl, request
from tests.polling import wait_until

ROOT = Path(__file__).parents[3]
SECRETS = {
    "KAFKA_PASSWORD": "marker-kafka-1f7a",
    "KAFKA_KEY_PASSWORD": "marker-key-93cc",
    "SOFTFAIL_HTTP_TOKEN": "marker-token-5d2e81",
    "PAGERDUTY_ROUTING_KEY": "marker77aa88bb99cc00dd11ee22ff33",
}
PAGES = ("", "api/status", "metrics", "healthz", "readyz", "nothing")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, `ca` and `other`; `broker` and `worker` are signed by the first, `alien` by the
    second. The key of the worker is encrypted.
    """
    folder = tmp_path_factory.mktemp("pki")

    authority = ("-x509", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE")
    for name in ("ca", "other"):
        request(folder, name, f"{name}.key", f"{name}.pem", *authority)
    for name, names, signer in (
        ("broker", "IP:127.0.0.1", "ca"),
        ("worker", "DNS:worker", "ca"),
        ("alien", "DNS:alien", "other"),
    ):
        request(folder, name, f"{name}.key", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName={names}\n")
        signed_by = ("-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial")
        to_sign = ("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", "2")
        openssl(folder, *to_sign, *signed_by, "-extfile", "names")
    encrypt_key(folder, "worker.key", "locked.key", SECRETS["KAFKA_KEY_PASSWORD"])
    (folder / "keystore.pem").write_text(
        (folder / "broker.key").read_text() + (folder / "broker.pem").read_text()
    )
    return folder


@pytest.fixture(scope="module")
def broker(kafka_launcher: Any, pki: Path) -> Iterator[Any]:
    """SASL_SSL: a certificate and a login (SCRAM-SHA-512 or PLAIN); SASL_PLAINTEXT: SCRAM; PLAINTEXT:
    nothing, for the broker itself and for checks.
    """
    scram, password = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        SECRETS["KAFKA_PASSWORD"],
    )
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_bot="{password}";'
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": pki / "keystore.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": pki / "ca.pem",
        "listener.name.sasl_ssl.ssl.client.auth": "required",
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.sasl_ssl.plain.sasl.jaas.config": plain,
        "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": scram,
    }
    users = ("--add-scram", f"SCRAM-SHA-512=[name=bot,password={password}]")
    with kafka_launcher.Kafka(also=("SASL_SSL", "SASL_PLAINTEXT", "SSL"), storage=users, **settings) as made:
        yield made


@pytest.fixture
def block(pki: Path) -> dict[str, str]:
    """`kafka.security` as in a configuration file."""
    return {
        "ca_file": str(pki / "ca.pem"),
        "cert_file": str(pki / "worker.pem"),
        "key_file": str(pki / "locked.key"),
        "key_password": "${KAFKA_KEY_PASSWORD}",
        "username": "bot",
        "password": "${KAFKA_PASSWORD}",
    }


@pytest.fixture
def write_config(tmp_path: Path, broker: Any, block: dict[str, str]) -> Any:
    """Write softfail.yaml for the secured port: ``write_config(prefix, port=0, address=None, **changes of the
    block)``.
    """

    def write(prefix: str, port: int = 0, address: str | None = None, **changes: Any) -> Path:
        security = {name: value for name, value in {**block, **changes}.items() if value is not None}
        path = tmp_path / f"{prefix}.yaml"
        path.write_text(
            json.dumps(
                {
                    "time": {"pane": "1s", "lateness": "0s"},
                    "kafka": {
                        "brokers": address or broker.addresses["SASL_SSL"],
                        "prefix": prefix,
                        "partitions": 2,
                        "security": security,
                        "checkpoint": "0.5s",
                    },
                    "http": {"port": port, "token": "${SOFTFAIL_HTTP_TOKEN}"},
                    "rules": [
                        {
                            "name": "refusals",
                            "on": "evaluator.refusal.fail_rate",
                            "above": 0.1,
                            "window": "1s",
                            "min_events": 5,
                            "level": "feature",
                            "severity": "critical",
                        }
                    ],
                    "channels": {
                        "pagerduty": {
                            "routing_key": "${PAGERDUTY_ROUTING_KEY}",
                            "url": "http://127.0.0.1:1/v2/enqueue",
                            "timeout": "1s",
                        }
                    },
                }
            )
        )
        return path

    return write


def agents(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agents", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **SECRETS, **environment},
    )


def got(port: int, page: str, token: str | None) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{page}",
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode() + str(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode() + str(error.headers)
    except OSError:
        return 0, ""


def awaited(port: int, page: str, wanted: str, patience_s: float = 60.0) -> str:
    deadline = time.monotonic() + patience_s
    while wanted not in (text := got(port, page, SECRETS["SOFTFAIL_HTTP_TOKEN"])[1]):
        assert time.monotonic() < deadline, f"{wanted!r} did not appear in /{page}: {text[-2000:]}"
        time.sleep(0.5)
    return text


def publish(address: str, topic: str, block: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with Softfail(
        service="shop", bootstrap_servers=address, topic=topic, security=block, content_probability=1.0
    ) as sf:
        for _ in range(60):
            sf.response(
                feature="answer",
                model="m",
                input="May I?",
                output="I'm sorry, but I cannot help with that.",
                duration_s=1.0,
            )
        assert sf.flush(30)


def test_worker_and_commands_run_over_tls_with_login_and_certificate_and_log_no_secret(
    broker: Any,
    write_config: Any,
    block: dict[str, str],
    make_workers: Any,
    free_port: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    port = free_port()
    path = str(write_config("secured", port))
    outputs = [(made := agents("topics", "--config", path)).stdout + made.stderr]
    assert made.returncode == 0, outputs
    workers = make_workers(lambda _: [sys.executable, "-m", "agents", "worker", "--config", path], SECRETS)
    workers.start(1)
    awaited(port, "readyz", '"ready": true')
    publish(broker.addresses["SASL_SSL"], "secured.events", block, monkeypatch)
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    producer = KafkaProducer(bootstrap_servers=broker.address)
    producer.send("secured.events", b"no event", partition=0).get(10)
    producer.close()
    # a window came out, and a rule fired on it; the page cannot be delivered
    awaited(port, "api/status", '"firing"')
    awaited(port, "metrics", 'softfail_dead_letters_total{reason="unreadable"} 1')
    wait_until(lambda: "failed, again in" in workers.log(), 20, "the delivery was not tried", every_s=0.2)

    for page in PAGES:
        for token in (None, "wrong" * 5, SECRETS["SOFTFAIL_HTTP_TOKEN"]):
            status, text = got(port, page, token)
            outputs.append(text)
            probe = page in ("healthz", "readyz")
            assert (
                status == (404 if page == "nothing" else 200)
                if token == SECRETS["SOFTFAIL_HTTP_TOKEN"] or probe
                else status == 401
            )
    for command in (["state", "inspect"], ["deadletters"], ["deadletters", "--reinject", "--yes"]):
        done = agents(*command, "--config", path)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs += [done.stdout, done.stderr]
    assert "shop/answer" in outputs[-6]
    assert "JSON" in outputs[-4]
    assert workers.retire(1, signal.SIGTERM) == exits.OK
    # as soon as the group forgets the worker, or refused until then
    done = agents("state", "reset", "--agent", "watch", "--yes", "--config", path)
    outputs += [done.stdout, done.stderr, workers.log()]
    for name, secret in SECRETS.items():
        assert [text for text in outputs if secret in text] == [], name

    consumer = KafkaConsumer(bootstrap_servers=broker.address, isolation_level="read_committed")
    tps = [
        TopicPartition("secured.windows", number)
        for number in consumer.partitions_for_topic("secured.windows")
    ]
    assert sum(consumer.end_offsets(tps).values()) > 0
    for topic in ("windows", "alerts", "watch.state", "notify.state", "deadletter", "samples"):
        tps = [
            TopicPartition(f"secured.{topic}", number)
            for number in consumer.partitions_for_topic(f"secured.{topic}")
        ]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        while any(consumer.position(tp) < end for tp, end in consumer.end_offsets(tps).items()):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    assert not any(
                        secret.encode() in (record.key or b"") + (record.value or b"")
                        for secret in SECRETS.values()
                    ), topic
    consumer.close()


WRONG = {
    "password": ({"password": "${WRONG}"}, "kafka.security.username, password: "),
    "user": ({"username": "nobody"}, "kafka.security.username, password: "),
    "authority": ({"ca_file": "other.pem"}, "kafka.security.ca_file: "),
    "no authority": ({"ca_file": None}, "kafka.security.ca_file: "),
    "no certificate": (
        {"cert_file": None, "key_file": None, "key_password": None},
        "kafka.security.cert_file: ",
    ),
    "certificate": (
        {"cert_file": "alien.pem", "key_file": "alien.key", "key_password": None},
        "kafka.security.cert_file: ",
    ),
    "key password": ({"key_password": "${WRONG}"}, "kafka.security.key_password: does not open"),
    "file": ({"ca_file": "none.pem"}, "kafka.security.ca_file: "),
    "plain text": (
        dict.fromkeys(("ca_file", "cert_file", "key_file", "key_password", "username", "password")),
        "kafka.security.protocol: ",
    ),
    "login in plain text": (
        {**dict.fromkeys(("ca_file", "cert_file", "key_file", "key_password")), "protocol": "SASL_PLAINTEXT"},
        "kafka.security.protocol: ",
    ),
    "mechanism": ({"mechanism": "SCRAM-SHA-256"}, "kafka.security.mechanism: "),
    "no login": ({"username": None, "password": None}, "kafka.security.username: "),
}


def changes(pki: Path, wrong: str) -> dict[str, Any]:
    given = WRONG[wrong][0]
    return {
        name: str(pki / value) if value and name.endswith("_file") else value for name, value in given.items()
    }


@pytest.mark.parametrize("wrong", WRONG)
def test_each_wrong_setting_is_a_single_error_that_names_its_key(
    wrong: str, broker: Any, block: dict[str, str], pki: Path
):
    security = {name: value for name, value in {**block, **changes(pki, wrong)}.items() if value is not None}
    values = {"${WRONG}": "marker-wrong-00", **{f"${{{name}}}": value for name, value in SECRETS.items()}}
    kafka = Kafka.model_validate(
        {
            "brokers": broker.addresses["SASL_SSL"],
            "security": {name: values.get(value, value) for name, value in security.items()},
        }
    )
    began = time.monotonic()
    with pytest.raises((Refusal, exits.Misconfigured)) as refused:
        asyncio.run(shake_hands(kafka, kafka.brokers))
    assert time.monotonic() - began < 30
    assert str(refused.value).startswith(WRONG[wrong][1])
    assert "marker" not in str(refused.value)


@pytest.mark.parametrize(
    ("port", "more", "fault"),
    [
        ("PLAINTEXT", {}, "kafka.security.protocol: "),
        (
            "PLAINTEXT",
            {
                "protocol": "SASL_PLAINTEXT",
                "ca_file": None,
                "cert_file": None,
                "key_file": None,
                "key_password": None,
            },
            "kafka.security.username: ",
        ),
        ("SSL", {}, "kafka.security.username: "),
        ("SASL_PLAINTEXT", {}, "kafka.security.protocol: "),
        (
            "SASL_PLAINTEXT",
            dict.fromkeys(("ca_file", "cert_file", "key_file", "key_password", "username", "password")),
            "kafka.security.username: ",
        ),
    ],
)
def test_a_port_of_another_protocol_is_reported(
    port: str, more: dict[str, Any], fault: str, broker: Any, block: dict[str, str]
):
    values = {f"${{{name}}}": value for name, value in SECRETS.items()}
    security = {
        name: values.get(value, value) for name, value in {**block, **more}.items() if value is not None
    }
    with pytest.raises(Refusal) as refused:
        asyncio.run(
            shake_hands(
                Kafka.model_validate({"brokers": broker.addresses[port], "security": security}),
                broker.addresses[port],
            )
        )
    assert str(refused.value).startswith(fault)


@pytest.mark.parametrize(
    ("port", "more"),
    [
        ("SASL_SSL", {}),
        ("SASL_SSL", {"mechanism": "PLAIN"}),
        ("SSL", {"username": None, "password": None}),
        ("PLAINTEXT", None),
        (
            "SASL_PLAINTEXT",
            {
                "protocol": "SASL_PLAINTEXT",
                "ca_file": None,
                "cert_file": None,
                "key_file": None,
                "key_password": None,
            },
        ),
    ],
)
def test_every_listener_accepts_a_client_with_matching_settings(
    port: str, more: dict[str, Any] | None, broker: Any, block: dict[str, str]
):
    values = {f"${{{name}}}": value for name, value in SECRETS.items()}
    security = (
        {}
        if more is None
        else {
            name: values.get(value, value) for name, value in {**block, **more}.items() if value is not None
        }
    )
    kafka = Kafka.model_validate({"brokers": broker.addresses[port], "security": security})
    asyncio.run(topics.await_broker(kafka, patience_s=10))


@pytest.mark.parametrize(
    ("wrong", "commands"),
    [
        ("password", (["worker"], ["topics"], ["state", "inspect"], ["deadletters"])),
        ("authority", (["worker"],)),
        ("plain text", (["worker"],)),
        ("file", (["worker"], ["topics"], ["state", "inspect"], ["deadletters"])),
    ],
)
def test_a_worker_and_the_commands_exit_with_one_error_without_a_retry_loop(
    wrong: str, commands: Any, write_config: Any, pki: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topics, "REFUSED_S", 0.1)  # of the commands in this process
    path = str(write_config("refused", **changes(pki, wrong)))
    for command in commands:
        began = time.monotonic()
        environment = {**SECRETS, "WRONG": "marker-wrong-00", "PYTHONUNBUFFERED": "1"}
        ended = (
            agents(*command, "--config", path, **environment)
            if command == ["worker"]
            else run_command(*command, "--config", path, environment=environment)
        )
        output = ended.stdout + ended.stderr
        assert ended.returncode == exits.CONFIGURATION, output
        assert WRONG[wrong][1] in output
        assert "Traceback" not in output
        assert "marker" not in output
        assert len(output.splitlines()) <= 8, output
        assert time.monotonic() - began < 45


@pytest.mark.parametrize(
    ("wrong", "outputs"),
    [
        ("password", "security.username, password"),
        ("authority", "security.ca_file"),
        ("certificate", "security.cert_file"),
        ("plain text", "security.protocol"),
        ("file", "security.ca_file"),
    ],
)
def test_a_refused_producer_logs_the_reason_keeps_the_service_running_and_sends_nothing(
    wrong: str,
    outputs: str,
    broker: Any,
    block: dict[str, str],
    pki: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("WRONG", "marker-wrong-00")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    security = {name: value for name, value in {**block, **changes(pki, wrong)}.items() if value is not None}
    with caplog.at_level("DEBUG"):
        sf = Softfail(
            service="shop",
            bootstrap_servers=broker.addresses["SASL_SSL"],
            topic="secured.events",
            security=security,
            bootstrap_timeout_ms=2000,
        )
        sf.response(feature="answer", model="m")
        assert not sf.flush(2)
        sf.close(0.5)
    output = [record.getMessage() for record in caplog.records if record.name == "softfail"]
    assert any(outputs in line for line in output), output
    assert sf.counts()["shop/answer"]["sent"] == 0
    assert "marker" not in caplog.text
