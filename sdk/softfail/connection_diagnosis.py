"""Find out why a connection to Kafka failed. kafka-python reports a timeout whether the broker is down or
rejects us.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence

from kafka.errors import ClusterAuthorizationFailedError, TopicAuthorizationFailedError

from softfail.security import Security

TIMEOUT_S = 3.0


def diagnose_connection(servers: str | Sequence[str], security: Security | None) -> str | None:
    """Return why the first reachable broker may reject ``security``.

    Blocks for up to 6 s a server. Sends nothing but a TLS handshake.

    Args:
        servers: ``host:port``, several with commas or as a list.
        security: the settings in use; None: a connection without TLS and login.

    Returns:
        An error that names the setting to change. None if no broker can be reached or no reason was found.
    """
    security = security or Security()
    for server in servers.split(",") if isinstance(servers, str) else servers:
        host, _, port = server.strip().rpartition(":")
        if not port.isdigit() or not _is_reachable(host, int(port)):
            continue
        if not security.has_tls:
            error = _handshake(host, int(port), _unverified_context())
            # an error about a certificate: the broker uses TLS and asks for a client certificate
            if error is None or "CERTIFICATE" in (getattr(error, "reason", None) or ""):
                remedy = "SASL_SSL" if security.username else "SSL, or SASL_SSL with username and password"
                return (
                    f"security.protocol: {server} expects TLS, and the protocol is {security.resolved};"
                    f" use {remedy}"
                )
        elif (error := _handshake(host, int(port), security.kafka_python()["ssl_context"])) is not None:
            return _explain_tls_error(error, server, security)
        if security.username is not None:
            return (
                f"security.username, password: {server} can be reached, so it may reject the login of"
                f" {security.username!r}; check both, and security.mechanism ({security.mechanism}); see the"
                " log of `kafka`"
            )
        return None
    return None


def describe_denial(error: BaseException, topic: str) -> str | None:
    """Return which right the broker denies, with the remedy; None if an error has another reason.

    >>> from kafka.errors import TopicAuthorizationFailedError
    >>> describe_denial(TopicAuthorizationFailedError(), "softfail.events")
    'the broker does not let this user write to topic softfail.events (operation Write); add the right (docs/security.md)'
    """
    if isinstance(error, TopicAuthorizationFailedError):
        denied = f"write to topic {topic} (operation Write)"
    elif isinstance(error, ClusterAuthorizationFailedError):
        denied = "write with idempotence (operation IdempotentWrite on the cluster)"
    else:
        return None
    return f"the broker does not let this user {denied}; add the right (docs/security.md)"


def _explain_tls_error(error: Exception, server: str, security: Security) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return (
                f"bootstrap_servers: the certificate of {server} is for another name"
                f" ({error.verify_message}); use the name in the certificate"
            )
        authorities = security.ca_file or "the system's list of authorities"
        return (
            f"security.ca_file: no authority in {authorities} signed the certificate of {server}"
            f" ({error.verify_message}); set the CA that signed it"
        )
    if isinstance(error, ssl.SSLError) and "CERTIFICATE" in (error.reason or ""):
        return (
            f"security.cert_file: {server} requires a client certificate signed by its CA"
            f" ({(error.reason or '').replace('_', ' ').lower()})"
        )
    if _handshake(*_split(server), _unverified_context()) is not None:
        return (
            f"security.protocol: {server} does not answer with TLS, and the protocol is {security.resolved};"
            " is it the right port?"
        )
    return None


def _split(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    return host, int(port)


def _is_reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _unverified_context() -> ssl.SSLContext:
    """Return a context that only tests whether the server uses TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _handshake(host: str, port: int, context: ssl.SSLContext) -> Exception | None:
    """Return the error of a TLS handshake; None if it succeeds."""
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_S) as plain_socket,
            context.wrap_socket(plain_socket, server_hostname=host) as tls_socket,
        ):
            tls_socket.settimeout(0.3)
            # in TLS 1.3 the server rejects a client certificate only after the handshake
            with contextlib.suppress(TimeoutError):
                tls_socket.recv(1)
    except OSError as error:
        return error
    return None
