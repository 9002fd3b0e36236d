"""Release gates: which two versions of a feature are compared, and how much worse the new one may be."""

from __future__ import annotations

from pydantic import Field, model_validator

from schemas.config.rules import METRIC
from schemas.fields import Duration, Part

ARM_FIELDS = (
    "prompt_version",
    "model",
    "response_model",
    "variant",
    "service_version",
    "provider",
)
"""Fields of an event that can distinguish two versions; any other name is a name in ``dimensions``."""


class GateMetric(Part):
    """A metric of a gate, and by how much it may change for the worse."""

    metric: str = Field(
        description="The metric: pass_rate, error_rate, evaluator.NAME.fail_rate, duration_s.p90, cost_usd.mean, ..."
    )
    margin: float | None = Field(
        None,
        gt=0,
        description="Greatest change for the worse that does not matter, in the unit of the metric: 0.01 is one point"
        " of a rate. By default the larger of 0.01 and a quarter of the stable rate; of a number a tenth",
    )
    margin_share: float | None = Field(
        None, gt=0, le=10, description="The same as a share of the stable value; instead of `margin`"
    )
    worse_by: float = Field(
        0.0, ge=0, description="The change must surely be above this to be *worse*, in the unit of the metric"
    )
    critical: bool = Field(
        True, description="Whether a change for the worse rolls back; otherwise it holds the release"
    )
    higher_is_worse: bool = Field(
        True, description="Of a number; `false` if less of it is worse, like a rating. Rates need none"
    )

    @model_validator(mode="after")
    def _is_usable(self) -> GateMetric:
        if not METRIC.fullmatch(self.metric) or "*" in self.metric:
            raise ValueError(f"metric: {self.metric!r} is no metric; write pass_rate, duration_s.p90, ...")
        if self.margin is not None and self.margin_share is not None:
            raise ValueError("margin, margin_share: both are given; keep one")
        return self


class Gate(Part):
    """A gate of `python -m monitor gate`: it says whether a new version may be promoted.

    Of a gate without `metrics`, the pass rate, the error rate and the failures of every gating evaluator are critical.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$", description="Name, unique")
    feature: str = Field(min_length=3, description="`service/feature`")
    by: str = Field(
        "prompt_version",
        min_length=1,
        description=f"What distinguishes the versions: {', '.join(ARM_FIELDS)}, or a name in `dimensions`",
    )
    stable: str | None = Field(None, description="The stable version; `--a` overrides it")
    canary: str | None = Field(None, description="The new version; `--b` overrides it")
    environment: str = Field("production", description="Environment")
    metrics: tuple[GateMetric, ...] | None = Field(
        None, min_length=1, max_length=50, description="Metrics that decide; absent: see above"
    )
    least_time: Duration = Field(
        1800.0, ge=0, description="Time since both have events, before which nothing is promoted"
    )
    longest_time: Duration = Field(
        72 * 3600.0, ge=60, description="Time after which the gate gives up: *cannot tell*"
    )
    least_events: int = Field(
        500, ge=1, le=10**9, description="Calls of the new version without which nothing is promoted"
    )
    split: float | None = Field(
        None, gt=0, lt=1, description="Share of the calls that the new version should get, if it is constant"
    )
    within: tuple[str, ...] = Field(
        (),
        max_length=5,
        description="Labels whose mix must be the same: versions are compared within each of their values",
    )
    pair: Duration = Field(
        60.0, ge=60, le=86_400, description="Length of the times within which versions are compared"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Gate:
        service, slash, name = self.feature.partition("/")
        if not (service and slash and name) or "*" in self.feature:
            raise ValueError(f"feature: {self.feature!r} names no feature; write service/feature")
        if self.least_time >= self.longest_time:
            raise ValueError(
                f"least_time: {self.least_time:g} s is not below longest_time, {self.longest_time:g} s"
            )
        if self.stable is not None and self.stable == self.canary:
            raise ValueError(f"stable, canary: both are {self.stable!r}; name two versions")
        if self.pair % 60:
            raise ValueError(f"pair: {self.pair:g} s is not a whole number of minutes; write 1m, 5m, 1h")
        names = [metric.metric for metric in self.metrics or ()]
        for metric in names:
            if names.count(metric) > 1:
                raise ValueError(f"metrics: {metric!r} stands twice; keep one")
        return self
