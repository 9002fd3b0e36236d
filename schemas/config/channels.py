"""The sections of the configuration under ``channels``: one a receiver."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from schemas.fields import Duration, Part

_OWN_HEADERS = {
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-softfail-signature",
}


_ENQUEUE = "/v2/enqueue"


class PagerDuty(Part):
    """PagerDuty, Events API v2."""

    routing_key: SecretStr = Field(
        description="32 characters, from the environment: ${PAGERDUTY_ROUTING_KEY}"
    )
    url: str = Field(
        "https://events.pagerduty.com/v2/enqueue",
        pattern=r"^https?://\S+$",
        description="EU: https://events.eu.pagerduty.com/v2/enqueue",
    )
    timeout: Duration = Field(10.0, gt=0, le=120, description="Longest time that a request may take")
    change_events: bool = Field(
        True,
        description=(
            "Tell of new prompt versions and models, too, at /v2/change/enqueue; only where url ends in"
            " /v2/enqueue"
        ),
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not re.fullmatch(r"[A-Za-z0-9]{32}", self.routing_key.get_secret_value()):
            raise ValueError(
                "routing_key: must be 32 letters and digits, the integration key of an Events API v2"
                " integration"
            )
        if self.change_events and "change_events" in self.model_fields_set and not self.changes_url:
            raise ValueError(
                "change_events: their address follows from url, which must end in /v2/enqueue for that; mend"
                " url, or leave this out"
            )
        return self

    @property
    def changes_url(self) -> str:
        """Where change events go; empty when they are not wanted, or ``url`` is not PagerDuty's and so does
        not say where.
        """
        path, mark, query = self.url.partition("?")
        return (
            f"{path.removesuffix(_ENQUEUE)}/v2/change/enqueue{mark}{query}"
            if self.change_events and path.endswith(_ENQUEUE)
            else ""
        )


class Alertmanager(Part):
    """Prometheus Alertmanager, API v2."""

    url: str = Field(description="Address, without /api/v2: http://alertmanager:9093")
    token: SecretStr | None = Field(
        None, description="Bearer token, from the environment: ${ALERTMANAGER_TOKEN}"
    )
    username: str | None = Field(
        None, min_length=1, max_length=500, description="Basic authentication, instead of a token"
    )
    password: SecretStr | None = Field(None, description="From the environment: ${ALERTMANAGER_PASSWORD}")
    timeout: Duration = Field(10.0, gt=0, le=120, description="Longest time that a request may take")
    watchdog: bool = Field(
        False,
        description=(
            "An alert that always fires while all is well: SoftfailWatchdog; it needs a route of its own"
        ),
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if fault := address_fault(self.url):
            raise ValueError(f"url: {fault}")
        if urlsplit(self.url).query or re.search(r"/api/v\d", self.url):
            raise ValueError(
                "url: is the address up to /api/v2, which is added; like http://alertmanager:9093"
            )
        if (self.username is None) != (self.password is None):
            raise ValueError("username: basic authentication needs both username and password")
        if self.username is not None and (":" in self.username or not self.username.isprintable()):
            raise ValueError("username: basic authentication knows no colon and no control characters in it")
        if self.token is not None and self.username is not None:
            raise ValueError("token: either a token or username and password, not both")
        if self.token is not None and not re.fullmatch(r"[!-~]{1,4000}", self.token.get_secret_value()):
            raise ValueError("token: must be letters, digits and signs without spaces")
        if (self.token or self.username) and is_open(self.url):
            raise ValueError("url: the login would go over the network in the clear; write https://")
        return self


class Slack(Part):
    """Slack, an incoming webhook."""

    webhook_url: SecretStr = Field(
        description="Whoever has it can write to the channel; from the environment: ${SLACK_WEBHOOK_URL}"
    )
    timeout: Duration = Field(10.0, gt=0, le=120, description="Longest time that a request may take")

    @model_validator(mode="after")
    def _url_is_whole(self) -> Self:
        url = self.webhook_url.get_secret_value()
        if address_fault(url) or not re.fullmatch(r"https?://[^/]+(/[A-Za-z0-9._~-]+)+", url):
            raise ValueError(
                "webhook_url: must be like https://hooks.slack.com/services/T.../B.../..., as Slack shows it"
            )
        if is_open(url):
            raise ValueError(
                "webhook_url: is a secret and would go over the network in the clear; write https://"
            )
        return self


class Webhook(Part):
    """Any receiver that takes JSON."""

    url: SecretStr = Field(description="http(s) address; never shown, as it may hold a token")
    secret: SecretStr | None = Field(
        None, description="Signs each body (HMAC-SHA256), 16 characters or more: ${SOFTFAIL_WEBHOOK_SECRET}"
    )
    headers: Annotated[dict[str, SecretStr], Field(max_length=16)] = Field(
        {}, description="Sent with each request; never shown, as they may be secrets"
    )
    timeout: Duration = Field(10.0, gt=0, le=120, description="Longest time that a request may take")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        url = self.url.get_secret_value()
        if fault := address_fault(url):
            raise ValueError(f"url: {fault}")
        if self.secret is not None and not re.fullmatch(r"[!-~]{16,500}", self.secret.get_secret_value()):
            raise ValueError(
                "secret: must be 16 to 500 letters, digits and signs without spaces; make one with: openssl"
                " rand -hex 32"
            )
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
                raise ValueError(f"headers: {name[:100]!r} is no name of a header")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"headers: {name} is set by softfail; leave it out")
            if not re.fullmatch(r"[!-~]([ -~]{0,3998}[!-~])?", value.get_secret_value()):
                raise ValueError(
                    f"headers: the value of {name} must be 1 to 4,000 ASCII characters, without spaces at its"
                    " ends and without line breaks"
                )
        if len({name.lower() for name in self.headers}) < len(self.headers):
            raise ValueError("headers: a name stands twice; upper and lower case are one")
        if self.headers and is_open(url):
            raise ValueError(
                "url: the headers may be secrets and would go over the network in the clear; write https://"
            )
        return self


class Console(Part):
    """Episodes as lines on the worker's standard output."""


class Channels(Part):
    """Channels that episodes are delivered to."""

    pagerduty: PagerDuty | None = Field(None, description="PagerDuty")
    alertmanager: Alertmanager | None = Field(None, description="Prometheus Alertmanager")
    slack: Slack | None = Field(None, description="Slack")
    webhook: Webhook | None = Field(None, description="Any receiver of JSON")
    console: Console | None = Field(None, description="Standard output of the worker")

    def names(self) -> tuple[str, ...]:
        """The channels that are configured."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


def address_fault(url: str) -> str:
    """What is wrong with an address; empty if nothing. It quotes nothing of it: an address may hold a secret."""
    wrong = "must be an address like https://host:port/path"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return wrong
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or not re.fullmatch(r"[!-~]{8,4000}", url)
    ):
        return wrong
    if parts.username is not None or parts.password is not None:
        return "must hold no login (user:password@); there are other keys for that"
    return "must have no part after #, for that is never sent" if "#" in url else ""


def is_open(url: str) -> bool:
    """Whether others can read what goes to this address: no TLS, and it leaves the machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme != "https" and not (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return True
