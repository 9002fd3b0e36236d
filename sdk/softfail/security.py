"""TLS and login to Kafka: one block of settings for kafka-python and aiokafka."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from softfail.log_redaction import hide_in_logs
from softfail.tls import InvalidSecurity, client_context

__all__ = ["InvalidSecurity", "Protocol", "RejectedSecurity", "Security", "parse_security"]

log = logging.getLogger("softfail")

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Security(BaseModel):
    """TLS and SASL settings. The host names in the brokers' certificates are always verified.

    >>> Security().resolved, Security(ca_file="ca.pem").resolved
    ('PLAINTEXT', 'SSL')
    >>> Security(username="bot", password="x").resolved
    'SASL_SSL'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    protocol: Protocol | None = Field(
        None, description="By default SASL_SSL with a username, SSL with a certificate file, else PLAINTEXT"
    )
    ca_file: str | None = Field(
        None,
        min_length=1,
        description="PEM file of the CA of the brokers' certificates; by default the system's authorities",
    )
    cert_file: str | None = Field(
        None, min_length=1, description="PEM file of the client certificate, if the brokers require one"
    )
    key_file: str | None = Field(
        None, min_length=1, description="PEM file of its private key; by default the key is in cert_file"
    )
    key_password: SecretStr | None = Field(
        None, description="Password of the private key; from the environment: ${KAFKA_KEY_PASSWORD}"
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism of the login"
    )
    username: str | None = Field(None, min_length=1, description="Name of the login")
    password: SecretStr | None = Field(
        None, description="Password of the login; from the environment: ${KAFKA_PASSWORD}"
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Security:
        if error := self._combination_error():
            raise ValueError(error)
        return self

    def _combination_error(self) -> str | None:
        has_password = self.password is not None and self.password.get_secret_value() != ""
        if self.username is not None and not has_password:
            return "password: is missing, and username is set; set both or none"
        if self.username is None and self.password is not None:
            return "username: is missing, and password is set; set both or none"
        if self.username is None and "mechanism" in self.model_fields_set:
            return (
                "username: is missing, and mechanism is set; set username and password, or remove mechanism"
            )
        if self.resolved.startswith("SASL") and self.username is None:
            return f"username: is missing; protocol {self.resolved} needs username and password"
        if not self.resolved.startswith("SASL") and self.username is not None:
            return (
                f"protocol: {self.resolved} has no login, and username is set; use"
                f" {'SASL_SSL' if self.has_tls else 'SASL_SSL, or SASL_PLAINTEXT'}"
            )
        for name in ("ca_file", "cert_file", "key_file", "key_password"):
            if not self.has_tls and getattr(self, name) is not None:
                return (
                    f"protocol: {self.resolved} has no TLS, and {name} is set; use"
                    f" {self.resolved.replace('PLAINTEXT', 'SSL')}, or remove {name}"
                )
        for name in ("key_file", "key_password"):
            if self.cert_file is None and getattr(self, name) is not None:
                return f"cert_file: is missing, and {name} is set; a key needs its certificate"
        return None

    @property
    def resolved(self) -> Protocol:
        """The protocol as set, or as implied by the other settings.

        A login implies TLS, so a password is sent unencrypted only if ``protocol`` says so.
        """
        if self.protocol is not None:
            return self.protocol
        if self.username is not None or self.password is not None:
            return "SASL_SSL"
        return "SSL" if self.ca_file is not None or self.cert_file is not None else "PLAINTEXT"

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.resolved.endswith("SSL")

    def kafka_python(self) -> dict[str, Any]:
        """Return settings for any client of kafka-python. Reads the certificate files.

        Raises:
            InvalidSecurity: a file cannot be used.
        """
        return self._settings()

    def aiokafka(self) -> dict[str, Any]:
        """Return settings for any client of aiokafka. Reads the certificate files.

        Raises:
            InvalidSecurity: a file cannot be used.
        """
        return self._settings()

    def _settings(self) -> dict[str, Any]:
        # Both libraries use the same names (kafka-python 2.2 to 3.0, aiokafka 0.12 to 0.14).
        settings: dict[str, Any] = {"security_protocol": self.resolved}
        if self.has_tls:
            key_password = None if self.key_password is None else self.key_password.get_secret_value()
            settings["ssl_context"] = client_context(
                self.ca_file, self.cert_file, self.key_file, key_password
            )
        if self.username is not None and self.password is not None:
            hide_in_logs(self.password.get_secret_value())
            settings |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
            if not self.has_tls:
                _warn_unencrypted_login()
        return settings


class RejectedSecurity:
    """Replaces a block that was invalid. Connecting with it fails, instead of connecting without security."""

    def __init__(self, error: str) -> None:
        self.error = error

    def kafka_python(self) -> NoReturn:
        """Raise ``InvalidSecurity``."""
        raise InvalidSecurity(self.error)


def parse_security(block: Any, environment: Mapping[str, str] | None = None) -> Security:
    """Parse a ``security`` block from code or a file.

    Args:
        block: a ``Security``, or a mapping with its keys. ``${NAME}`` in a value is replaced by the
            environment variable.
        environment: None: the environment of the process.

    Raises:
        InvalidSecurity: with all errors, one per line.

    >>> block = {"username": "bot", "password": "${KAFKA_PASSWORD}"}
    >>> parse_security(block, {"KAFKA_PASSWORD": "geheim"}).password
    SecretStr('**********')
    >>> parse_security({"user": "bot"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softfail.tls.InvalidSecurity: security.user: no such key; valid keys: protocol, ca_file, ...
    """
    if isinstance(block, Security):
        return block
    if not isinstance(block, Mapping):
        raise InvalidSecurity(
            "security: must be a mapping (key: value) or softfail.security.Security, not a"
            f" {type(block).__name__}"
        )
    environment = os.environ if environment is None else environment
    errors: list[str] = []
    values = {
        str(name): _substitute(f"security.{name}", value, environment, errors)
        for name, value in block.items()
    }
    try:
        security = Security.model_validate(values)
    except ValidationError as error:  # its own text would contain the values
        details = error.errors(include_url=False, include_input=False, include_context=False)
        errors += [_format_error(detail) for detail in details]
    if errors:
        raise InvalidSecurity("\n".join(errors))
    return security


def _substitute(path: str, value: Any, environment: Mapping[str, str], errors: list[str]) -> Any:
    if not isinstance(value, str):
        return value
    errors += [
        f"{path}: the environment has no variable {name}; set it"
        for name in _VARIABLE.findall(value)
        if name not in environment
    ]
    return _VARIABLE.sub(lambda match: environment.get(match[1], "?"), value)


def _format_error(detail: Any) -> str:
    path = ".".join(("security", *map(str, detail["loc"])))
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"no such key; valid keys: {', '.join(Security.model_fields)}"
    return f"{path}: {message}" if detail["loc"] else f"{path}.{message}"


@cache
def _warn_unencrypted_login() -> None:
    log.warning(
        "security.protocol: SASL_PLAINTEXT sends the login unencrypted; anybody on the network can read and"
        " change the traffic; use SASL_SSL"
    )
