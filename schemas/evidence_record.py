"""Evidence in records: the measurement of a rule, and its threshold or reference."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from schemas.record_fields import Written
from softfail.event_time import Time

_USUAL_LABEL = "Languages and formats: the most frequent value in the reference; absent for others"
_USUAL_SHARE = "The share of that value in the reference"


class WeightedSample(Written):
    """The sampled events behind a rate, where they have different weights."""

    failed: float = Field(description="Estimated failures in the window")
    calls_per_minute: float = Field(description="Estimated calls a minute")
    low: float = Field(description="95 % interval of the rate")
    high: float


_OPTIONAL = (
    "weighted_sample",
    "usual_label",
    "usual_share",
    "reference_from",
    "reference_until",
    "became_normal",
)


class Measured(Written):
    """A measurement of a rule. Fields of ``_OPTIONAL`` are not written where there is none."""

    @model_serializer(mode="wrap")
    def _without_absent_fields(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        for name in _OPTIONAL:
            if values.get(name) is None:
                values.pop(name, None)
        return values


class Moved(Measured):
    """A statistic that differs from its reference."""

    metric: str = Field(description="The reading that moved most: of a number, a rate, or CATEGORY=VALUE")
    value: float | None
    low: float | None
    high: float | None
    n: float
    reference: float | None = Field(description="The value in the reference")
    reference_n: float
    test: str = Field(description="The test that decided; never_seen: a value that is not in the reference")
    p_value: float | None = Field(
        description="None for the sequential test, which has a run length to a false alarm instead"
    )
    effect: float = Field(
        description="In the test's own measure: standard deviations, distances of 0 to 1, Cohen's h, odds"
    )
    window_s: float
    usual_label: str | None = Field(None, description=_USUAL_LABEL)
    usual_share: float | None = Field(None, description=_USUAL_SHARE)
    began: Time | None = Field(None, description="Baselines: estimated time at which it began to differ")
    weighted_sample: WeightedSample | None = Field(
        None, description="Rates of events with different weights: the sample; absent for others"
    )
    reference_from: Time | None = Field(
        None, description="Start of the reference, or of the learning of a baseline"
    )
    reference_until: Time | None = Field(None, description="End of the reference of a distribution")
    became_normal: Time | None = Field(
        None, description="Since when a former difference counts as normal; absent if none does"
    )


class Evidence(Measured):
    """The value that a rule measured, and what it was compared with."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: float
    above: float | None = None
    below: float | None = None
    window_s: float
    expected: float | None = Field(None, description="no-data: events that the past leads one to expect")
    reference: float | None = Field(None, description="The value in the reference")
    reference_n: float | None = Field(None, description="Effective events in the reference")
    reference_name: str | None = Field(None, description="Name of the reference: baseline, trailing 24h, ...")
    test: str | None = None
    p_value: float | None = None
    effect: float | None = None
    usual_label: str | None = Field(None, description=_USUAL_LABEL)
    usual_share: float | None = Field(None, description=_USUAL_SHARE)
    burn: float | None = Field(None, description="Objectives: times as fast as the budget allows")
    target: float | None = Field(None, description="Objectives: the share that must be good")
    began: Time | None = Field(
        None,
        description=(
            "Baselines: estimated time at which it began to differ, before the edge at which it was found;"
            " no-data: when the silence began"
        ),
    )
    weighted_sample: WeightedSample | None = Field(
        None, description="Rates of events with different weights: the sample; absent for others"
    )
    reference_from: Time | None = Field(
        None, description="Start of the reference, or of the learning of a baseline"
    )
    reference_until: Time | None = Field(None, description="End of the reference of a distribution")
    became_normal: Time | None = Field(
        None, description="Since when a former difference counts as normal; absent if none does"
    )
    findings: list[Moved] = Field(
        [], description="All statistics that moved, at most five; the first is this evidence"
    )
