"""How to reach a Kafka that asks for TLS or a login: one block of settings, for kafka-python and aiokafka
alike.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from softfail.log_redaction import hide
from softfail.tls import InvalidSecurity, client_context

__all__ = ["InvalidSecurity", "Protocol", "Security", "Unusable", "security_of"]

log = logging.getLogger("softfail")

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Security(BaseModel):
    """TLS and SASL to Kafka. The names of the brokers' certificates are always checked: nothing here turns
    that off.

    >>> Security().resolved, Security(username="bot", password="x").resolved, Security(ca_file="ca.pem").resolved
    ('PLAINTEXT', 'SASL_SSL', 'SSL')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    protocol: Protocol | None = Field(
        None, description="By default SASL_SSL with a username, SSL with a certificate file, else PLAINTEXT"
    )
    ca_file: str | None = Field(
        None,
        min_length=1,
        description="PEM file of who signed the brokers' certificates; by default the system's authorities",
    )
    cert_file: str | None = Field(
        None, min_length=1, description="PEM file of our own certificate, if the brokers want one"
    )
    key_file: str | None = Field(
        None, min_length=1, description="PEM file of its key; by default the key stands in cert_file"
    )
    key_password: SecretStr | None = Field(
        None, description="What the key is encrypted with; from the environment: ${KAFKA_KEY_PASSWORD}"
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the login is proven"
    )
    username: str | None = Field(None, min_length=1, description="Who logs in")
    password: SecretStr | None = Field(None, description="From the environment: ${KAFKA_PASSWORD}")

    @model_validator(mode="after")
    def _fits_together(self) -> Security:
        if fault := self._fault():
            raise ValueError(fault)
        return self

    def _fault(self) -> str | None:
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
                return f"cert_file: is missing, and {name} is set; a key is of use with its certificate only"
        return None

    @property
    def resolved(self) -> Protocol:
        """The protocol: as written, or as the rest implies. What is secret is never sent in the clear unless
        that is written.
        """
        if self.protocol is not None:
            return self.protocol
        if self.username is not None or self.password is not None:
            return "SASL_SSL"
        return "SSL" if self.ca_file is not None or self.cert_file is not None else "PLAINTEXT"

    @property
    def has_tls(self) -> bool:
        """Whether the link is encrypted."""
        return self.resolved.endswith("SSL")

    def kafka_python(self) -> dict[str, Any]:
        """Settings for any client of kafka-python. Reads the certificate files.

        Raises:
            InvalidSecurity: a file cannot be used.
        """
        return self._settings()

    def aiokafka(self) -> dict[str, Any]:
        """Settings for any client of aiokafka. Reads the certificate files.

        Raises:
            InvalidSecurity: a file cannot be used.
        """
        return self._settings()

    def _settings(self) -> dict[str, Any]:
        # The two libraries have the same names for these (kafka-python 2.2 to 3.0, aiokafka 0.12 to 0.14).
        settings: dict[str, Any] = {"security_protocol": self.resolved}
        if self.has_tls:
            key_password = None if self.key_password is None else self.key_password.get_secret_value()
            settings["ssl_context"] = client_context(
                self.ca_file, self.cert_file, self.key_file, key_password
            )
        if self.username is not None and self.password is not None:
            hide(self.password.get_secret_value())
            settings |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
            if not self.has_tls:
                _warn_of_the_clear()
        return settings


class Unusable:
    """Stands for a block that was refused: whoever connects with it fails, instead of connecting without it."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def kafka_python(self) -> NoReturn:
        """Raise ``InvalidSecurity``."""
        raise InvalidSecurity(self.fault)


def security_of(given: Any, environment: Mapping[str, str] | None = None) -> Security:
    """A block as it stands in code or a file; ``${NAME}`` in it is taken from the environment.

    Raises:
        InvalidSecurity: with every fault, one a line.

    >>> security_of({"username": "bot", "password": "${KAFKA_PASSWORD}"}, {"KAFKA_PASSWORD": "geheim"}).password
    SecretStr('**********')
    >>> security_of({"user": "bot"})  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    softfail.tls.InvalidSecurity: security.user: no such key; there are: protocol, ca_file,
    cert_file, key_file, key_password, mechanism, \
username, password
    """
    if isinstance(given, Security):
        return given
    if not isinstance(given, Mapping):
        raise InvalidSecurity(
            "security: must be a mapping (key: value) or softfail.security.Security, not a"
            f" {type(given).__name__}"
        )
    environment = os.environ if environment is None else environment
    faults: list[str] = []
    filled = {
        str(name): _filled(f"security.{name}", value, environment, faults) for name, value in given.items()
    }
    try:
        security = Security.model_validate(filled)
    except ValidationError as error:  # its text would show what was given
        faults += [
            _said(fault)
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    if faults:
        raise InvalidSecurity("\n".join(faults))
    return security


def _filled(path: str, value: Any, environment: Mapping[str, str], faults: list[str]) -> Any:
    if not isinstance(value, str):
        return value
    faults += [
        f"{path}: the environment has no variable {name}; set it"
        for name in _VARIABLE.findall(value)
        if name not in environment
    ]
    return _VARIABLE.sub(lambda match: environment.get(match[1], "?"), value)


def _said(fault: Any) -> str:
    path = ".".join(("security", *map(str, fault["loc"])))
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = f"no such key; there are: {', '.join(Security.model_fields)}"
    return f"{path}: {message}" if fault["loc"] else f"{path}.{message}"


@cache
def _warn_of_the_clear() -> None:
    log.warning(
        "security.protocol: SASL_PLAINTEXT logs in over a link that anybody on the way can read and change;"
        " use SASL_SSL"
    )
