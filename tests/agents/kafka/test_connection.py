"""Every client of the worker and its commands connects to Kafka with the same settings."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

from agents.kafka import connection, handshake, topics
from agents.process import exits
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config

ROOT = Path(__file__).parents[3]
CLIENTS = {
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "AIOKafkaAdminClient",
    "AIOKafkaClient",
    "create_conn",
    "KafkaConsumer",
    "KafkaProducer",
    "KafkaAdminClient",
    "KafkaClient",
}
SETTINGS = {"clients", "blocking_clients", "command_clients"}
SECRET = "ganz-geheim-4711"


def calls() -> list[tuple[str, ast.Call]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in sorted((ROOT / "agents").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]


def name_of(call: ast.expr) -> str:
    return call.attr if isinstance(call, ast.Attribute) else call.id if isinstance(call, ast.Name) else ""


def test_every_client_is_made_with_the_shared_connection_settings():
    made = [(where, call) for where, call in calls() if name_of(call.func) in CLIENTS]
    assert len(made) >= 8, "the clients are called otherwise now; this test must know how"
    bare = [
        where
        for where, call in made
        if not any(
            keyword.arg is None
            and isinstance(keyword.value, ast.Call)
            and name_of(keyword.value.func) in SETTINGS
            for keyword in call.keywords
        )
    ]
    # The handshake itself: once with the same settings but the brokers, once on purpose without, to ask what
    # a port speaks.
    assert [where for where in bare if not where.startswith("agents/kafka/handshake.py")] == []
    assert len(bare) == 2
    assert [
        where
        for where, call in made
        if any(
            keyword.arg in ("bootstrap_servers", "security_protocol", "ssl_context")
            for keyword in call.keywords
        )
    ] == []


def test_faust_gets_the_same_settings():
    (app,) = (
        call
        for where, call in calls()
        if where.startswith("agents/runtime/app.py") and name_of(call.func) == "_App"
    )
    assert any(
        keyword.arg == "broker_credentials"
        and isinstance(keyword.value, ast.Call)
        and name_of(keyword.value.func) == "credentials"
        for keyword in app.keywords
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_the_clients_of_faust_get_the_settings_of_the_other_clients(mechanism, protocol):
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    kafka = Kafka.model_validate(
        {"security": {"protocol": protocol, "username": "bot", "password": SECRET, "mechanism": mechanism}}
    )
    ours = connection.clients(kafka)
    assert ours.pop("bootstrap_servers") == "localhost:9092"
    assert {
        name: value
        for name, value in credentials_to_aiokafka_auth(connection.credentials(kafka)).items()
        if value is not None
    } == ours
    assert connection.blocking_clients(kafka) == {"bootstrap_servers": ["localhost:9092"], **ours}


def test_the_clients_of_faust_have_no_credentials_without_a_login():
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    tls = Kafka.model_validate({"security": {"protocol": "SSL"}})
    assert {
        "bootstrap_servers": "localhost:9092",
        **credentials_to_aiokafka_auth(connection.credentials(tls)),
    } == connection.clients(tls)
    assert connection.credentials(Kafka()) is None
    assert connection.clients(Kafka()) == {
        "bootstrap_servers": "localhost:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_an_unusable_file_is_a_configuration_error_with_its_full_path():
    with pytest.raises(exits.Misconfigured, match=r"kafka\.security\.ca_file: /none\.pem cannot be read"):
        connection.clients(Kafka.model_validate({"security": {"ca_file": "/none.pem"}}))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def hanging_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def babbling(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("peer", [silent, hanging_up, babbling])
@pytest.mark.parametrize("security", [{}, {"protocol": "SSL"}, {"username": "bot", "password": SECRET}])
def test_an_endpoint_that_is_not_a_broker_is_retried_with_bounded_backoff_and_is_not_a_refusal(
    peer, security, monkeypatch
):
    monkeypatch.setattr(handshake, "TIMEOUT_S", 0.3)

    async def scene() -> None:
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        kafka = Kafka.model_validate(
            {"brokers": f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "security": security}
        )
        with pytest.raises(exits.Misconfigured, match=r"kafka\.brokers: no broker answers at") as ended:
            await topics.await_broker(kafka, patience_s=0.5)
        assert SECRET not in str(ended.value)
        server.close()

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_an_authentication_failure_is_tolerated_for_a_while_and_then_exits_with_its_key(monkeypatch):
    monkeypatch.setattr(topics, "REFUSED_S", 1.2)
    asked = 0

    async def refusing(kafka: Kafka, broker: str) -> None:
        nonlocal asked
        asked += 1
        raise handshake.Refusal("kafka.security.username, password: no")

    monkeypatch.setattr(topics, "shake_hands", refusing)
    with pytest.raises(exits.Misconfigured, match=r"kafka\.security\.username, password: no"):
        asyncio.run(topics.await_broker(Kafka(brokers="a:1")))
    assert 2 <= asked <= 5


def test_a_single_accepting_broker_is_enough(monkeypatch):
    async def shake(kafka: Kafka, broker: str) -> None:
        if broker != "c:3":
            raise handshake.Refusal("no") if broker == "a:1" else ConnectionRefusedError("nobody")

    monkeypatch.setattr(topics, "shake_hands", shake)
    asyncio.run(asyncio.wait_for(topics.await_broker(Kafka(brokers="a:1,b:2,c:3")), 5))


def test_no_representation_of_the_configuration_contains_a_secret():
    secrets = {"password": "marker-password-1", "key_password": "marker-key-password-2"}
    config = Config.model_validate(
        {
            "kafka": {"security": {"username": "bot", "cert_file": "a", **secrets}},
            "http": {"token": "marker-token-0003"},
            "channels": {"pagerduty": {"routing_key": "marker0004" * 3 + "xx"}},
        }
    )
    assert "marker" not in "".join(
        (
            repr(config),
            str(config),
            config.model_dump_json(),
            str(config.model_dump()),
            repr(config.kafka),
            repr(config.http),
        )
    )
