"""Findings of drift: one statistic now against its reference."""

from __future__ import annotations

from typing import NamedTuple

from monitor.references.reference import Reference
from monitor.rules.evidence import Number, StatisticFinding
from monitor.stats.category_counts import MAX_NAMES, CategoryCounts
from monitor.stats.estimate import Estimate
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_definitions import CATEGORIES, QUANTILES, TEXT_CATEGORIES
from monitor.windows.metric_reader import MetricReader
from monitor.windows.pane import Pane
from schemas.times import rfc3339

Z = 1.959963984540054  # of the intervals that people see
NEVER_SEEN = "never_seen"
"""The test of a model that the reference never saw, by its name in evidence."""
READINGS = ("p50", "p90", "p99", "mean")
_LEAST_BEYOND = 5  # events that must lie beyond a quantile
_BUCKETS = 2.1  # a quantile moved if it is more than a bucket away, which is twice as wide as the error
_TEXT_CATEGORIES = frozenset(category.name for category in TEXT_CATEGORIES)
_CLEARLY_MORE = 1.25  # the median is shown unless another reading moved by so much more


class DriftResult(NamedTuple):
    """A test of one statistic against its reference.

    ``effect``: in the test's own measure. ``window_s``: length of the window. ``n``, ``m``: effective events
    now and in the reference.
    """

    statistic: str
    test: str
    p_value: float
    effect: float
    window_s: float
    n: float
    m: float

    def reading(self, current: Pane, reference: Pane) -> MovedReading:
        """Return the reading that moved most: its value now and in the reference."""
        return (
            _number(self.statistic, current, reference)
            or _category(self.statistic, current, reference)
            or _rate(self.statistic, current, reference)
        )

    def finding(self, current: Pane, reference: Reference) -> StatisticFinding:
        """Describe the drift by the reading that moved most."""
        moved = self.reading(current, reference.pane.unpacked())
        return StatisticFinding(
            metric=moved.metric,
            value=_rounded(moved.now.value),
            n=_rounded_n(moved.now.n),
            low=_rounded(moved.now.low),
            high=_rounded(moved.now.high),
            reference=_rounded(moved.reference),
            reference_n=_rounded_n(moved.reference_n),
            test=self.test,
            p_value=float(f"{self.p_value:.3g}"),
            effect=float(f"{self.effect:.3g}"),
            window_s=self.window_s,
            usual_label=moved.usual_label,
            usual_share=_rounded(moved.usual_share),
            reference_from=rfc3339(reference.start_us),
            reference_until=rfc3339(reference.end_us),
        )


class MovedReading(NamedTuple):
    """A reading now and in the reference.

    ``metric``: ``NAME.p50``, ``NAME=LABEL`` or the name of a rate. ``usual_label``, ``usual_share``: of
    languages and formats, the most frequent label of the reference and its share.
    """

    metric: str
    now: Estimate
    reference: float | None
    reference_n: float
    usual_label: str | None = None
    usual_share: float | None = None


def statistic_of(metric: str) -> str:
    """Name the statistic of a reading: drift shows the quantile or the label that moved most.

    >>> statistic_of("duration_s.p90"), statistic_of("provider=acme"), statistic_of("error_rate")
    ('duration_s', 'provider', 'error_rate')
    """
    name, _, reading = metric.partition("=")[0].rpartition(".")
    return name if reading in READINGS else metric.partition("=")[0]


def calls(pane: Pane) -> dict[int, int]:
    """Count the responses of a pane by probability, parts per million; each counts in the error rate."""
    rate = pane.rates.get("error_rate")
    return {} if rate is None else {ppm: n for ppm, (n, _) in rate.classes.items()}


def shares(name: str, absent: str | None, pane: Pane) -> tuple[dict[str, float], float]:
    """Return the weight of each label of a category, and the effective events; {} and 0 where nothing is
    counted.

    ``absent``: the label of responses that are not counted because they have no value; None if there are
    none.
    """
    category = pane.categories.get(name) or CategoryCounts()
    if absent is None:
        return category.weighted_counts(), category.effective_n
    if (plain := _of_one_class(category, pane)) is not None:
        return _with_absent(*plain, absent)
    total = CategoryCounts()
    # calls have more probabilities: their classes may be coarser
    total.level = pane.rates["error_rate"].level if "error_rate" in pane.rates else 0
    total.merge(category)
    counted = {ppm: sum(labels.values()) for ppm, labels in total.classes.items()}
    for ppm, n in calls(pane).items():
        if n > counted.get(ppm, 0):
            total.add(ppm, {absent: n - counted.get(ppm, 0)})
    return total.weighted_counts(), total.effective_n


def _of_one_class(category: CategoryCounts, pane: Pane) -> tuple[dict[str, int], int] | None:
    """Return labels and calls where all of them have probability 1, the usual case; None elsewhere, or where
    there may be too many labels.
    """
    rate = pane.rates.get("error_rate")
    classes = {} if rate is None else rate.classes
    if (
        category.level
        or category.classes.keys() - {MILLION}
        or classes.keys() - {MILLION}
        or (rate is not None and rate.level)
    ):
        return None
    labels = category.classes.get(MILLION, {})
    return None if len(labels) >= MAX_NAMES else (labels, classes[MILLION][0] if classes else 0)


def _with_absent(labels: dict[str, int], total: int, absent: str) -> tuple[dict[str, float], float]:
    counted = sum(labels.values())
    if total > counted:
        labels, counted = labels | {absent: labels.get(absent, 0) + total - counted}, total
    n = counted * 1.0
    return {label: labels[label] * 1.0 for label in sorted(labels)}, n**2 / n if n else 0.0


def _number(name: str, current: Pane, reference: Pane) -> MovedReading | None:
    if name not in current.numbers or name not in reference.numbers:
        return None
    width = _BUCKETS * max(current.numbers[name].error, reference.numbers[name].error)
    best: tuple[float, MovedReading] | None = None
    for reading in READINGS:
        q = QUANTILES.get(reading, 0.5)
        metric = f"{name}.{reading}"
        now, then = (
            MetricReader(metric).add([current]).estimate(Z),
            MetricReader(metric).add([reference]).estimate(Z),
        )
        if now.value is None or then.value is None or min(now.n, then.n) * min(q, 1 - q) < _LEAST_BEYOND:
            continue
        scale = max(abs(now.value), abs(then.value))
        distance = abs(now.value - then.value) / scale if scale else 0.0
        if reading in QUANTILES and distance <= width:
            distance = 0.0
        if best is None or distance > _CLEARLY_MORE * best[0]:
            best = distance, MovedReading(metric, now, then.value, then.n)
    return best[1] if best else None


def _category(name: str, current: Pane, reference: Pane) -> MovedReading | None:
    absent = next((category.absent for category in CATEGORIES if category.name == name), None)
    (now, n), (then, m) = shares(name, absent, current), shares(name, absent, reference)
    if not now or not then:
        return None
    now_total, then_total = sum(now.values()), sum(then.values())
    moved = {
        label: now.get(label, 0.0) / now_total - then.get(label, 0.0) / then_total for label in {*now, *then}
    }
    label = max(sorted(moved), key=lambda label: (round(abs(moved[label]), 9), moved[label]))
    share = Estimate(now.get(label, 0.0) / now_total, n, None, None)
    reading = MovedReading(f"{name}={label}", share, then.get(label, 0.0) / then_total, m)
    if name not in _TEXT_CATEGORIES:
        return reading
    usual = max(sorted(then), key=lambda label: then[label])
    return reading._replace(usual_label=usual, usual_share=then[usual] / then_total)


def _rate(name: str, current: Pane, reference: Pane) -> MovedReading:
    now, then = (
        MetricReader(name).add([current]).estimate(Z),
        MetricReader(name).add([reference]).estimate(Z),
    )
    return MovedReading(name, now, then.value, then.n)


def _rounded(value: Number | None) -> Number | None:
    return None if value is None else _rounded_n(value)


def _rounded_n(value: Number) -> Number:
    """Round floats to six significant digits; counts stay whole."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
