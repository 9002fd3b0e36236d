"""The ``security`` block: its settings for both Kafka clients, its errors, and that it reveals no secret."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from kafka import KafkaProducer
from pydantic import ValidationError

from softfail import security as security_module
from softfail.connection_diagnosis import diagnose_connection
from softfail.options import parse_options
from softfail.security import InvalidSecurity, Security, parse_security
from tests.certificates import encrypt_key, openssl, request

SECRET = "ganz-geheim-4711"
LOGIN = {"username": "bot", "password": SECRET}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PEM files.

    key.pem is the key of cert.pem, locked.pem is the same key encrypted with SECRET, other.pem is a different
    key, both.pem holds certificate and key, text.pem holds neither.
    """
    folder = tmp_path_factory.mktemp("pems")

    request(folder, "test", "key.pem", "cert.pem", "-x509", "-days", "2")
    encrypt_key(folder, "key.pem", "locked.pem", SECRET)
    openssl(folder, "genrsa", "-out", "other.pem", "2048")
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    (folder / "text.pem").write_text("no certificate at all")
    return folder


@pytest.mark.parametrize(
    ("block", "protocol"),
    [
        ({}, "PLAINTEXT"),
        (LOGIN, "SASL_SSL"),
        ({"ca_file": "a"}, "SSL"),
        ({"cert_file": "a"}, "SSL"),
        ({**LOGIN, "ca_file": "a"}, "SASL_SSL"),
        ({"protocol": "SSL"}, "SSL"),
        ({**LOGIN, "protocol": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT"),
    ],
)
def test_a_login_implies_tls_unless_the_protocol_is_set(block, protocol):
    assert Security(**block).resolved == protocol


def test_both_clients_accept_the_settings(pems):
    security = Security(
        **LOGIN,
        ca_file=str(pems / "cert.pem"),
        cert_file=str(pems / "cert.pem"),
        key_file=str(pems / "key.pem"),
        mechanism="PLAIN",
    )
    for settings in (security.kafka_python(), security.aiokafka()):
        context = settings.pop("ssl_context")
        assert settings == {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "bot",
            "sasl_plain_password": SECRET,
        }
        assert context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert set(security.kafka_python()) <= set(KafkaProducer.DEFAULT_CONFIG)

    async def create_clients() -> None:
        for client in (AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient):
            client(bootstrap_servers="127.0.0.1:1", **security.aiokafka())

    asyncio.run(create_clients())


def test_the_default_is_plaintext_without_any_files():
    assert Security().kafka_python() == Security().aiokafka() == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ({"username": "bot"}, "password: is missing"),
        ({"username": "bot", "password": ""}, "password: is missing"),
        ({"password": SECRET}, "username: is missing"),
        ({"mechanism": "PLAIN"}, "username: is missing, and mechanism is set"),
        ({"protocol": "SASL_SSL"}, "protocol SASL_SSL needs username and password"),
        ({**LOGIN, "protocol": "PLAINTEXT"}, "protocol: PLAINTEXT has no login"),
        ({**LOGIN, "protocol": "SSL"}, "protocol: SSL has no login"),
        (
            {"protocol": "PLAINTEXT", "ca_file": "a"},
            "protocol: PLAINTEXT has no TLS, and ca_file is set; use SSL",
        ),
        ({**LOGIN, "protocol": "SASL_PLAINTEXT", "ca_file": "a"}, "use SASL_SSL, or remove ca_file"),
        ({"key_file": "a", "protocol": "SSL"}, "cert_file: is missing"),
        ({"key_password": SECRET, "protocol": "SSL"}, "cert_file: is missing"),
        ({**LOGIN, "mechanism": "GSSAPI"}, "mechanism: Input should be 'PLAIN'"),
        ({**LOGIN, "protocol": "TLS"}, "protocol: Input should be"),
        ({**LOGIN, "check_hostname": False}, "check_hostname: no such key"),
        ({**LOGIN, "pasword": SECRET}, "pasword: no such key; valid keys: protocol"),
        ({"username": 7, "password": SECRET}, "username: Input should be a valid string"),
        ({"ca_file": ""}, "ca_file: String should have at least 1"),
        ({"username": "bot", "password": [SECRET]}, "password: Input should be a valid string"),
        (
            {"username": "bot", "password": "${NOT_SET_ANYWHERE}"},
            "password: the environment has no variable NOT_SET_ANYWHERE; set it",
        ),
        (f"user=bot;password={SECRET}", "security: must be a mapping"),
        ([LOGIN], "security: must be a mapping"),
    ],
)
def test_an_invalid_block_raises_with_its_field_and_without_secrets(block, error):
    with pytest.raises(InvalidSecurity) as raised:
        parse_security(block, {})
    assert error in str(raised.value)
    assert str(raised.value).startswith("security")
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_the_model_and_its_validation_errors_show_no_secret():
    security = Security(**LOGIN, cert_file="a", key_password=SECRET)
    assert SECRET not in repr(security) + str(security) + security.model_dump_json()
    with pytest.raises(ValidationError) as raised:
        Security(**LOGIN, protocol="PLAINTEXT")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"ca_file": "none.pem"}, r"security\.ca_file: .*none\.pem cannot be read: No such file"),
        ({"ca_file": "."}, r"security\.ca_file: .* cannot be read: Is a directory"),
        ({"ca_file": "text.pem"}, r"security\.ca_file: .*text\.pem holds no certificate; files must be PEM"),
        ({"ca_file": "key.pem"}, r"security\.ca_file: .*key\.pem holds no certificate"),
        ({"cert_file": "none.pem"}, r"security\.cert_file: .*none\.pem cannot be read"),
        (
            {"cert_file": "text.pem", "key_file": "key.pem"},
            r"security\.cert_file: .*text\.pem holds no certificate",
        ),
        ({"cert_file": "cert.pem"}, r"security\.cert_file: .*cert\.pem holds no private key"),
        (
            {"cert_file": "cert.pem", "key_file": "none.pem"},
            r"security\.key_file: .*none\.pem cannot be read",
        ),
        (
            {"cert_file": "cert.pem", "key_file": "text.pem"},
            r"security\.key_file: .*text\.pem holds no private key",
        ),
        (
            {"cert_file": "cert.pem", "key_file": "other.pem"},
            r"security\.key_file: the key in .*other\.pem does not match the certificate in .*cert\.pem",
        ),
        (
            {"cert_file": "cert.pem", "key_file": "locked.pem"},
            r"security\.key_password: is missing, and the key in .*locked\.pem is encrypted",
        ),
        (
            {"cert_file": "cert.pem", "key_file": "locked.pem", "key_password": SECRET + "x"},
            r"security\.key_password: does not open the key in .*locked\.pem",
        ),
    ],
)
def test_an_unusable_file_raises_with_its_field_and_without_a_prompt(pems, files, error):
    security = Security(
        **{name: value if name == "key_password" else str(pems / value) for name, value in files.items()}
    )
    with pytest.raises(InvalidSecurity, match=error) as raised:
        security.aiokafka()
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "files",
    [
        {"cert_file": "both.pem"},
        {"cert_file": "cert.pem", "key_file": "key.pem"},
        {"cert_file": "cert.pem", "key_file": "locked.pem", "key_password": SECRET},
    ],
)
def test_a_certificate_and_its_key_may_be_in_one_file_or_two_and_the_key_may_be_encrypted(pems, files):
    security = Security(
        **{name: value if name == "key_password" else str(pems / value) for name, value in files.items()}
    )
    assert security.aiokafka()["ssl_context"].check_hostname


def test_variables_in_a_block_are_replaced_from_the_environment():
    block = {"username": "${USER_NAME}", "password": "${P}"}
    security = parse_security(block, {"USER_NAME": "bot", "P": SECRET})
    assert security.username == "bot"
    assert security.password.get_secret_value() == SECRET


def test_a_login_without_tls_is_logged_once_as_a_warning(caplog):
    security_module._warn_unencrypted_login.cache_clear()
    with caplog.at_level(logging.WARNING, "softfail"):
        Security(**LOGIN, protocol="SASL_PLAINTEXT").aiokafka()
        Security(**LOGIN, protocol="SASL_PLAINTEXT").kafka_python()
    assert len(caplog.records) == 1
    assert "use SASL_SSL" in caplog.text


@pytest.mark.parametrize(
    "block", [{"username": "bot"}, {**LOGIN, "pasword": "x"}, "nonsense", {**LOGIN, "protocol": "PLAINTEXT"}]
)
def test_a_producer_with_an_invalid_block_never_connects(block):
    options, kafka_settings, errors = parse_options({"service": "shop", "security": block})
    assert any("nothing is sent until this is corrected" in error for error in errors)
    assert SECRET not in str(errors) + repr(options)
    with pytest.raises(InvalidSecurity):
        options.security.kafka_python()
    assert kafka_settings == {}


def test_a_producer_accepts_the_block_as_a_dict_or_an_object(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    for block in ({"username": "bot", "password": "${KAFKA_PASSWORD}"}, Security(**LOGIN)):
        options, _, errors = parse_options({"service": "shop", "security": block})
        assert errors == []
        assert options.security.password.get_secret_value() == SECRET
        assert SECRET not in repr(options)


def test_options_of_kafka_python_cannot_weaken_the_block():
    _, kafka_settings, errors = parse_options(
        {
            "service": "shop",
            "security": LOGIN,
            "ssl_check_hostname": False,
            "security_protocol": "PLAINTEXT",
            "acks": 1,
        }
    )
    assert kafka_settings == {"acks": 1}
    assert [error.split(":")[0] for error in errors] == ["ssl_check_hostname", "security_protocol"]


@pytest.mark.parametrize("secret", [SECRET, "it's", 'it\'s "quoted"', "schlüssel\\ß", "a\nb"])
def test_the_debug_logs_of_the_clients_show_no_password(secret, caplog):
    Security(username="bot", password=secret, protocol="SASL_PLAINTEXT", mechanism="PLAIN").kafka_python()
    # whatever level other tests have left behind
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, logger="kafka"),
        caplog.at_level(logging.DEBUG, logger="aiokafka"),
    ):
        for name in ("kafka.protocol.parser", "kafka.net.connection", "kafka.conn", "aiokafka.conn"):
            for logged in (
                f"bot\0bot\0{secret}".encode(),
                bytearray(f"bot\0{secret}".encode()),
                secret,
                [secret],
            ):
                logging.getLogger(name).debug("Request %d: auth_bytes=%r", 3, logged)
                logging.getLogger(name).debug("Request %s", logged)
    assert sum(record.getMessage().startswith("Request") for record in caplog.records) == 32
    for form in (secret, repr(secret)[1:-1], repr(secret.encode())[2:-1]):
        assert form not in caplog.text
    assert "Request 3: auth_bytes=" in caplog.text


def test_an_unreachable_broker_is_not_reported_as_a_wrong_setting():
    assert diagnose_connection("127.0.0.1:1", Security(**LOGIN)) is None
    assert diagnose_connection(["127.0.0.1:1", "nonsense"], None) is None
