"""How every client of the worker and its commands reaches Kafka: brokers and security, in one place."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agents.process import exits
from schemas.config.monitor_config import Kafka
from softfail.security import InvalidSecurity, Security

if TYPE_CHECKING:
    import faust


def clients(kafka: Kafka) -> dict[str, Any]:
    """Settings that any client of aiokafka is made with: ``bootstrap_servers`` and what ``kafka.security``
    says.

    Raises:
        Misconfigured: a certificate file cannot be used.
    """
    return {"bootstrap_servers": kafka.brokers, **_settings(kafka.security)}


def blocking_clients(kafka: Kafka) -> dict[str, Any]:
    """The same for any client of kafka-python.

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
    """The same for Faust, which hands it to its own aiokafka clients; None: plain text.

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


# the system's authorities take 20 ms to read, and clients are made while the event loop runs
@lru_cache(maxsize=8)
def _settings(security: Security) -> dict[str, Any]:
    try:
        return security.aiokafka()
    except InvalidSecurity as error:
        raise exits.Misconfigured(f"kafka.{error}") from None
