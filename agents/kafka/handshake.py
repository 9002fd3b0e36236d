"""Connect to a broker once and explain a refusal: the clients retry for ever and log what OpenSSL says."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from agents.kafka.connection import clients
from schemas.config.connections import Kafka

TIMEOUT_S = 5.0  # for a handshake; a slower broker is unhealthy, which is no refusal


class Refusal(Exception):
    """A broker refuses this client. The message names the key and the remedy, and holds no secret."""


async def shake_hands(kafka: Kafka, broker: str) -> None:
    """Connect to one broker (`host:port`) as every client does: TLS, login, one request.

    Raises:
        Refusal: it refuses the settings of ``kafka.security``; a retry cannot help.
        OSError, TimeoutError, KafkaError: it does not answer, or not now; a retry may help.
        Misconfigured: a certificate file cannot be used.
    """
    settings = clients(kafka)
    del settings["bootstrap_servers"]
    host, port = broker.rsplit(":", 1)
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            connection = await create_conn(
                host, int(port), request_timeout_ms=int(TIMEOUT_S * 1000), client_id="softfail", **settings
            )
            try:
                await connection.send(MetadataRequest([]))
            finally:
                await connection.close()
    except (OSError, TimeoutError, KafkaError) as error:
        if (why := _refusal_of(error, kafka, broker)) is None and not isinstance(
            error, ConnectionRefusedError
        ):
            why = await _protocol_mismatch(kafka, broker, host, int(port))
        if why is not None:
            raise Refusal(why) from None
        raise


def _refusal_of(error: BaseException, kafka: Kafka, broker: str) -> str | None:
    """Return the refusal that an error means; None if it can have other causes."""
    security, cause = kafka.security, error.__cause__ or error
    if isinstance(error, SaslAuthenticationFailed):
        return (
            f"kafka.security.username, password: {broker} does not let {security.username!r} in"
            f" ({security.mechanism}); check both, and kafka.security.mechanism: the brokers keep a password"
            " for each"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        others = [name for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") if name != security.mechanism]
        return (
            f"kafka.security.mechanism: {broker} does not know {security.mechanism}; use"
            f" {' or '.join(others)}, as its administrator says"
        )
    if isinstance(error, IllegalSaslStateError):
        return (
            f"kafka.security.username: {broker} has no login on this port; remove username and password, or"
            " is it the right port?"
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return (
                f"kafka.brokers: the certificate of {broker} is for another name ({cause.verify_message});"
                " write the name that stands in it"
            )
        by = security.ca_file or "the system's authorities"
        return (
            f"kafka.security.ca_file: the certificate of {broker} is not one that {by} vouches for"
            f" ({cause.verify_message}); give the file of the CA that signed it"
        )
    # alerts: certificate required, unknown, bad, expired
    if isinstance(cause, ssl.SSLError) and "CERTIFICATE" in (cause.reason or ""):
        return (
            f"kafka.security.cert_file: {broker} does not take"
            f" {'our certificate' if security.cert_file else 'a client without a certificate'}"
            f" ({(cause.reason or '').replace('_', ' ').lower()}); give one that its CA signed, with its"
            " key_file"
        )
    return None


async def _protocol_mismatch(kafka: Kafka, broker: str, host: str, port: int) -> str | None:
    """Find out whether the port uses TLS and the client does not, the other way round, or a login is missing.

    Sends no secret.
    """
    security = kafka.security
    uses_tls = await _uses_tls(host, port)
    if uses_tls and not security.has_tls:
        remedy = "SASL_SSL" if security.username else "SSL, or SASL_SSL with username and password"
        return f"kafka.security.protocol: {broker} uses TLS, and softfail {security.resolved}; use {remedy}"
    if not uses_tls and security.has_tls and await _uses_plain_text(host, port):
        return (
            f"kafka.security.protocol: {broker} uses no TLS, and softfail {security.resolved}; check the port"
        )
    if security.username is None and (uses_tls or await _uses_plain_text(host, port)):
        wanted = "a login or a certificate" if uses_tls and security.cert_file is None else "a login"
        return (
            f"kafka.security.username: {broker} closes the connection at the first request, as a broker"
            f" does that requires {wanted}; set username and password"
        )
    return None


async def _uses_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # only whether it answers in TLS; nothing is sent
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _uses_plain_text(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            # asks for the protocol versions that it supports
            connection = await create_conn(host, port, request_timeout_ms=int(TIMEOUT_S * 1000))
            await connection.close()
    except (OSError, TimeoutError, KafkaError):
        return False
    return True
