"""Compare two arms: every metric that both have, and whether they got the same questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from monitor.compare.arm import Arm, CellKey, MetricCounts, weighted_size
from monitor.compare.category_evidence import without_rare
from monitor.compare.design_effect import design_effect
from monitor.compare.evidence import (
    CategoryEvidence,
    Evidence,
    MeanEvidence,
    QuantileEvidence,
    RateEvidence,
    smallest_visible,
)
from monitor.compare.paired_counts import category_shares, number_values, rate_counts
from monitor.compare.pairing import MINUTE_US, pair_cells
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.holm import holm
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate

ALPHA = 0.05
"""Of the bounds shown, and of a metric that is said to have moved, over all metrics together."""
QUANTILES = {"p50": 0.5, "p90": 0.9}
CALLS = "error_rate"
"""The rate that counts every response."""

S = TypeVar("S", Rate, NumberSummary, CategoryCounts)


class MetricDifference(NamedTuple):
    """One metric of both arms.

    Attributes:
        metric: its name; ``CATEGORY=VALUE`` for the share of one value.
        kind: ``rate``, ``mean``, ``quantile``, ``category`` or ``share``. Rates are shares of failures, also those
            whose name states the share that did not fail.
        evidence: values, sizes, bounds.
        design_effect: how many calls say as much as one independent call.
        smallest: the smallest difference that could have been seen.
        p_value: holds at any time of looking, and is adjusted for the number of metrics (Holm); None of a metric
            that is not tested, because an arm has no events of it.
    """

    metric: str
    kind: str
    evidence: Evidence
    design_effect: float
    smallest: float
    p_value: float | None

    @property
    def moved(self) -> bool:
        """Whether the arms differ beyond chance."""
        return self.p_value is not None and self.p_value <= ALPHA


class Comparison(NamedTuple):
    """Two arms compared.

    Attributes:
        a, b: the arms.
        metrics: in the order of their names.
        cells: number of cells in which both arms have events.
        paired: share of the calls of a and of b that lie in them.
        length_us: length of a cell; 0: whole periods were compared.
        has_sessions: whether events name their sessions.
    """

    a: Arm
    b: Arm
    metrics: tuple[MetricDifference, ...]
    cells: int
    paired: tuple[float, float]
    length_us: int
    has_sessions: bool

    def find(self, metric: str) -> MetricDifference | None:
        """Return the difference of a metric by its name."""
        return next((found for found in self.metrics if found.metric == metric), None)


def compare_arms(
    a: Arm,
    b: Arm,
    *,
    length_us: int = MINUTE_US,
    quantiles: Mapping[str, float] = QUANTILES,
    unit: Callable[[str], float] = lambda name: 1.0,
    only: Callable[[str], bool] = lambda metric: True,
) -> Comparison:
    """Compare every metric of two arms.

    Args:
        a, b: the stable version and the new one; either may be empty.
        length_us: length of a cell, a multiple of a minute; 0: whole periods are compared.
        quantiles: name -> quantile, read of each number.
        unit: name of a number -> size of an integer unit.
        only: whether a metric is compared.
    """
    found: list[tuple[str, str, Evidence, float]] = [
        (name, "rate", *_rate(a, b, name, length_us))
        for name in _names(a, b, lambda counts: counts.rates)
        if only(name)
    ]
    for name in _names(a, b, lambda counts: counts.numbers):
        readings = [f"{name}.mean", *(f"{name}.{reading}" for reading in quantiles)]
        if any(map(only, readings)):
            found += _number(a, b, name, length_us, quantiles, unit(name), only)
    for name in _names(a, b, lambda counts: counts.categories):
        if only(name):
            found += _category(a, b, name, length_us)
    adjusted = iter(holm([p_value(evidence) for _, _, evidence, _ in found if _is_tested(evidence)]))
    metrics = tuple(
        MetricDifference(
            name,
            kind,
            evidence,
            effect,
            smallest_visible(evidence, ALPHA),
            next(adjusted) if _is_tested(evidence) else None,
        )
        for name, kind, evidence, effect in found
    )
    calls_a, calls_b = (_cells_of(arm, lambda counts: counts.rates, CALLS) for arm in (a, b))
    pairs = pair_cells(calls_a, calls_b, length_us)
    paired = (
        _share(sum(weighted_size(pair.a) for pair in pairs), calls_a.values()),
        _share(sum(weighted_size(pair.b) for pair in pairs), calls_b.values()),
    )
    has_sessions = bool(a.session_groups or b.session_groups)
    return Comparison(a, b, metrics, len(pairs), paired, length_us, has_sessions)


def p_value(evidence: Evidence) -> float:
    """Return a p-value against no difference that holds at any time of looking: 1/e, at most 1."""
    return math.exp(-max(0.0, evidence.log_e()))


def metric_evidence(
    a: Arm,
    b: Arm,
    name: str,
    length_us: int,
    quantile: float | None,
    unit: float,
) -> tuple[Evidence, float]:
    """Return the evidence on one rate or number, and its design effect.

    Args:
        name: of the rate, or of the number without its reading.
        quantile: of a number; None: its mean.
    """
    if any(name in counts.rates for arm in (a, b) for counts in arm.cells.values()):
        return _rate(a, b, name, length_us)
    (_, _, mean, effect), *others = _number(
        a, b, name, length_us, {} if quantile is None else {"q": quantile}, unit, lambda metric: True
    )
    return (others[0][2] if others else mean), effect


def _rate(a: Arm, b: Arm, name: str, length_us: int) -> tuple[Evidence, float]:
    def rates(counts: MetricCounts) -> Mapping[str, Rate]:
        return counts.rates

    effect = design_effect(_groups_of(a, rates, name), _groups_of(b, rates, name))
    pairs = pair_cells(_cells_of(a, rates, name), _cells_of(b, rates, name), length_us)
    return RateEvidence(*rate_counts(pairs, effect)), effect


def _number(
    a: Arm,
    b: Arm,
    name: str,
    length_us: int,
    quantiles: Mapping[str, float],
    unit: float,
    only: Callable[[str], bool],
) -> list[tuple[str, str, Evidence, float]]:
    def numbers(counts: MetricCounts) -> Mapping[str, NumberSummary]:
        return counts.numbers

    effect = design_effect(_groups_of(a, numbers, name), _groups_of(b, numbers, name))
    pairs = pair_cells(_cells_of(a, numbers, name), _cells_of(b, numbers, name), length_us)
    of_a, of_b = number_values(pairs, effect)
    out: list[tuple[str, str, Evidence, float]] = []
    if only(f"{name}.mean"):
        out.append((f"{name}.mean", "mean", MeanEvidence(of_a, of_b, unit), effect))
    for reading, q in quantiles.items():
        if only(f"{name}.{reading}"):
            out.append((f"{name}.{reading}", "quantile", QuantileEvidence(of_a, of_b, q, unit), effect))
    return out


def _category(a: Arm, b: Arm, name: str, length_us: int) -> list[tuple[str, str, Evidence, float]]:
    def categories(counts: MetricCounts) -> Mapping[str, CategoryCounts]:
        return counts.categories

    groups = _groups_of(a, categories, name), _groups_of(b, categories, name)
    effect = design_effect(*groups) if any(groups) else max(_largest_effect(arm, name) for arm in (a, b))
    pairs = pair_cells(_cells_of(a, categories, name), _cells_of(b, categories, name), length_us)
    (n_a, shares_a), (n_b, shares_b) = category_shares(pairs, effect)
    common_b, common_a = without_rare(shares_b, shares_a)
    evidence = CategoryEvidence(n_a, n_b, common_a, common_b)
    values = sorted({*common_a, *common_b})
    shares: list[tuple[str, str, Evidence, float]] = [
        (f"{name}={value}", "share", evidence.of_value(value), effect) for value in values
    ]
    return [(name, "category", evidence, effect), *(shares if len(values) > 1 else ())]


def _largest_effect(arm: Arm, name: str) -> float:
    """Return the design effect of a category that is read of a sample of the calls, if all calls of a session are
    alike.
    """
    read = sum(statistic.n for statistic in _cells_of(arm, lambda counts: counts.categories, name).values())
    return 1 + (arm.session_size - 1) * min(1.0, read / arm.events) if arm.events else 1.0


def _names(a: Arm, b: Arm, of: Callable[[MetricCounts], Mapping[str, object]]) -> Sequence[str]:
    return sorted({name for arm in (a, b) for counts in arm.cells.values() for name in of(counts)})


def _cells_of(arm: Arm, of: Callable[[MetricCounts], Mapping[str, S]], name: str) -> dict[CellKey, S]:
    return {
        key: statistic for key, counts in arm.cells.items() if (statistic := of(counts).get(name)) is not None
    }


def _groups_of(arm: Arm, of: Callable[[MetricCounts], Mapping[str, S]], name: str) -> list[S]:
    return [statistic for counts in arm.session_groups if (statistic := of(counts).get(name)) is not None]


def _is_tested(evidence: Evidence) -> bool:
    return min(evidence.sizes) > 0


def _share(part: float, statistics: Iterable[Rate]) -> float:
    total = sum(weighted_size(statistic) for statistic in statistics)
    return part / total if total > 0 else 0.0
