"""The drift tests of one window: every statistic that a rule reads, against its reference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from monitor.drift import DRIFT_TESTS
from monitor.drift.category_tests import g_upper_bound
from monitor.drift.histogram_distance import HistogramShape, PooledNumber, histogram_distance
from monitor.drift.interface import Distribution
from monitor.references.daily_cycle import no_interval
from monitor.references.gaps import Gaps
from monitor.references.reference import MIN_REFERENCE_EVENTS, Reference
from monitor.rules.drift_evidence import NEVER_SEEN, DriftResult, shares
from monitor.rules.reference_facts import facts_of, rate_of, shape_of, shares_of
from monitor.rules.threshold import z_of
from monitor.rules.window_view import Window
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import CATEGORIES, TEXT_CATEGORIES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import SegmentSeries
from schemas.config.rules import Drift

MIN_TEXTS = 15
"""Texts of a known language or format that a window needs; the rule's ``min_events`` if that is less."""
MIN_REFERENCE_TEXTS = 100
"""Such texts that a reference needs: it has 500 events, of which few are looked at."""
MIN_EVENTS_UNSEEN = 3
"""Events of a model that the reference never saw, from which the model is a finding."""

BESIDE_RESPONSES = ("feedback.", "evaluator.")
"""Beginnings of names of numbers that other events than responses carry."""

# which model serves is a matter of segments: a feature asks for several models
MODELS = ("response_model", "provider")
_TEXT_CATEGORIES = frozenset(category.name for category in TEXT_CATEGORIES)


class View(NamedTuple):
    """One window and its reference."""

    window_us: int
    window: Window
    reference: Reference


class Scope(NamedTuple):
    """The series that a rule reads, the edge, and the limits of its windows. See ``DriftReader.read``."""

    rule: Drift
    feature: FeatureState
    segment_key: SegmentKey | None
    edge_us: int
    since_us: int
    cleared_us: int
    gating: Collection[str]
    changed: Mapping[str, int]
    alpha: float
    gaps: Gaps

    @property
    def series(self) -> FeatureState | SegmentSeries:
        """The feature as a whole, or one segment."""
        return self.feature if self.segment_key is None else self.feature.segments[self.segment_key]

    def is_on(self, name: str) -> bool:
        """Return whether the rule reads a statistic."""
        return self.rule.on is None or name in self.rule.on


def drift_tests(scope: Scope, view: View) -> Iterator[DriftResult]:
    """Test every statistic of a window: the family that the procedure corrects for. Effects are computed
    only where a test can be significant.
    """
    yield from _numbers(scope, view)
    # a category is worth at most as many effective events as there were responses
    has_enough = view.window.events >= scope.rule.min_events
    for category in CATEGORIES:
        if not has_enough and category.name not in MODELS:
            continue
        if scope.segment_key is not None or category.name not in MODELS:
            yield from _category(scope, category.name, category.absent, view)
    # each segment samples equally many texts, so their weights in the whole feature are not known
    has_texts = view.window.events >= min(MIN_TEXTS, scope.rule.min_events)
    if has_texts and (
        scope.segment_key is not None or not any(key.dimensions for key in scope.feature.segments)
    ):
        for category in TEXT_CATEGORIES:
            yield from _category(scope, category.name, category.absent, view)
    yield from _rates(scope, view)


def _numbers(scope: Scope, view: View) -> Iterator[DriftResult]:
    has_enough = view.window.events >= scope.rule.min_events
    for name, (m, scale) in facts_of(view.reference).numbers.items():
        if not has_enough and not name.startswith(BESIDE_RESPONSES):
            continue  # a response has a number once at most
        if not scope.is_on(name) or not (numbers := view.window.numbers(name)):
            continue
        current = PooledNumber(numbers)
        n = current.effective_n
        if n < scope.rule.min_events or m < MIN_REFERENCE_EVENTS:
            continue
        shape = _shape(current.shape(scale))
        apart = histogram_distance(shape_of(view.reference, name, shape.scale), shape, scope.alpha)
        yield DriftResult(
            name, "kolmogorov_smirnov", apart.p_value, apart.wasserstein, view.window_us / 1e6, n, m
        )


def _category(scope: Scope, name: str, absent: str | None, view: View) -> Iterator[DriftResult]:
    known = facts_of(view.reference).shares
    if not scope.is_on(name) or (name not in known and name not in view.window.categories):
        return
    if scope.changed.get(name, 0) > view.reference.start_us:
        return  # languages that another version detected
    then, m = shares_of(view.reference, name)
    pane = view.window.part("error_rate", name)
    now, n = shares(name, absent, pane)
    is_one_label = len(now) == len(then) == 1 and now.keys() == then.keys()
    of_texts = name in _TEXT_CATEGORIES
    if not now or not then or is_one_label or m < (MIN_REFERENCE_TEXTS if of_texts else MIN_REFERENCE_EVENTS):
        return
    window_s, independent_n = view.window_us / 1e6, view.window.independent_n(n)
    if name in MODELS:
        unseen = {label for label in now if label not in then}
        if _events_of(pane, name, unseen) >= MIN_EVENTS_UNSEEN:
            share = sum(now[label] for label in unseen) / sum(now.values())
            yield DriftResult(name, NEVER_SEEN, 0.0, share, window_s, n, m)
            return
    if n < (min(MIN_TEXTS, scope.rule.min_events) if of_texts else scope.rule.min_events):
        return
    # not even with all labels in two groups would it be significant
    if g_upper_bound(then, m, now, independent_n) < 0.99 * z_of(scope.rule.confidence) ** 2:
        yield DriftResult(name, "g", 1.0, 0.0, window_s, n, m)
        return
    reference, current = Distribution.from_weights(then, m), Distribution.from_weights(now, independent_n)
    p_value = DRIFT_TESTS["g"](reference, current).p_value
    effect = DRIFT_TESTS["jensen_shannon"](reference, current).effect
    yield DriftResult(name, "g", p_value, effect, window_s, n, m)


def _rates(scope: Scope, view: View) -> Iterator[DriftResult]:
    for name in facts_of(view.reference).rates:
        if not _reads_rate(scope, name, view.reference.start_us):
            continue
        current = view.window.part(name).rates.get(name)
        if current is not None and (
            result := _rate(scope.rule, name, current, rate_of(view.reference, name), view)
        ):
            yield result


def _reads_rate(scope: Scope, name: str, reference_start_us: int) -> bool:
    """Return whether drift reads a rate: the rule names it, or it is feedback or an evaluator that no baseline
    watches. One version of its evaluator must have counted it since the reference began.
    """
    is_read = scope.is_on(name) and (scope.rule.on is not None or is_watched(name, scope.gating))
    return is_read and scope.changed.get(_evaluator_of(name), 0) <= reference_start_us


def is_watched(name: str, gating: Collection[str]) -> bool:
    """Return whether a rule that names no statistic reads a rate: feedback, or an evaluator that no baseline
    watches. ``gating``: the evaluators that baselines watch.
    """
    evaluator = _evaluator_of(name)
    return name.startswith("feedback.") or (evaluator != name and evaluator not in gating)


def _evaluator_of(name: str) -> str:
    return name.removeprefix("evaluator.").removesuffix(".fail_rate")


def _rate(rule: Drift, name: str, current: Rate, reference: Rate, view: View) -> DriftResult | None:
    now, then = current.estimate(0.0, interval=no_interval), reference.estimate(0.0, interval=no_interval)
    if now.n < rule.min_events or then.n < MIN_REFERENCE_EVENTS or now.value is None or then.value is None:
        return None
    result = DRIFT_TESTS["two_proportions"](
        Distribution.from_rate(then.value, then.n),
        Distribution.from_rate(now.value, view.window.independent_n(now.n)),
    )
    return DriftResult(
        name,
        "two_proportions",
        result.p_value,
        abs(result.effect),
        view.window_us / 1e6,
        now.n,
        then.n,
    )


def _events_of(pane: Pane, category: str, labels: Collection[str]) -> int:
    """Count the events of these labels, unweighted."""
    if not labels:
        return 0
    return sum(
        count
        for counts in pane.categories[category].classes.values()
        for label, count in counts.items()
        if label in labels
    )


def _shape(shape: HistogramShape | None) -> HistogramShape:
    assert shape is not None  # the caller knows that something is counted
    return shape
