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
    """Panes and lateness: how event time is divided."""

    pane: Duration = Field(60.0, description="Length of a pane, the smallest window; divides an hour")
    lateness: Duration = Field(
        30.0, ge=0, le=3600, description="How long a pane waits for late events before it closes"
    )

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


class Http(Part):
    """HTTP server of a worker: /metrics, /healthz, /readyz and the status page."""

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(6066, ge=0, le=65_535, description="Port to listen on; 0: any free port")
    token: SecretStr | None = Field(
        None,
        description=(
            "Token that every request but probes must carry; required unless `host` is a loopback address:"
            " ${SOFTFAIL_HTTP_TOKEN}"
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
    """Settings of the features that match. The order matters: the first entry that matches a feature is the
    only one that applies to it, so put the specific ones first.
    """

    match: str = Field("*", description="`service/feature`, with * and ?")
    interaction: Literal["sync", "progressive", "async"] | None = Field(
        None,
        description=(
            "Who waits for the answer; decides the latency budget: `sync` 1 s, `progressive` 0.5 s to the "
            "first"
            " token and 5 s in all, `async` 20 s"
        ),
    )
    dimensions: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (), max_length=8, description="Dimensions of the events that become labels of segments"
    )
    evaluators: tuple[str | dict[str, dict[str, Any]], ...] | None = Field(
        None, description="Names, or `name: {parameters}`; by default all evaluators that need no parameters"
    )
    gating: dict[str, bool] = Field(
        {},
        description="Evaluator -> whether its failures make a response fail, where that differs from its "
        "default",
    )


class Route(Part):
    """A route from episodes to channels. The first route that matches an episode is the only one it takes."""

    severity: tuple[Severity, ...] = Field(
        ("critical", "error", "warning", "info"), description="Severities of the episodes"
    )
    environment: str = Field("*", description="Environment of the episodes, with * and ?")
    match: str = Field("*", description="`service/feature` of the episodes, with * and ?")
    to: tuple[str, ...] = Field(description="Names of channels")


class Links(Part):
    """Links in a page. `{service}`, `{feature}`, `{environment}`, `{from_ms}` and `{to_ms}` are replaced."""

    dashboard: str | None = Field(None, description="Dashboard of the feature")
    runbook: str | None = Field(None, description="Runbook of the feature")
    status: str | None = Field(None, description="Status page of softfail")


class Health(Part):
    """Self-health: when softfail opens an episode about itself (dead letters, loss, lag, silence, channels)."""

    severity: Severity | None = Field(
        "error", description="Highest severity of such a finding; null: never open one"
    )
    window: Duration = Field(
        300.0,
        ge=5,
        le=3600,
        description="Window of shares, and how long a lag, a silence or a failing channel must last",
    )
    dead_letter_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of dead letters from which there is a warning; an error from ten times that",
    )
    lag: Duration = Field(
        300.0,
        ge=1,
        le=86_400,
        description="How far the watermark of a partition may be behind while records wait",
    )
    recovery: Duration = Field(
        60.0,
        ge=1,
        le=3600,
        description="How long a worker may take to restore the state of a partition",
    )
    dead_mans_url: SecretStr | None = Field(
        None,
        description="Dead man's switch: URL fetched while softfail is healthy: ${SOFTFAIL_DEAD_MANS_URL}",
    )
    dead_mans_interval: Duration = Field(
        60.0, ge=1, le=3600, description="Time between two fetches of that URL"
    )

    @model_validator(mode="after")
    def _dead_mans_url_is_whole(self) -> Health:
        if self.dead_mans_url is not None:
            url = self.dead_mans_url.get_secret_value()
            if fault := address_fault(url):
                raise ValueError(f"dead_mans_url: {fault}")
            if is_open(url):
                raise ValueError("dead_mans_url: is a secret and would be sent unencrypted; write https://")
        return self


class Config(Part):
    """The whole of softfail.yaml. Everything has a default; an empty file monitors every feature."""

    time: Time = Field(Time(), description="Panes and lateness")
    kafka: Kafka = Field(Kafka(), description="Connection to Kafka")
    http: Http = Field(Http(), description="HTTP server of a worker")
    features: tuple[Feature, ...] = Field((), description="Settings of features; the first match wins")
    rules: tuple[Rule, ...] = Field((), description="Rules on metrics, beside the default rules")
    drift: tuple[Drift, ...] = Field((), description="Rules on distributions; if absent, the default one")
    pinned: dict[Annotated[str, Field(pattern=f"^{PIN_NAME.pattern}$")], Pinned] = Field(
        {}, description="Name -> pinned reference for drift"
    )
    objectives: tuple[Objective, ...] = Field(
        (), description="Service level objectives, alerted by burn rates"
    )
    default_rules: bool = Field(True, description="Whether the default rules apply")
    no_data: NoData = Field(NoData(), description="The rule on features that send nothing")
    health: Health = Field(Health(), description="Self-health")
    channels: Channels = Field(
        Channels(console=Console()),
        description="Channels that episodes are delivered to; by default the console",
    )
    routes: tuple[Route, ...] | None = Field(
        None, description="Routes of episodes to channels; by default every episode goes to every channel"
    )
    silences: tuple[PlannedSilence, ...] = Field(
        (), max_length=1000, description="Planned silences: deliveries to mute for a time"
    )
    links: Links = Field(Links(), description="Links in a page")
    page_environments: tuple[str, ...] = Field(
        ("production",), description="Environments whose episodes may page; those of others are tickets"
    )
    page_old_events: bool = Field(
        False, description="Whether events that arrive over 24 h late may page (a back-fill)"
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
