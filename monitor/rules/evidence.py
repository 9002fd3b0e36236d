"""Evidence: the value that a rule measured, and what it was compared with.

The fields of each class stand in the order in which records carry them. Records on topics and in state are
promises to others, so the order of a released class does not change. A struct has one base class, whose
fields it writes first. So fields that do not come first in several classes are repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Number = int | float
"""Kept as it was written: JSON tells 1 from 1.0."""


class WeightedSample(msgspec.Struct, frozen=True):
    """The sampled events behind a rate, where they have different weights.

    ``failed``: estimated failures in the window. ``calls_per_minute``: estimated calls. ``low`` and ``high``:
    the 95 % interval of the rate, in its own direction.
    """

    failed: float
    calls_per_minute: float
    low: float
    high: float


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric and its value in the metric's own unit; None when nothing was counted.

    Every class below adds ``n`` (effective events), ``low`` and ``high`` (the interval, None where there is
    none) and ``window_s`` (length of the window, seconds). What only some classes have is None or empty in
    the others.
    """

    metric: str
    value: Number | None

    @property
    def weighted_sample(self) -> WeightedSample | None:
        """The sample behind a rate of unequal weights."""
        return None

    @property
    def above(self) -> Number | None:
        """The threshold that the value should not exceed."""
        return None

    @property
    def below(self) -> Number | None:
        """The threshold that the value should not fall below."""
        return None

    @property
    def reference(self) -> Number | None:
        """The value in the reference."""
        return None

    @property
    def test(self) -> str | None:
        """The statistical test that decided."""
        return None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All statistics that moved; the first is this one."""
        return ()


class ThresholdEvidence(Measurement, frozen=True, kw_only=True):
    """A value and its threshold; one of ``above`` and ``below`` is None, both where there is no threshold."""

    n: Number
    low: Number | None
    high: Number | None
    above: Number | None
    below: Number | None
    window_s: Number
    weighted_sample: WeightedSample | None = None


class BurnRateEvidence(ThresholdEvidence, frozen=True, kw_only=True):
    """A rate against an objective. ``burn``: times as fast as the error budget allows; ``target``: the share
    that must be good.
    """

    burn: Number | None
    target: Number


class SilenceEvidence(ThresholdEvidence, frozen=True, kw_only=True):
    """Events of a silent feature. ``expected``: events that the past leads one to expect. ``began``: when its
    silence began, RFC 3339; empty in records of older releases, and when events arrive.
    """

    expected: Number | None
    began: str = ""


class IntervalMeasurement(Measurement, frozen=True, kw_only=True):
    """A metric with the interval of its value before ``n``."""

    low: Number | None
    high: Number | None
    n: Number


class HealthEvidence(IntervalMeasurement, frozen=True, kw_only=True):
    """A finding about softfail itself; ``metric`` is the name of the finding."""

    window_s: Number


class ReferenceMeasurement(IntervalMeasurement, frozen=True, kw_only=True):
    """A metric and its value in the reference. ``reference_n``: effective events in the reference."""

    reference: Number | None
    reference_n: Number


class StatisticFinding(Measurement, frozen=True, kw_only=True):
    """A number, rate or category that differs from its reference.

    ``reference_n``: effective events in the reference. ``effect``: in the test's own measure. ``usual_label``:
    of a language or format, the most frequent value in the reference; ``usual_share``: its share.
    ``reference_from``, ``reference_until``: the time of the reference, RFC 3339. ``became_normal``: since when
    a former difference counts as normal; empty if none does.
    """

    n: Number
    low: Number | None
    high: Number | None
    reference: Number | None
    reference_n: Number
    test: str
    p_value: Number
    effect: Number
    window_s: Number
    usual_label: str | None = None
    usual_share: Number | None = None
    reference_from: str = ""
    reference_until: str = ""
    became_normal: str = ""


class TextFinding(ReferenceMeasurement, frozen=True, kw_only=True):
    """Texts that differ from those of the reference; a text has no value and no interval."""

    test: str
    p_value: Number
    effect: Number
    window_s: Number
    became_normal: str = ""


class RateFinding(ReferenceMeasurement, frozen=True, kw_only=True):
    """A rate that left its learnt baseline.

    ``effect``: the ratio of the odds. ``began``: when it left, RFC 3339; empty in records of the first
    releases. ``reference_from``: since when the baseline is learnt. ``became_normal``: as in
    ``StatisticFinding``.
    """

    effect: Number
    test: str
    p_value: Number | None
    window_s: Number
    began: str = ""
    weighted_sample: WeightedSample | None = None
    reference_from: str = ""
    became_normal: str = ""


Finding = StatisticFinding | TextFinding | RateFinding
"""One statistic that moved."""


class StatisticDriftEvidence(StatisticFinding, frozen=True, kw_only=True):
    """Drift of which a statistic is the strongest finding. ``reference_name``: as the rule names it."""

    above: None
    below: None
    reference_name: str
    findings: tuple[Finding, ...]


class TextDriftEvidence(TextFinding, frozen=True, kw_only=True):
    """Drift of which texts are the strongest finding."""

    above: None
    below: None
    reference_name: str
    findings: tuple[Finding, ...]


class BaselineEvidence(RateFinding, frozen=True, kw_only=True):
    """One or several rates that left their baselines."""

    above: None
    below: None
    reference_name: str
    findings: tuple[Finding, ...]


Evidence = (
    ThresholdEvidence
    | BurnRateEvidence
    | SilenceEvidence
    | HealthEvidence
    | StatisticDriftEvidence
    | TextDriftEvidence
    | BaselineEvidence
)
"""The evidence of an incident."""

# from the fewest fields to the most: the first that has all keys of a record in their order is its class
_MEASURED: tuple[type[Any], ...] = (HealthEvidence, ThresholdEvidence, SilenceEvidence, BurnRateEvidence)
_FINDINGS: tuple[type[Any], ...] = (StatisticFinding, TextFinding, RateFinding)


def evidence_of(finding: Finding, reference_name: str, findings: tuple[Finding, ...]) -> Evidence:
    """Build the evidence of which ``finding`` is the strongest of ``findings``."""
    kind: type[StatisticDriftEvidence | TextDriftEvidence | BaselineEvidence]
    match finding:
        case StatisticFinding():
            kind = StatisticDriftEvidence
        case TextFinding():
            kind = TextDriftEvidence
        case RateFinding():
            kind = BaselineEvidence
    fields = {name: getattr(finding, name) for name in finding.__struct_fields__}
    return kind(**fields, above=None, below=None, reference_name=reference_name, findings=findings)


def no_evidence(metric: str, window_s: float) -> ThresholdEvidence:
    """Build the evidence of a rule that measured nothing."""
    return ThresholdEvidence(
        metric=metric, value=None, n=0.0, low=None, high=None, above=None, below=None, window_s=window_s
    )


def evidence_from(values: Mapping[str, Any]) -> Evidence:
    """Read evidence back from a record of state or of the alerts topic.

    Args:
        values: field -> value, in the order of the record. Fields that a newer release added are ignored.

    Raises:
        ValueError: it is no evidence that softfail writes; names the fields, or the one at fault.

    >>> evidence_from({"metric": "lag", "value": 1, "low": None, "high": None, "n": 0.0, "window_s": 300.0})
    HealthEvidence(metric='lag', value=1, low=None, high=None, n=0.0, window_s=300.0)
    """
    if "findings" not in values:
        evidence: Evidence = _convert(values, _MEASURED)
        return evidence
    findings = tuple(_convert(finding, _FINDINGS) for finding in values["findings"])
    return evidence_of(_convert(values, _FINDINGS), str(values["reference_name"]), findings)


def _convert(values: Mapping[str, Any], kinds: tuple[type[Any], ...]) -> Any:
    known = {name for kind in kinds for name in kind.__struct_fields__}
    keys = [name for name in values if name in known]
    for kind in kinds:
        if keys == [name for name in kind.__struct_fields__ if name in values]:
            return msgspec.convert(values, kind)
    raise ValueError(f"no evidence has the fields {', '.join(values) or '(none)'}")


def rounded(value: float | None) -> float | None:
    """Round to six significant digits, as records carry figures; None stays None.

    >>> rounded(0.12345678), rounded(None)
    (0.123457, None)
    """
    return None if value is None else float(f"{value:.6g}")
