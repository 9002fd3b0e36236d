"""Settings of all Kafka clients of the worker and its commands: brokers and security."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agents.kafka import decompression as decompression
from agents.process import exits
from schemas.config.connections import Kafka
from softfail.security import InvalidSecurity, Security

if TYPE_CHECKING:
    import faust


def clients(kafka: Kafka) -> dict[str, Any]:
    """Return the settings of an aiokafka client: ``bootstrap_servers`` and those of ``kafka.security``.

    Raises:
        Misconfigured: a certificate file cannot be used.
    """
    return {"bootstrap_servers": kafka.brokers, **_settings(kafka.security)}


def blocking_clients(kafka: Kafka) -> dict[str, Any]:
    """Return the settings of a kafka-python client.

    Raises:
        Misconfigured: a certificate file cannot be used.
    """
    return {"bootstrap_servers": kafka.brokers.split(","), **_settings(kafka.security)}


def command_clients(kafka: Kafka) -> dict[str, Any]:
    """Return the settings of a kafka-python client of a command: as ``blocking_clients``, with 15 s to
    connect, and no topic is created by asking for it.

    Raises:
        Misconfigured: a certificate file cannot be used.
    """
    return {**blocking_clients(kafka), "bootstrap_timeout_ms": 15_000, "allow_auto_create_topics": False}


def credentials(kafka: Kafka) -> faust.SSLCredentials | faust.SASLCredentials | None:
    """Return the credentials of Faust, which passes them to its aiokafka clients; None: plain text.

    Raises:
        Misconfigured: a certificate file cannot be used.
    """
    import faust  # takes a second, and commands do without it

    settings = _settings(kafka.security)
    context = settings.get("ssl_context")
    if "sasl_mechanism" in settings:
        return faust.SASLCredentials(
            username=settings["sasl_plain_username"],
            password=settings["sasl_plain_password"],
            mechanism=settings["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


# the authorities of the system take 20 ms to read, and clients are made while the event loop runs
@lru_cache(maxsize=8)
def _settings(security: Security) -> dict[str, Any]:
    try:
        return security.aiokafka()
    except InvalidSecurity as error:
        raise exits.Misconfigured(f"kafka.{error}") from None
