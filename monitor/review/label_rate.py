"""The share of answers that people fail, with its interval, and how many labels a narrower one needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from monitor.review.consensus import Consensus
from monitor.review.sample_file import Sample, numbered
from monitor.review.stratified_sample import VERDICT
from monitor.stats.share_intervals import clopper_pearson_interval

Z = 1.959964
"""Standard errors of an interval of 95 %."""
_MOST_FACTOR = 1e4


class StratumRate(NamedTuple):
    """Labels of one stratum.

    Attributes:
        name: value of the stratum, like ``failed``.
        share: of all calls that lie in it, 0 to 1.
        labels: number of labels.
        n: effective number: less than ``labels`` if they weigh differently.
        rate: weighted share that failed; 0.5 without labels.
    """

    name: str
    share: float
    labels: int
    n: float
    rate: float


class LabelRate(NamedTuple):
    """Share of the calls that people fail, with its interval of 95 %."""

    value: float
    low: float
    high: float
    strata: Sequence[StratumRate]

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.high - self.low

    @property
    def labels(self) -> int:
        """Number of answers with a verdict."""
        return sum(stratum.labels for stratum in self.strata)


def label_rate(sample: Sample, verdicts: Iterable[Consensus]) -> LabelRate | None:
    """Estimate the share of calls that people fail, by the strata of the verdict.

    The share of each stratum is known from the whole sample; its rate from the labels in it. So the interval
    contains what the choice of answers does to it: as many failed ones as others are labelled.

    Returns:
        The rate; None without a verdict.
    """
    weights = _weights(sample)
    strata = _strata(sample)
    total = math.fsum(weights.values())
    by_stratum: dict[str, list[tuple[float, bool]]] = {name: [] for name in strata.values()}
    for verdict in verdicts:
        if verdict.passed is not None:
            by_stratum[strata[verdict.answer]].append((weights[verdict.answer], not verdict.passed))
    if not any(by_stratum.values()):
        return None
    rates = []
    for name, counted in sorted(by_stratum.items()):
        share = math.fsum(weights[answer] for answer, stratum in strata.items() if stratum == name) / total
        weight = math.fsum(w for w, _ in counted)
        n = weight**2 / math.fsum(w * w for w, _ in counted) if counted else 0.0
        rate = math.fsum(w for w, is_failed in counted if is_failed) / weight if counted else 0.5
        rates.append(StratumRate(name, share, len(counted), n, min(1.0, rate)))
    return _combined(rates)


def labels_for_width(rate: LabelRate, width: float) -> int | None:
    """Return how many labels more, spread over the strata as so far, make the interval this narrow.

    It assumes the rates as they are now. 0 if the interval is narrow enough.

    Args:
        rate: as it is.
        width: of the interval that is wanted, above 0 and below 1.

    Returns:
        The number; None if a stratum has no label yet, or no number suffices.
    """
    if rate.width <= width:
        return 0
    if any(stratum.share and not stratum.labels for stratum in rate.strata):
        return None

    def width_with(factor: float) -> float:
        return _combined([stratum._replace(n=stratum.n * factor) for stratum in rate.strata]).width

    low, high = 1.0, 2.0
    while width_with(high) > width:
        low, high = high, high * 2
        if high > _MOST_FACTOR:
            return None
    while (high - low) * rate.labels > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if width_with(middle) > width else (low, middle)
    return math.ceil((high - 1) * rate.labels)


def _combined(rates: Sequence[StratumRate]) -> LabelRate:
    """Combine strata with the limits of each: the distances of the limits add in squares.

    Source: Zou, Donner, Statistics in Medicine 27 (2008) 1693 (MOVER); Clopper and Pearson for each stratum.
    """
    value = math.fsum(stratum.share * stratum.rate for stratum in rates)
    below = above = 0.0
    for stratum in rates:
        low, high = clopper_pearson_interval(stratum.rate, stratum.n, Z) if stratum.n else (0.0, 1.0)
        below += (stratum.share * (stratum.rate - low)) ** 2
        above += (stratum.share * (high - stratum.rate)) ** 2
    return LabelRate(value, max(0.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above)), rates)


def _weights(sample: Sample) -> Mapping[int, float]:
    return {number: 1 / answer.probability for number, answer in numbered(sample.answers)}


def _strata(sample: Sample) -> Mapping[int, str]:
    """Return the verdict stratum of each answer; one stratum if the sample has none."""
    return {number: answer.stratum.get(VERDICT, "all") for number, answer in numbered(sample.answers)}
