"""The record of a window: what was counted in one closed pane of a segment or feature."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.record_fields import Labels, Written
from softfail.event_time import Time


class Histogram(Written):
    """Exponential histogram of the OpenTelemetry data model.

    Bucket i of ``counts`` holds what lies in (base**(offset + i), base**(offset + i + 1)], base =
    2**(2**-scale), in units of the metric's ``unit``.
    """

    scale: int
    offset: int
    counts: list[float] = Field(
        description="Weighted counts, whole numbers when every sample_probability is 1"
    )
    zero: float = Field(0, description="Weighted count of zeros")
    negative: Histogram | None = None


class Corrected(Written):
    """The true failure rate where a calibrated judge counts failures, with an interval that contains the errors
    of the judge. To correct a longer window, merge ``classes`` and use ``labels`` and ``judged`` of the newest.
    """

    value: float | None
    low: float | None
    high: float | None
    labels: tuple[int, int, int, int] = Field(
        description="Answers failed by judge and people, by the judge alone, by people alone, by neither"
    )
    judged: tuple[float, float] = Field(
        description="Effective number of its verdicts since it last changed, and of those *failed*"
    )


class Metric(Written):
    """One metric of a window: a value, and what merges; at feature level also a 95 % interval.

    ``monitor.windows.record.complete_metrics`` works out the intervals and quantiles of a segment.
    """

    value: float | None = Field(None, description="None when nothing was counted, and for categories")
    n: float = Field(description="Effective number of events behind the value")
    low: float | None = Field(None, description="Feature level only")
    high: float | None = Field(None, description="Feature level only")
    counts: dict[str, float] | None = Field(
        None,
        description=(
            "Categories: weighted count of each; what says nothing (no error, no fallback) is left out"
        ),
    )
    classes: list[tuple[float, int, int]] | None = Field(
        None, description="Rates: [probability, n, failures]; of pass_rate the failures are the not passed"
    )
    known_weights: tuple[float, float] | None = Field(
        None,
        description=(
            "Rates whose series had heavier weights (1/p) before, on which the interval depends: the heaviest"
            " of any event and of a failure"
        ),
    )
    sum: float | None = Field(None, description="Numbers (on `.mean`): weighted sum, in units of `unit`")
    unit: float | None = Field(
        None, description="Numbers: the size of one unit, 1e-6 for seconds (so sums are whole microseconds)"
    )
    histogram: Histogram | None = None
    corrected: Corrected | None = Field(
        None, description="Failure rates by a calibrated judge, at feature level; absent for others"
    )


class Window(Labels):
    """One closed pane of a segment or feature. A record of the same key with a higher ``revision`` replaces
    it.
    """

    record: Literal["window"]
    schema_version: Literal[1, 2] = Field(
        1,
        description=(
            "1, or absent: intervals and quantiles (`.p50`, `.p90`, `.p95`, `.p99`) at both levels; 2: at"
            " feature level only"
        ),
    )
    start: Time
    end: Time
    revision: int = Field(ge=1, description="Rises with late data")
    events: int
    metrics: dict[str, Metric]
