"""Compare figures of one metric: which is worse, and whether a figure is still wrong."""

from __future__ import annotations

from typing import Protocol

from monitor.stats.share_intervals import wilson_interval
from monitor.windows.metric_definitions import SUCCESS_RATES

Number = int | float
FACTOR = 2.0  # times another figure: a change to report
LEAST_POINTS = 0.1  # of a share, that a change by a factor needs
Z_APART = 2.2
"""Standard errors of intervals that do not overlap: some three of the difference."""
LEAST_CHANGE = 0.05  # of a number, as a share of the greater value, that a person would care about
RECOVERED = 0.25  # of the way from the reference to the worst


class Shown(Protocol):
    """A figure, of this module or of ``schemas.records``."""

    @property
    def metric(self) -> str: ...  # noqa: D102

    @property
    def value(self) -> Number: ...  # noqa: D102


class Compared(Protocol):
    """Evidence, of ``monitor.rules.evidence`` or of ``schemas.evidence_record``."""

    @property
    def metric(self) -> str: ...  # noqa: D102

    @property
    def above(self) -> Number | None: ...  # noqa: D102

    @property
    def below(self) -> Number | None: ...  # noqa: D102

    @property
    def reference(self) -> Number | None: ...  # noqa: D102

    @property
    def value(self) -> Number | None: ...  # noqa: D102


class Measured(Protocol):
    """An incident as an episode shows it, of ``monitor.incidents.records`` or of ``schemas.records``."""

    @property
    def level(self) -> str: ...  # noqa: D102

    @property
    def evidence(self) -> Compared: ...  # noqa: D102

    @property
    def decided(self) -> Shown | None: ...  # noqa: D102

    @property
    def worst(self) -> Shown | None: ...  # noqa: D102

    @property
    def present(self) -> Shown | None: ...  # noqa: D102


def is_share(metric: str) -> bool:
    """Return whether the values of a metric are shares, 0 to 1."""
    return "=" in metric or metric.endswith("_rate")


def failing_share(metric: str, value: float) -> float:
    """Return the share that fails, of a rate that may state the share that does not."""
    return 1 - value if metric in SUCCESS_RATES else value


def is_wrong_now(incident: Measured) -> bool:
    """Return whether a firing incident is wrong by its present figure: beyond its threshold, or further from
    its reference than a quarter of its worst. Without a present figure it is, unless it is of a segment that
    has no traffic any more.
    """
    evidence, present, worst = incident.evidence, incident.present, incident.worst
    if present is None:
        return incident.level == "feature" or incident.decided is None
    return is_wrong(present, evidence, worst)


def is_wrong(figure: Shown, evidence: Compared, worst: Shown | None) -> bool:
    """Return whether a figure is wrong: beyond the threshold of the evidence, or further from its reference
    than a quarter of the worst figure, and of a number by 5 %. One of another metric is.
    """
    if figure.metric != evidence.metric:
        return True
    value, reference = figure.value, evidence.reference
    if evidence.above is not None:
        return value > evidence.above
    if evidence.below is not None:
        return value < evidence.below
    if reference is None:
        return True
    if not is_share(figure.metric) and abs(value - reference) < LEAST_CHANGE * max(
        abs(value), abs(reference)
    ):
        return False
    if worst is None or worst.metric != figure.metric:
        return True
    return abs(value - reference) > RECOVERED * abs(worst.value - reference)


def differ(share: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two shares differ beyond chance: their intervals do not overlap.

    Args:
        share, other: a share and its effective events.

    >>> differ((0.375, 20), (0.75, 20)), differ((0.45, 20), (1.0, 20))
    (False, True)
    """
    (low, high), (other_low, other_high) = (
        wilson_interval(value, max(1.0, n), Z_APART) for value, n in (share, other)
    )
    return high < other_low or other_high < low


def is_worse(metric: str, value: float, other: float, *, falls: bool) -> bool:
    """Return whether a value is worse than another. ``falls``: less of the metric is worse."""
    return value < other if falls or metric in SUCCESS_RATES else value > other


def falls(evidence: Compared) -> bool:
    """Return whether less of the metric is the fault."""
    if evidence.above is not None or evidence.below is not None:
        return evidence.below is not None
    if evidence.value is not None and evidence.reference is not None:
        return evidence.value < evidence.reference
    return evidence.metric in SUCCESS_RATES
