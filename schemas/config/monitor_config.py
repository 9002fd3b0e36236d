"""The configuration: one YAML file, read once and checked whole. Every key has a default; an empty file is a
good one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from schemas.config.channels import Channels, Console, address_fault, is_open
from schemas.config.rules import (
    DEFAULT_DRIFT,
    DEFAULT_RULES,
    Burning,
    Drift,
    Named,
    NoData,
    Objective,
    Rule,
    Watched,
)
from schemas.config.silences import PlannedSilence
from schemas.fields import Duration, Part, Severity
from schemas.pin_file import PIN_NAME, Pinned, pinned_name
from softfail.security import Security


class Time(Part):
    """How event time is cut."""

    pane: Duration = Field(60.0, description="Length of the smallest bucket")
    lateness: Duration = Field(30.0, ge=0, le=3600, description="How long a pane waits for late events")

    @model_validator(mode="after")
    def _pane_divides_an_hour(self) -> Time:
        if not (1 <= self.pane <= 3600) or self.pane != int(self.pane) or 3600 % int(self.pane):
            raise ValueError(
                f"time.pane: {self.pane:g} s must be a whole number of seconds that divides an hour (1s, 2s,"
                " 5s, 10s, 30s, 60s, ...)"
            )
        return self

    @property
    def pane_us(self) -> int:
        """Length of a pane, microseconds."""
        return int(self.pane) * 1_000_000

    @property
    def lateness_us(self) -> int:
        """Lateness, microseconds."""
        return round(self.lateness * 1_000_000)


class Kafka(Part):
    """The broker, and the prefix that names topics, group, transactional ids and page keys."""

    brokers: str = Field(
        "localhost:9092",
        pattern=r"^[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*$",
        description="host:port,host:port",
    )
    security: Security = Field(Security(), description="TLS and login; a Kafka without either by default")
    prefix: str = Field("softfail", pattern=r"^[a-zA-Z0-9._\-]{1,100}$")
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a partition without state begins"
    )
    partitions: int = Field(
        16, ge=1, le=1000, description="Partitions of the events topic, fixed when topics are created"
    )
    replication: int | None = Field(
        None, ge=1, le=9, description="Copies of each topic; by default 3, or as many as there are brokers"
    )
    checkpoint: Duration = Field(5.0, gt=0, le=60, description="Longest time between checkpoints")
    session_timeout: Duration = Field(
        6.0, ge=1, le=300, description="After this silence a worker's partitions go to others"
    )
    embedded: bool = Field(
        False, description="The demo's embedded broker: no topic settings to check, one worker"
    )

    @model_validator(mode="after")
    def _embedded_has_no_security(self) -> Kafka:
        if self.embedded and self.security.resolved != "PLAINTEXT":
            raise ValueError(
                "security: the embedded broker knows none; remove kafka.security, or kafka.embedded"
            )
        return self


class Http(Part):
    """Where /metrics, /healthz, /readyz and the status page are served."""

    host: str = "127.0.0.1"
    port: int = Field(6066, ge=0, le=65_535)
    token: SecretStr | None = Field(
        None,
        description=(
            "Asked of whoever reads, but for probes; needed unless host is loopback: ${SOFTFAIL_HTTP_TOKEN}"
        ),
    )

    @model_validator(mode="after")
    def _others_need_a_token(self) -> Http:
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
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Feature(Part):
    """How the features that match are measured; the first match wins."""

    match: str = Field("*", description="service/feature, with * and ?")
    interaction: Literal["sync", "progressive", "async"] | None = Field(
        None, description="Who waits, and so which latency budget holds"
    )
    dimensions: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (), max_length=8, description="Extra segment labels"
    )
    evaluators: tuple[str | dict[str, dict[str, Any]], ...] | None = Field(
        None, description="Names, or name: {parameters}; all defaults if absent"
    )
    gating: dict[str, bool] = Field(
        {}, description="Evaluator -> whether its failures count against the pass rate"
    )


class Route(Part):
    """Which episodes go to which channels. The first match wins."""

    severity: tuple[Severity, ...] = ("critical", "error", "warning", "info")
    environment: str = "*"
    match: str = "*"
    to: tuple[str, ...]


class Links(Part):
    """What a page links to. `{service}`, `{feature}`, `{environment}`, `{from_ms}`, `{to_ms}` are filled in."""

    dashboard: str | None = None
    runbook: str | None = None
    status: str | None = None


class Health(Part):
    """When softfail's own work is an incident: what it cannot read, what it lost, what lags, falls silent or
    is not delivered.
    """

    severity: Severity | None = Field(
        "error", description="The worst that such a finding may be; null: none is ever opened"
    )
    window: Duration = Field(
        300.0,
        ge=5,
        le=3600,
        description="What shares are taken over, and how long a lag, a silence or a dead channel must last",
    )
    dead_letter_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of records that could not be read which is a warning; ten times that is an error",
    )
    lag: Duration = Field(
        300.0,
        ge=1,
        le=86_400,
        description="How far the watermark of a partition may lie behind while records wait",
    )
    recovery: Duration = Field(
        60.0,
        ge=1,
        le=3600,
        description="How long a worker may read the state of a partition that it was given",
    )
    dead_mans_url: SecretStr | None = Field(
        None, description="Fetched while all is well, so that silence is noticed: ${SOFTFAIL_DEAD_MANS_URL}"
    )
    dead_mans_interval: Duration = Field(60.0, ge=1, le=3600, description="Time between two fetches of it")

    @model_validator(mode="after")
    def _dead_mans_url_is_whole(self) -> Health:
        if self.dead_mans_url is not None:
            url = self.dead_mans_url.get_secret_value()
            if fault := address_fault(url):
                raise ValueError(f"dead_mans_url: {fault}")
            if is_open(url):
                raise ValueError(
                    "dead_mans_url: is a secret and would go over the network in the clear; write https://"
                )
        return self


class Config(Part):
    """All of softfail.yaml."""

    time: Time = Time()
    kafka: Kafka = Kafka()
    http: Http = Http()
    features: tuple[Feature, ...] = ()
    rules: tuple[Rule, ...] = ()
    drift: tuple[Drift, ...] = ()
    pinned: dict[Annotated[str, Field(pattern=f"^{PIN_NAME.pattern}$")], Pinned] = Field(
        {}, description="Name -> reference of drift that was pinned"
    )
    objectives: tuple[Objective, ...] = ()
    default_rules: bool = True
    no_data: NoData = NoData()
    health: Health = Health()
    channels: Channels = Channels(console=Console())
    routes: tuple[Route, ...] | None = Field(
        None, description="By default every episode goes to every channel"
    )
    silences: tuple[PlannedSilence, ...] = Field(
        (), max_length=1000, description="What is not delivered for a time; incidents go on"
    )
    links: Links = Links()
    page_environments: tuple[str, ...] = Field(
        ("production",), description="Environments whose episodes may page; others are tickets"
    )
    page_old_events: bool = Field(
        False, description="Whether what happened over 24 h ago may page (a back-fill)"
    )

    @model_validator(mode="after")
    def _is_one_whole(self) -> Config:
        named: tuple[Named, ...] = (*self.rules, *self.drift, *self.objectives)
        names = [one.name for one in named]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"rules, drift, objectives: the name {name!r} stands twice; names tell incidents apart"
                )
            if name == "no-data":
                raise ValueError("rules: 'no-data' is configured under no_data")
        if len(derived := [one.name for one in self.all_burning()]) != len({*derived, *names} - {*names}):
            raise ValueError(
                "objectives: two burn rates would have one name; each objective is named with its windows"
                f" ({', '.join(derived)})"
            )
        known = self.channels.names()
        for at, route in enumerate(self.routes or ()):
            for channel in route.to:
                if channel not in known:
                    raise ValueError(
                        f"routes[{at}].to: channel {channel!r} is not configured under channels"
                        f" ({', '.join(known) or 'none is'})"
                    )
        for at, drift in enumerate(self.drift):
            if (pin := pinned_name(drift.reference)) is not None and pin not in self.pinned:
                raise ValueError(
                    f"drift[{at}].reference: there is no {pin!r} under pinned"
                    f" ({', '.join(self.pinned) or 'nothing is'}); write pinned: {{{pin}: {{file:"
                    f" pinned/{pin}.json}}}}"
                )
        watched: tuple[Watched, ...] = (*self.rules, *self.drift)
        for rule in watched:
            if rule.window % self.time.pane and not (
                isinstance(rule, Drift) and rule.window < self.time.pane
            ):
                raise ValueError(
                    f"rules: window {rule.window:g} s of {rule.name!r} is not a whole number of panes of"
                    f" {self.time.pane:g} s"
                )
        for burning in self.all_burning():
            for name, length in (("long", burning.window), ("short", burning.short)):
                if length % self.time.pane:
                    whole = f"is not a whole number of panes of {self.time.pane:g} s"
                    raise ValueError(
                        f"objectives: the {name} window of {length:g} s of {burning.name!r} {whole}"
                    )
        return self

    def feature(self, service: str, feature: str) -> Feature:
        """The settings of a feature: the first match, else the defaults."""
        name = f"{service}/{feature}"
        return next((feature for feature in self.features if fnmatchcase(name, feature.match)), _ANY_FEATURE)

    def all_rules(self) -> tuple[Rule, ...]:
        """The rules that hold: those written, and the defaults that none of them replaces."""
        defaults = DEFAULT_RULES if self.default_rules else ()
        return (*(rule for rule in defaults if rule.name not in self._written), *self.rules)

    def all_drift(self) -> tuple[Drift, ...]:
        """What is watched for drift, in the same way."""
        defaults = DEFAULT_DRIFT if self.default_rules else ()
        return (*(drift for drift in defaults if drift.name not in self._written), *self.drift)

    def all_burning(self) -> tuple[Burning, ...]:
        """Each burn rate of each objective, named after both: `good-answers-1h`."""
        return tuple(
            Burning.model_validate(
                {
                    "name": f"{objective.name}-{_shown(burn.long)}",
                    "on": objective.on,
                    "target": objective.target,
                    "window": burn.long,
                    "short": burn.short,
                    "factor": burn.factor,
                    "severity": burn.severity,
                    "min_events": objective.min_events,
                    "match": objective.match,
                    "environments": objective.environments,
                    "level": objective.level,
                    "keep_firing_for": 0.0,
                }
            )
            for objective in self.objectives
            for burn in objective.burns()
        )

    @property
    def _written(self) -> set[str]:
        named: tuple[Named, ...] = (*self.rules, *self.drift, *self.objectives)
        return {one.name for one in named}

    def channels_for(self, service: str, feature: str, environment: str, severity: str) -> tuple[str, ...]:
        """Names of the channels that an episode of this severity goes to."""
        if self.routes is None:
            return self.channels.names()
        for route in self.routes:
            if (
                severity in route.severity
                and fnmatchcase(environment, route.environment)
                and fnmatchcase(f"{service}/{feature}", route.match)
            ):
                return route.to
        return ()


def _shown(seconds: float) -> str:
    return next(
        f"{seconds / size:g}{unit}"
        for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
        if seconds % size == 0 or unit == "s"
    )


_ANY_FEATURE = Feature()

NOT_YET: Mapping[str, str] = {}
"""Sections of the design that this release does not run; to accept them would be to promise pages that never come."""
