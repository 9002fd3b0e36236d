"""The configuration: one YAML file, which is read once and checked as a whole.

Every key has a default, so an empty file is valid.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from schemas.config.channels import Channels, Console
from schemas.config.connections import Http, Kafka
from schemas.config.consistency import (
    check_gates,
    check_judges,
    check_names,
    check_pins,
    check_routes,
    check_windows,
)
from schemas.config.features import ANY_FEATURE, Feature, Route
from schemas.config.gates import Gate
from schemas.config.judges import Judge
from schemas.config.objectives import Burning, Objective
from schemas.config.rules import DEFAULT_DRIFT, DEFAULT_RULES, Drift, Named, NoData, Rule
from schemas.config.self_health import Health
from schemas.config.silences import PlannedSilence
from schemas.fields import Duration, Part
from schemas.pin_file import PIN_NAME, Pinned

R = TypeVar("R", bound=Named)


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


class Links(Part):
    """Links in a page. `{service}`, `{feature}`, `{environment}`, `{from_ms}` and `{to_ms}` are replaced; in
    `trace` also `{trace_id}`, `{session_id}` and `{event_id}` of a failing answer.
    """

    dashboard: str | None = Field(None, description="Dashboard of the feature")
    runbook: str | None = Field(None, description="Runbook of the feature")
    status: str | None = Field(None, description="Status page of softfail")
    trace: str | None = Field(
        None,
        description="Trace of a failing answer; left out of an answer that lacks an id which it names",
    )


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
    judges: tuple[Judge, ...] = Field(
        (), max_length=50, description="Judges: models that grade a sample of the responses"
    )
    gates: tuple[Gate, ...] = Field(
        (), max_length=200, description="Release gates: which versions are compared, by what"
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
    def _is_consistent(self) -> Config:
        burn_rates = self.all_burning()
        check_names(self._named(), burn_rates)
        check_routes(self.routes or (), self.channels.names())
        check_pins(self.drift, self.pinned)
        check_judges(self.judges, self.rules)
        check_gates(self.gates)
        check_windows(self.time.pane, (*self.rules, *self.drift), burn_rates)
        return self

    def feature(self, service: str, feature: str) -> Feature:
        """Return the settings of a feature: the first match, else the defaults."""
        name = f"{service}/{feature}"
        return next((feature for feature in self.features if fnmatchcase(name, feature.match)), ANY_FEATURE)

    def all_rules(self) -> tuple[Rule, ...]:
        """Return the rules that apply: those written, and the default rules that none of them replaces."""
        return (*self._defaults(DEFAULT_RULES), *self.rules)

    def all_drift(self) -> tuple[Drift, ...]:
        """Return the drift rules that apply, as ``all_rules`` does."""
        return (*self._defaults(DEFAULT_DRIFT), *self.drift)

    def all_burning(self) -> tuple[Burning, ...]:
        """Return each burn rate of each objective, named after both: `good-answers-1h`."""
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

    def _named(self) -> tuple[Named, ...]:
        return (*self.rules, *self.drift, *self.objectives)

    def _defaults(self, rules: tuple[R, ...]) -> tuple[R, ...]:
        """Return the default rules that no written rule of the same name replaces."""
        if not self.default_rules:
            return ()
        written = {rule.name for rule in self._named()}
        return tuple(rule for rule in rules if rule.name not in written)

    def channels_for(self, service: str, feature: str, environment: str, severity: str) -> tuple[str, ...]:
        """Return the names of the channels that an episode of this severity goes to."""
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
