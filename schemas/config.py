"""The configuration: one YAML file, read once and checked whole. Every key has a default; an empty file is a good one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from softfail.security import Security

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
METRIC = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_\-]+)*")


def duration_s(value: Any) -> float:
    """Seconds of a duration as people write it.

    Raises:
        ValueError: neither a number of seconds nor like `90s`, `5m`, `1h`, `3d`.

    >>> duration_s("5m"), duration_s(2), duration_s("1h")
    (300.0, 2.0, 3600.0)
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return round(float(match[1]) * _UNIT_S[match[2]], 6)
    raise ValueError("not a duration; write a number of seconds, or like 90s, 5m, 1h, 3d")


Duration = Annotated[float, BeforeValidator(duration_s, json_schema_input_type=str | float)]
Severity = Literal["critical", "error", "warning", "info"]


class Part(BaseModel):
    """A part of the configuration: unknown keys are errors, for a misspelt rule would never fire."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Time(Part):
    """How event time is cut."""

    pane: Duration = Field(60.0, description="Length of the smallest bucket")
    lateness: Duration = Field(30.0, ge=0, le=3600, description="How long a pane waits for late events")

    @model_validator(mode="after")
    def _pane_divides_an_hour(self) -> Time:
        if not (1 <= self.pane <= 3600) or self.pane != int(self.pane) or 3600 % int(self.pane):
            raise ValueError(f"time.pane: {self.pane:g} s must be a whole number of seconds that divides an hour (1s, 2s, 5s, 10s, 30s, 60s, ...)")
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

    brokers: str = Field("localhost:9092", pattern=r"^[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*$", description="host:port,host:port")
    security: Security = Field(Security(), description="TLS and login; a Kafka without either by default")
    prefix: str = Field("softfail", pattern=r"^[a-zA-Z0-9._\-]{1,100}$")
    start: Literal["earliest", "latest"] = Field("earliest", description="Where a partition without state begins")
    partitions: int = Field(16, ge=1, le=1000, description="Partitions of the events topic, fixed when topics are created")
    replication: int | None = Field(None, ge=1, le=9, description="Copies of each topic; by default 3, or as many as there are brokers")
    checkpoint: Duration = Field(5.0, gt=0, le=60, description="Longest time between checkpoints")
    session_timeout: Duration = Field(6.0, ge=1, le=300, description="After this silence a worker's partitions go to others")
    embedded: bool = Field(False, description="The demo's embedded broker: no topic settings to check, one worker")

    @model_validator(mode="after")
    def _embedded_has_no_security(self) -> Kafka:
        if self.embedded and self.security.resolved != "PLAINTEXT":
            raise ValueError("security: the embedded broker knows none; remove kafka.security, or kafka.embedded")
        return self


class Http(Part):
    """Where /metrics, /healthz, /readyz and the status page are served."""

    host: str = "127.0.0.1"
    port: int = Field(6066, ge=0, le=65_535)
    token: SecretStr | None = Field(None, description="Asked of whoever reads, but for probes; needed unless host is loopback: ${SOFTFAIL_HTTP_TOKEN}")

    @model_validator(mode="after")
    def _others_need_a_token(self) -> Http:
        if self.token is not None and not re.fullmatch(r"[!-~]{16,500}", self.token.get_secret_value()):
            raise ValueError("token: must be 16 to 500 letters, digits and signs without spaces; make one with: openssl rand -hex 32")
        if self.token is None and not self.is_loopback:
            raise ValueError(f'token: is missing, and others can reach {self.host}; write token: "${{SOFTFAIL_HTTP_TOKEN}}" and set that variable '
                             "(openssl rand -hex 32), or host: 127.0.0.1")
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
    interaction: Literal["sync", "progressive", "async"] | None = Field(None, description="Who waits, and so which latency budget holds")
    dimensions: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field((), max_length=8, description="Extra segment labels")
    evaluators: tuple[str | dict[str, dict[str, Any]], ...] | None = Field(None, description="Names, or name: {parameters}; all defaults if absent")
    gating: dict[str, bool] = Field({}, description="Evaluator -> whether its failures count against the pass rate")


class Rule(Part):
    """A condition on a window."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")
    on: str = Field(description="The metric: pass_rate, error_rate, evaluator.NAME.fail_rate, duration_s.p90, output_tokens.mean, ...")
    above: float | Literal["budget"] | None = None
    below: float | None = None
    clear: float | None = Field(None, description="Threshold to come back from; by default the one that fired")
    level: Literal["feature", "segment", "both"] = "both"
    match: str = Field("*", description="service/feature, with * and ?")
    environments: tuple[str, ...] | None = Field(None, description="By default all of them; only `production` pages")
    window: Duration = Field(300.0, description="The least window")
    for_: Duration = Field(0.0, alias="for", ge=0, le=86_400, description="How long it must last before it fires")
    keep_firing_for: Duration = Field(120.0, ge=0, le=86_400, description="How long it must be well before it resolves")
    min_events: int = Field(50, ge=1, le=10**9, description="Effective events that a window needs")
    confidence: float | None = Field(None, gt=0.5, lt=1, description="One-sided confidence of the interval; by default as the false-page budget says")
    severity: Severity = "error"
    page_newborn: bool = Field(True, description="Whether a feature that never was well may page; if not it is a warning")

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, value: Any) -> Any:
        if isinstance(value, dict) and True in value:  # YAML 1.1: the key `on` is a boolean
            value = {("on" if key is True else key): item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _has_one_threshold(self) -> Rule:
        if not METRIC.fullmatch(self.on):
            raise ValueError(f"on: {self.on!r} is not a metric's name; like pass_rate, duration_s.p90, evaluator.refusal.fail_rate")
        if (self.above is None) == (self.below is None):
            raise ValueError("write exactly one of above and below")
        if self.above == "budget" and not self.on.startswith(("duration_s.", "time_to_first_token_s.")):
            raise ValueError("above: budget goes with duration_s.* and time_to_first_token_s.* only")
        threshold = self.above if self.above is not None else self.below
        if self.is_rate and isinstance(threshold, float) and not 0 <= threshold <= 1:
            raise ValueError(f"a rate lies between 0 and 1, the threshold is {threshold:g}; write 2 % as 0.02")
        if self.clear is not None and isinstance(threshold, float):
            wrong = self.clear > threshold if self.above is not None else self.clear < threshold
            if wrong:
                raise ValueError(f"clear: {self.clear:g} lies on the bad side of the threshold {threshold:g}, so it would never stay resolved")
        if not 1 <= self.window <= 90 * 86_400:
            raise ValueError(f"window: {self.window:g} s must lie between 1 s and 90 d")
        return self

    @property
    def is_rate(self) -> bool:
        """Whether the metric is a share of events, 0 to 1."""
        return self.on.endswith("_rate")


class PagerDuty(Part):
    """PagerDuty, Events API v2."""

    routing_key: SecretStr = Field(description="32 characters, from the environment: ${PAGERDUTY_ROUTING_KEY}")
    url: str = Field("https://events.pagerduty.com/v2/enqueue", pattern=r"^https?://\S+$", description="EU: https://events.eu.pagerduty.com/v2/enqueue")
    timeout: Duration = Field(10.0, gt=0, le=120)

    @model_validator(mode="after")
    def _key_is_whole(self) -> PagerDuty:
        if not re.fullmatch(r"[A-Za-z0-9]{32}", self.routing_key.get_secret_value()):
            raise ValueError("routing_key: must be 32 letters and digits, the integration key of an Events API v2 integration")
        return self


class Console(Part):
    """Episodes as lines on the worker's standard output."""


class Channels(Part):
    """Where episodes go."""

    pagerduty: PagerDuty | None = None
    console: Console | None = None

    def names(self) -> tuple[str, ...]:
        """The channels that are configured."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


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


_DEFAULT = {"window": "5m", "for": "1m", "severity": "critical", "page_newborn": False}
DEFAULT_RULES = (
    Rule.model_validate({"name": "error-rate", "on": "error_rate", "above": 0.02, **_DEFAULT}),
    Rule.model_validate({"name": "pass-rate-floor", "on": "pass_rate", "below": 0.5, **_DEFAULT}),
)
"""What an empty file gives, beside `no-data`. A rule of the same name replaces one; `default_rules: false` drops them all."""


class NoData(Part):
    """The rule on features that have fallen silent. Its severity, or null for never."""

    window: Duration = Field(300.0, ge=1, le=86_400, description="The least silence that counts")
    min_expected: int = Field(20, ge=1, le=10**6, description="Events that the past leads one to expect in a silence before it counts")
    severity: Severity | None = "critical"


class Health(Part):
    """When softfail's own work is an incident: what it cannot read, what it lost, what lags, falls silent or is not delivered."""

    severity: Severity | None = Field("error", description="The worst that such a finding may be; null: none is ever opened")
    window: Duration = Field(300.0, ge=5, le=3600, description="What shares are taken over, and how long a lag, a silence or a dead channel must last")
    dead_letter_share: float = Field(0.01, gt=0, lt=1, description="Share of records that could not be read which is a warning; ten times that is an error")
    lag: Duration = Field(300.0, ge=1, le=86_400, description="How far the watermark of a partition may lie behind while records wait")


class Config(Part):
    """All of softfail.yaml."""

    time: Time = Time()
    kafka: Kafka = Kafka()
    http: Http = Http()
    features: tuple[Feature, ...] = ()
    rules: tuple[Rule, ...] = ()
    default_rules: bool = True
    no_data: NoData = NoData()
    health: Health = Health()
    channels: Channels = Channels(console=Console())
    routes: tuple[Route, ...] | None = Field(None, description="By default every episode goes to every channel")
    links: Links = Links()
    page_environments: tuple[str, ...] = Field(("production",), description="Environments whose episodes may page; others are tickets")
    page_old_events: bool = Field(False, description="Whether what happened over 24 h ago may page (a back-fill)")

    @model_validator(mode="after")
    def _is_one_whole(self) -> Config:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rules: the name {name!r} stands twice; names tell incidents apart")
            if name == "no-data":
                raise ValueError("rules: 'no-data' is configured under no_data")
        known = self.channels.names()
        for at, route in enumerate(self.routes or ()):
            for channel in route.to:
                if channel not in known:
                    raise ValueError(f"routes[{at}].to: channel {channel!r} is not configured under channels ({', '.join(known) or 'none is'})")
        for rule in self.rules:
            if rule.window % self.time.pane:
                raise ValueError(f"rules: window {rule.window:g} s of {rule.name!r} is not a whole number of panes of {self.time.pane:g} s")
        return self

    def feature(self, service: str, feature: str) -> Feature:
        """The settings of a feature: the first match, else the defaults."""
        name = f"{service}/{feature}"
        return next((one for one in self.features if fnmatchcase(name, one.match)), _ANY_FEATURE)

    def all_rules(self) -> tuple[Rule, ...]:
        """The rules that hold: those written, and the defaults that none of them replaces."""
        written = {rule.name for rule in self.rules}
        defaults = DEFAULT_RULES if self.default_rules else ()
        return (*(rule for rule in defaults if rule.name not in written), *self.rules)

    def channels_for(self, service: str, feature: str, environment: str, severity: str) -> tuple[str, ...]:
        """Names of the channels that an episode of this severity goes to."""
        if self.routes is None:
            return self.channels.names()
        for route in self.routes:
            if severity in route.severity and fnmatchcase(environment, route.environment) and fnmatchcase(f"{service}/{feature}", route.match):
                return route.to
        return ()


_ANY_FEATURE = Feature()

NOT_YET: Mapping[str, str] = {
    "objectives": "burn rates come in a later release; write a rule with `below:` meanwhile",
    "drift": "drift comes in a later release; write rules on means and quantiles meanwhile",
    "silences": "silences come in a later release",
}
"""Sections of the design that this release does not run; to accept them would be to promise pages that never come."""
