"""Connections: Kafka, and the HTTP server of a worker."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from schemas.fields import Duration, Part
from softfail.security import Security


class Kafka(Part):
    """Connection to Kafka, and the prefix of all names in it."""

    brokers: str = Field(
        "localhost:9092",
        pattern=r"^[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*$",
        description="Bootstrap servers: `host:port,host:port`",
    )
    security: Security = Field(Security(), description="TLS and SASL; by default neither")
    prefix: str = Field(
        "softfail",
        pattern=r"^[a-zA-Z0-9._\-]{1,100}$",
        description="Prefix of topics, consumer group, transactional ids and PagerDuty keys; one for each "
        "deployment",
    )
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a partition without state begins to read"
    )
    partitions: int = Field(
        16,
        ge=1,
        le=1000,
        description="Number of partitions of the events topic; fixed when the topics are created",
    )
    replication: int | None = Field(
        None,
        ge=1,
        le=9,
        description="Replication factor of the topics; by default 3, or the number of brokers if that is "
        "less",
    )
    checkpoint: Duration = Field(5.0, gt=0, le=60, description="Longest time between two checkpoints")
    session_timeout: Duration = Field(
        6.0,
        ge=1,
        le=300,
        description="A worker that does not answer for this long loses its partitions to others",
    )
    embedded: bool = Field(
        False, description="Use the embedded broker of the demo: one worker, nothing is kept"
    )

    @model_validator(mode="after")
    def _embedded_has_no_security(self) -> Kafka:
        if self.embedded and self.security.resolved != "PLAINTEXT":
            raise ValueError(
                "security: the embedded broker knows none; remove kafka.security, or kafka.embedded"
            )
        return self


OPEN_TOKEN = "none"
"""Value of `http.token` that turns the token off."""


class Http(Part):
    """HTTP server of a worker: /metrics, /healthz, /readyz and the status page."""

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(6066, ge=0, le=65_535, description="Port to listen on; 0: any free port")
    token: SecretStr | None = Field(
        None,
        description=(
            "Token that every request but probes must carry; required unless `host` is a loopback address:"
            " ${SOFTFAIL_HTTP_TOKEN}. Without it the worker makes one and prints a link with it. `none`: no"
            " token, on loopback"
        ),
    )

    @model_validator(mode="after")
    def _others_need_a_token(self) -> Http:
        if self.is_open:
            if not self.is_loopback:
                raise ValueError(
                    f"token: none lets everybody read who reaches {self.host}; write token:"
                    ' "${SOFTFAIL_HTTP_TOKEN}", or host: 127.0.0.1'
                )
            return self
        if self.token is not None and not re.fullmatch(r"[!-~]{16,500}", self.token.get_secret_value()):
            raise ValueError(
                "token: must be 16 to 500 letters, digits and signs without spaces; make one with: openssl"
                " rand -hex 32"
            )
        if self.token is None and not self.is_loopback:
            raise ValueError(
                f"token: is missing, and others can reach {self.host}; write token:"
                ' "${SOFTFAIL_HTTP_TOKEN}" and set that variable (openssl rand -hex 32), or host:'
                " 127.0.0.1"
            )
        return self

    @property
    def is_open(self) -> bool:
        """Whether nobody on this machine needs a token (`token: none`)."""
        return self.token is not None and self.token.get_secret_value() == OPEN_TOKEN

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
