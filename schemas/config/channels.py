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
            "Send new prompt versions and models as change events to /v2/change/enqueue; requires a url that"
            " ends in /v2/enqueue"
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
                "change_events: their address is derived from url, which must end in /v2/enqueue; change "
                "url, or"
                " remove this key"
            )
        return self

    @property
    def changes_url(self) -> str:
        """Address for change events; empty if they are off, or if ``url`` does not end in /v2/enqueue."""
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
            raise ValueError("url: must be the address without /api/v2, like http://alertmanager:9093")
        if (self.username is None) != (self.password is None):
            raise ValueError("username: basic authentication needs both username and password")
        if self.username is not None and (":" in self.username or not self.username.isprintable()):
            raise ValueError(
                "username: must not contain a colon or control characters (basic authentication)"
            )
        if self.token is not None and self.username is not None:
            raise ValueError("token: either a token or username and password, not both")
        if self.token is not None and not re.fullmatch(r"[!-~]{1,4000}", self.token.get_secret_value()):
            raise ValueError("token: must be letters, digits and signs without spaces")
        if (self.token or self.username) and is_open(self.url):
            raise ValueError("url: the credentials would be sent unencrypted; write https://")
        return self


class Slack(Part):
    """Slack, an incoming webhook."""

    webhook_url: SecretStr = Field(
        description="A secret: it allows to post to the channel; from the environment: ${SLACK_WEBHOOK_URL}"
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
            raise ValueError("webhook_url: is a secret and would be sent unencrypted; write https://")
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
                raise ValueError(f"headers: {name[:100]!r} is not a valid header name")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"headers: {name} is set by softfail; remove it")
            if not re.fullmatch(r"[!-~]([ -~]{0,3998}[!-~])?", value.get_secret_value()):
                raise ValueError(
                    f"headers: the value of {name} must be 1 to 4,000 ASCII characters, without spaces at its"
                    " ends and without line breaks"
                )
        if len({name.lower() for name in self.headers}) < len(self.headers):
            raise ValueError("headers: a name appears twice; case does not matter")
        if self.headers and is_open(url):
            raise ValueError("url: the headers may be secrets and would be sent unencrypted; write https://")
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
        """Return the names of the configured channels."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


def address_fault(url: str) -> str:
    """Return what is wrong with an address; empty if it is valid.

    The text quotes no part of the address, which may contain a secret.
    """
    syntax_fault = "must be an address like https://host:port/path"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return syntax_fault
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or not re.fullmatch(r"[!-~]{8,4000}", url)
    ):
        return syntax_fault
    if parts.username is not None or parts.password is not None:
        return "must not contain credentials (user:password@); there are other keys for them"
    return "must not contain #: the part after it is never sent" if "#" in url else ""


def is_open(url: str) -> bool:
    """Return whether requests to this address are unencrypted and leave the machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme != "https" and not (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return True
