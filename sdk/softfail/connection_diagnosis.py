"""Why nobody answers: kafka-python only says that its time ran out, whether the broker is away or refuses us."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence

from softfail.security import Security

TIMEOUT_S = 3.0


def refusal(servers: str | Sequence[str], security: Security | None) -> str | None:
    """What the first broker that can be reached has against ``security``; None if none can be reached, or it
    has nothing.

    Blocks for up to 6 s a server; sends nothing but a TLS handshake.
    """
    security = security or Security()
    for server in servers.split(",") if isinstance(servers, str) else servers:
        host, _, port = server.strip().rpartition(":")
        if not port.isdigit() or not _is_there(host, int(port)):
            continue
        if not security.has_tls:
            error = _handshake(host, int(port), _trusting())
            # it wants one of us too
            if error is None or "CERTIFICATE" in (getattr(error, "reason", None) or ""):
                remedy = "SASL_SSL" if security.username else "SSL, or SASL_SSL with username and password"
                return f"security.protocol: {server} speaks TLS, and we {security.resolved}; use {remedy}"
        elif (error := _handshake(host, int(port), security.kafka_python()["ssl_context"])) is not None:
            return _named(error, server, security)
        if security.username is not None:
            return (
                f"security.username, password: {server} can be reached, so it may not let"
                f" {security.username!r} in; check both, and security.mechanism ({security.mechanism}); the"
                " log of `kafka` says more"
            )
        return None
    return None


def _named(error: Exception, server: str, security: Security) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return (
                f"bootstrap_servers: the certificate of {server} is for another name"
                f" ({error.verify_message}); write the name that stands in it"
            )
        by = security.ca_file or "the system's list of authorities"
        return (
            f"security.ca_file: {by} does not vouch for the certificate of {server} ({error.verify_message});"
            " give the CA that signed it"
        )
    if isinstance(error, ssl.SSLError) and "CERTIFICATE" in (error.reason or ""):
        return (
            f"security.cert_file: {server} wants a certificate that its CA signed"
            f" ({(error.reason or '').replace('_', ' ').lower()})"
        )
    if _handshake(*_split(server), _trusting()) is not None:
        return f"security.protocol: {server} speaks no TLS, and we {security.resolved}; is it the right port?"
    return None


def _split(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    return host, int(port)


def _is_there(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _trusting() -> ssl.SSLContext:
    """For asking only whether TLS is spoken at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _handshake(host: str, port: int, context: ssl.SSLContext) -> Exception | None:
    """The error of a TLS handshake; None if it succeeds."""
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as link,
        ):
            link.settimeout(0.3)
            # in TLS 1.3 a refused certificate of ours is told after the handshake
            with contextlib.suppress(TimeoutError):
                link.recv(1)
    except OSError as error:
        return error
    return None
