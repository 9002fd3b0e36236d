"""One block of settings for kafka-python and aiokafka: what it gives, what it refuses, and that it tells no
secret.
"""

from __future__ import annotations

import logging
import ssl
import subprocess
import traceback
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from kafka import KafkaProducer
from pydantic import ValidationError

from softfail.options import read
from softfail.security import InvalidSecurity, Security, security_of

SECRET = "ganz-geheim-4711"
LOGIN = {"username": "bot", "password": SECRET}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cert.pem and key.pem belong together, locked.pem is the same key encrypted with SECRET, other.pem is
    another key.
    """
    folder = tmp_path_factory.mktemp("pems")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "2",
        "-subj",
        "/CN=test",
    )
    openssl("rsa", "-aes256", "-in", "key.pem", "-out", "locked.pem", "-passout", f"pass:{SECRET}")
    openssl("genrsa", "-out", "other.pem", "2048")
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
def test_a_login_is_never_sent_in_the_clear_unless_that_is_written(block, protocol):
    assert Security(**block).resolved == protocol


def test_both_libraries_take_what_it_gives(pems):
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

    async def made() -> None:
        for client in (AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient):
            client(bootstrap_servers="127.0.0.1:1", **security.aiokafka())

    import asyncio

    asyncio.run(made())


def test_without_anything_it_says_plaintext_and_reads_nothing():
    assert Security().kafka_python() == Security().aiokafka() == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("block", "fault"),
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
        ({**LOGIN, "pasword": SECRET}, "pasword: no such key; there are: protocol"),
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
def test_what_cannot_be_meant_is_refused_with_its_field_and_no_secret(block, fault):
    with pytest.raises(InvalidSecurity) as refused:
        security_of(block, {})
    assert fault in str(refused.value)
    assert str(refused.value).startswith("security")
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_the_model_itself_tells_no_secret_either():
    security = Security(**LOGIN, cert_file="a", key_password=SECRET)
    assert SECRET not in repr(security) + str(security) + security.model_dump_json()
    with pytest.raises(ValidationError) as refused:
        Security(**LOGIN, protocol="PLAINTEXT")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"ca_file": "none.pem"}, r"security\.ca_file: .*none\.pem cannot be read: No such file"),
        ({"ca_file": "."}, r"security\.ca_file: .* cannot be read: Is a directory"),
        ({"ca_file": "text.pem"}, r"security\.ca_file: .*text\.pem holds no certificate; PEM"),
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
            r"security\.key_file: the key in .*other\.pem is not that of the certificate in .*cert\.pem",
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
def test_a_file_that_cannot_be_used_names_its_field_and_asks_nobody(pems, files, fault):
    security = Security(
        **{name: value if name == "key_password" else str(pems / value) for name, value in files.items()}
    )
    with pytest.raises(InvalidSecurity, match=fault) as refused:
        security.aiokafka()
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "files",
    [
        {"cert_file": "both.pem"},
        {"cert_file": "cert.pem", "key_file": "key.pem"},
        {"cert_file": "cert.pem", "key_file": "locked.pem", "key_password": SECRET},
    ],
)
def test_a_certificate_and_its_key_may_stand_in_one_file_or_two_and_the_key_may_be_locked(pems, files):
    security = Security(
        **{name: value if name == "key_password" else str(pems / value) for name, value in files.items()}
    )
    assert security.aiokafka()["ssl_context"].check_hostname


def test_secrets_of_a_block_come_from_the_environment():
    block = {"username": "${USER_NAME}", "password": "${P}"}
    security = security_of(block, {"USER_NAME": "bot", "P": SECRET})
    assert security.username == "bot"
    assert security.password.get_secret_value() == SECRET


def test_a_login_over_plain_text_is_warned_of(caplog):
    from softfail import security as module

    module._warn_of_the_clear.cache_clear()
    with caplog.at_level(logging.WARNING, "softfail"):
        Security(**LOGIN, protocol="SASL_PLAINTEXT").aiokafka()
        Security(**LOGIN, protocol="SASL_PLAINTEXT").kafka_python()
    assert len(caplog.records) == 1
    assert "use SASL_SSL" in caplog.text


@pytest.mark.parametrize(
    "block", [{"username": "bot"}, {**LOGIN, "pasword": "x"}, "nonsense", {**LOGIN, "protocol": "PLAINTEXT"}]
)
def test_a_producer_with_a_wrong_block_never_connects_without_it(block):
    options, kafka, faults = read({"service": "shop", "security": block})
    assert any("nothing is sent until it is mended" in fault for fault in faults)
    assert SECRET not in str(faults) + repr(options)
    with pytest.raises(InvalidSecurity):
        options.security.kafka_python()
    assert kafka == {}


def test_a_producer_takes_the_block_as_a_dict_or_made(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    for block in ({"username": "bot", "password": "${KAFKA_PASSWORD}"}, Security(**LOGIN)):
        options, _, faults = read({"service": "shop", "security": block})
        assert faults == []
        assert options.security.password.get_secret_value() == SECRET
        assert SECRET not in repr(options)


def test_beside_the_block_no_option_of_kafka_python_weakens_it():
    _, kafka, faults = read(
        {
            "service": "shop",
            "security": LOGIN,
            "ssl_check_hostname": False,
            "security_protocol": "PLAINTEXT",
            "acks": 1,
        }
    )
    assert kafka == {"acks": 1}
    assert [fault.split(":")[0] for fault in faults] == ["ssl_check_hostname", "security_protocol"]


@pytest.mark.parametrize("secret", [SECRET, "it's", 'it\'s "quoted"', "schlüssel\\ß", "a\nb"])
def test_the_debug_log_of_the_clients_shows_no_password(secret, caplog):
    Security(username="bot", password=secret, protocol="SASL_PLAINTEXT", mechanism="PLAIN").kafka_python()
    # whatever level other tests have left behind
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, logger="kafka"),
        caplog.at_level(logging.DEBUG, logger="aiokafka"),
    ):
        for name in ("kafka.protocol.parser", "kafka.net.connection", "kafka.conn", "aiokafka.conn"):
            for sent in (
                f"bot\0bot\0{secret}".encode(),
                bytearray(f"bot\0{secret}".encode()),
                secret,
                [secret],
            ):
                logging.getLogger(name).debug("Request %d: auth_bytes=%r", 3, sent)
                logging.getLogger(name).debug("Request %s", sent)
    assert sum(record.getMessage().startswith("Request") for record in caplog.records) == 32
    for form in (secret, repr(secret)[1:-1], repr(secret.encode())[2:-1]):
        assert form not in caplog.text
    assert "Request 3: auth_bytes=" in caplog.text


def test_the_producers_own_words_for_a_broker_that_is_away_blame_no_setting():
    from softfail.connection_diagnosis import refusal

    assert refusal("127.0.0.1:1", Security(**LOGIN)) is None
    assert refusal(["127.0.0.1:1", "nonsense"], None) is None
