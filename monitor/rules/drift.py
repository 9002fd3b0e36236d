"""Drift: a distribution that changed beyond chance, by an amount that matters, and by more than it varies
anyway.

Windows of several lengths are read: a large change is found at once, a small one when there are enough
events. Benjamini and Hochberg's procedure says which of all tests are significant. A finding needs both:
significance and the effect.

Source: Benjamini, Hochberg, J. R. Statist. Soc. B 57 (1995) 289.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from statistics import NormalDist
from typing import Any, NamedTuple, TypeVar

from monitor.drift import DRIFT_TESTS
from monitor.drift.category_tests import g_upper_bound
from monitor.drift.histogram_distance import HistogramShape, PooledNumber, histogram_distance
from monitor.drift.interface import Distribution
from monitor.references.daily_cycle import no_interval
from monitor.references.finder import ReferenceFinder
from monitor.references.pinned import PinnedReferences
from monitor.references.reference import MIN_REFERENCE_EVENTS, Reference, TextReference
from monitor.rules import text_drift
from monitor.rules.drift_evidence import DriftResult, shares
from monitor.rules.evidence import Finding, StatisticFinding, evidence_of, no_evidence
from monitor.rules.reading import Reading
from monitor.rules.text_drift import TextReader
from monitor.rules.threshold import BUDGET_Z, z_of
from monitor.rules.window_view import Window
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState, SegmentSeries
from monitor.windows.metric_definitions import CATEGORIES, LANGUAGES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.text_blocks import TEXT_NAMES
from schemas.config.rules import Drift

EFFECTS = {"number": 0.1, "category": 0.1, "rate": 0.2, "text": 0.3, "language": 0.3}
"""Least effect by kind of statistic.

Numbers: a tenth of a standard deviation (normalised Wasserstein). Categories: Jensen-Shannon distance. Rates:
Cohen's h. These are Evidently's defaults and Cohen's small effect. Texts: the root of the share of texts that
were replaced by wholly different ones; more than the answers of LLMDrift vary within one month. Languages:
Jensen-Shannon distance; 0.3 is one of six texts in a new language, less may be the conversation of one
person.
"""

LADDER_US = (300_000_000, 1_800_000_000, 7_200_000_000)
YOUNG = 5.0  # times the effect that a reference of less than half an hour needs
YOUNG_TEXTS = 5 / 3  # the same for texts
ITSELF = 1.25  # times as far from the whole as the farthest of the reference's own blocks
NEW = 3  # events of a model that was never seen before
SHOWN = 5  # findings of one reading
LEAST_OF_BLOCK = 50  # effective events of a block of the reference, to say how much it varies
NEVER_SEEN = "never_seen"
T = TypeVar("T")
_ABSENT = {category.name: category.absent for category in CATEGORIES + LANGUAGES}
_LANGUAGES = tuple(category.name for category in LANGUAGES)
# which model serves is a matter of segments: a feature asks for several models
_MODELS = ("response_model", "provider")


class _View(NamedTuple):
    """One window and its reference."""

    window_us: int
    window: Window
    reference: Reference


class _Candidate(NamedTuple):
    """A test that may become a finding. ``least`` (the effect that it needs) and ``finding`` are computed
    only for what is significant.
    """

    result: DriftResult
    least: Callable[[], float]
    finding: Callable[[], Finding]


class _Scope(NamedTuple):
    """Which series a rule reads at which edge, and how far back. See ``DriftReader.read``."""

    rule: Drift
    feature: FeatureState
    segment_key: SegmentKey | None
    edge_us: int
    since_us: int
    cleared_us: int
    gating: Collection[str]
    changed: Mapping[str, int]
    alpha: float

    @property
    def series(self) -> FeatureState | SegmentSeries:
        """The feature as a whole, or one segment."""
        return self.feature if self.segment_key is None else self.feature.segments[self.segment_key]

    def is_on(self, name: str) -> bool:
        """Whether the rule reads a statistic."""
        return self.rule.on is None or name in self.rule.on


class DriftReader:
    """Reads drift rules. Its attributes are caches. ``pins``: the named references."""

    def __init__(self, pane_us: int, pins: PinnedReferences | None = None) -> None:
        self._pane_us = pane_us
        self._references = ReferenceFinder(pins)
        self._texts = TextReader(self._references)

    def read(
        self,
        rule: Drift,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        firing_window_s: float | None,
        since_us: int,
        gating: Collection[str],
        changed: Mapping[str, int],
        cleared_us: int = 0,
    ) -> Reading:
        """Read a rule on a series at a pane edge.

        Args:
            rule: what is watched.
            feature: the feature of the series.
            segment_key: the segment; None for the feature as a whole.
            edge_us: the pane edge, microseconds since 1970.
            firing_window_s: window of the finding that fires, seconds; None if nothing fires.
            since_us: older panes are no reference.
            gating: evaluators whose failures a baseline watches; they are read here only where the rule names
                them.
            changed: evaluator (and ``pass_rate``) -> the edge from which its present version counts. Older
                panes hold another statistic.
            cleared_us: the edge at which the rule was last good again here. No window begins before it: what
                is over would be found again.
        """
        alpha = _alpha(rule.confidence)
        scope = _Scope(rule, feature, segment_key, edge_us, since_us, cleared_us, gating, changed, alpha)
        views = [
            view
            for window_us in self._windows(rule, edge_us, firing_window_s)
            if (view := self._view(scope, window_us))
        ]
        candidates = [
            *(candidate for view in views for candidate in self._candidates(scope, view)),
            *self._text_candidates(scope),
        ]
        significant = self._significant(rule, candidates)
        if not significant:
            return Reading("good" if candidates else "unknown", no_evidence("drift", 0.0))
        findings = tuple(candidate.finding() for candidate in significant[:SHOWN])
        return Reading("breach", evidence_of(findings[0], rule.reference, findings))

    def _windows(self, rule: Drift, edge_us: int, firing_window_s: float | None) -> list[int]:
        """Return the lengths to read, microseconds: short ones at each edge, long ones every few minutes.
        While a finding fires, none is longer than its own: it would still contain what is over.
        """
        least_us = max(self._pane_us, round(rule.window * 1e6))
        firing_us = None if firing_window_s is None else round(firing_window_s * 1e6)
        longest_us = max(LADDER_US) if firing_us is None else max(firing_us, LADDER_US[0])
        lengths = [least_us, *(step for step in LADDER_US if least_us < step <= longest_us)]
        return [
            length
            for length in lengths
            if length == firing_us
            or edge_us % max(self._pane_us, length // 6 // self._pane_us * self._pane_us) == 0
        ]

    def _view(self, scope: _Scope, window_us: int) -> _View | None:
        start_us = scope.edge_us - window_us
        panes = list(scope.series.window(max(scope.cleared_us, start_us), scope.edge_us))
        if not panes or sum(pane.events for pane in panes) < min(NEW, scope.rule.min_events):
            return None
        reference = self._references.find(
            scope.rule.reference,
            scope.feature,
            scope.segment_key,
            scope.edge_us,
            window_us,
            scope.since_us,
        )
        if reference is None:
            return None
        return _View(window_us, Window(panes, start_us), reference)

    def _candidates(self, scope: _Scope, view: _View) -> Iterator[_Candidate]:
        for result in self._tested(scope, view):
            yield _Candidate(
                result,
                partial(self._least, scope.rule, result, view.reference),
                partial(_finding, result, view),
            )

    def _text_candidates(self, scope: _Scope) -> Iterator[_Candidate]:
        for name in TEXT_NAMES:
            if not scope.is_on(name):
                continue
            read = self._texts.read(
                scope.rule.reference,
                scope.feature,
                scope.segment_key,
                scope.edge_us,
                scope.since_us,
                name,
                scope.cleared_us,
            )
            if read is not None:
                result, reference = read
                yield _Candidate(
                    result,
                    partial(self._least_of_texts, scope.rule, reference),
                    partial(text_drift.finding, result),
                )

    def _tested(self, scope: _Scope, view: _View) -> Iterator[DriftResult]:
        """Test every statistic of a window: the family that the procedure corrects for. Effects are computed
        only where a test can be significant.
        """
        yield from self._numbers(scope, view)
        for category in CATEGORIES:
            if scope.segment_key is not None or category.name not in _MODELS:
                yield from self._category(scope, category.name, category.absent, view)
        # each segment samples equally many texts, so their weights in the whole feature are not known
        if scope.segment_key is not None or not any(key.dimensions for key in scope.feature.segments):
            for category in LANGUAGES:
                yield from self._category(scope, category.name, category.absent, view)
        yield from _rates(scope, view)

    def _numbers(self, scope: _Scope, view: _View) -> Iterator[DriftResult]:
        for name, reference in view.reference.pane.numbers.items():
            if not scope.is_on(name) or not (numbers := view.window.numbers(name)):
                continue
            current = PooledNumber(numbers)
            n, m = current.effective_n, reference.effective_n
            if n < scope.rule.min_events or m < MIN_REFERENCE_EVENTS:
                continue
            shape = _shape(current.shape(reference.scale))
            apart = histogram_distance(self._shape(view.reference, name, shape.scale), shape, scope.alpha)
            yield DriftResult(
                name, "kolmogorov_smirnov", apart.p_value, apart.wasserstein, view.window_us / 1e6, n, m
            )

    def _category(self, scope: _Scope, name: str, absent: str | None, view: _View) -> Iterator[DriftResult]:
        before = view.reference.pane
        if not scope.is_on(name) or (name not in before.categories and name not in view.window.categories):
            return
        then, m = _once(view.reference, ("shares", name), lambda: shares(name, absent, before))
        pane = view.window.part("error_rate", name)
        now, n = shares(name, absent, pane)
        is_one_label = len(now) == len(then) == 1 and now.keys() == then.keys()
        if not now or not then or m < MIN_REFERENCE_EVENTS or is_one_label:
            return
        window_s, independent_n = view.window_us / 1e6, view.window.independent_n(n)
        if name in _MODELS:
            unseen = {label for label in now if label not in then}
            if _events_of(pane, name, unseen) >= NEW:
                share = sum(now[label] for label in unseen) / sum(now.values())
                yield DriftResult(name, NEVER_SEEN, 0.0, share, window_s, n, m)
                return
        if n < scope.rule.min_events:
            return
        # not even with all labels in two groups would it be significant
        if g_upper_bound(then, m, now, independent_n) < 0.99 * z_of(scope.rule.confidence) ** 2:
            yield DriftResult(name, "g", 1.0, 0.0, window_s, n, m)
            return
        reference, current = Distribution.from_weights(then, m), Distribution.from_weights(now, independent_n)
        p_value = DRIFT_TESTS["g"](reference, current).p_value
        effect = DRIFT_TESTS["jensen_shannon"](reference, current).effect
        yield DriftResult(name, "g", p_value, effect, window_s, n, m)

    def _significant(self, rule: Drift, candidates: list[_Candidate]) -> list[_Candidate]:
        """Return the candidates that are beyond chance, of all that were tested together, and matter: one of
        each statistic, the greatest effect first.
        """
        alpha = _alpha(rule.confidence)
        ordered = sorted(
            candidates, key=lambda candidate: (candidate.result.p_value, candidate.result.statistic)
        )
        last = 0
        for rank, candidate in enumerate(ordered, 1):
            if candidate.result.p_value <= alpha * rank / len(ordered):
                last = rank
        chosen: dict[str, _Candidate] = {}
        for candidate in ordered[:last]:
            result = candidate.result
            if result.statistic not in chosen and result.effect >= candidate.least():
                chosen[result.statistic] = candidate
        return sorted(
            chosen.values(),
            key=lambda candidate: (
                candidate.result.test != NEVER_SEEN,
                -candidate.result.effect,
                candidate.result.statistic,
            ),
        )

    def _least_of_texts(self, rule: Drift, reference: TextReference) -> float:
        """Return the effect that a drift of texts needs."""
        least = max(rule.effect or 0.0, EFFECTS["text"]) * (YOUNG_TEXTS if reference.is_young else 1)
        return max(least, ITSELF * self._texts.variation(reference))

    def _least(self, rule: Drift, result: DriftResult, reference: Reference) -> float:
        """Return the effect that a statistic needs."""
        if result.test == NEVER_SEEN:
            return 0.0
        kind = _kind(result.statistic)
        usual = EFFECTS["language" if result.statistic in _LANGUAGES else kind]
        least = (rule.effect or usual) * (YOUNG if reference.is_young else 1)
        variation = self._variation(reference, result.statistic, kind)
        # the whole interval must lie beyond it: numbers and arcsines of rates have a standard error of
        # 1/sqrt(n)
        if variation and kind != "category":
            return max(least, ITSELF * variation + z_of(rule.confidence) / math.sqrt(result.n))
        return max(least, ITSELF * variation)

    def _variation(self, reference: Reference, name: str, kind: str) -> float:
        """Return the distance of the reference's farthest own block from the whole."""
        return _once(
            reference,
            ("varies", name),
            lambda: float(
                max((_apart(block, reference.pane, name, kind) for block in reference.blocks), default=0.0)
            ),
        )

    def _shape(self, reference: Reference, name: str, scale: int) -> HistogramShape:
        return _shape(
            _once(
                reference,
                ("shape", name, scale),
                lambda: HistogramShape.from_number(reference.pane.numbers[name], scale),
            )
        )


def _rates(scope: _Scope, view: _View) -> Iterator[DriftResult]:
    for name, reference in view.reference.pane.rates.items():
        if not _reads_rate(scope, name, view.reference.start_us):
            continue
        current = view.window.part(name).rates.get(name)
        if current is not None and (result := _rate(scope.rule, name, current, reference, view)):
            yield result


def _reads_rate(scope: _Scope, name: str, reference_start_us: int) -> bool:
    """Whether drift reads a rate: one that the rule names, feedback, or an evaluator that no baseline
    watches; and counted by one version of its evaluator since the reference began.
    """
    evaluator = name.removeprefix("evaluator.").removesuffix(".fail_rate")
    is_watched = (
        scope.rule.on or name.startswith("feedback.") or (evaluator != name and evaluator not in scope.gating)
    )
    return bool(is_watched) and scope.is_on(name) and scope.changed.get(evaluator, 0) <= reference_start_us


def _rate(rule: Drift, name: str, current: Rate, reference: Rate, view: _View) -> DriftResult | None:
    now, then = current.estimate(0.0, interval=no_interval), reference.estimate(0.0, interval=no_interval)
    if now.n < rule.min_events or then.n < MIN_REFERENCE_EVENTS or now.value is None or then.value is None:
        return None
    result = DRIFT_TESTS["two_proportions"](
        _of_rate(then.value, then.n), _of_rate(now.value, view.window.independent_n(now.n))
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


def _once(reference: Reference, key: Any, compute: Callable[[], T]) -> T:
    """Return what follows from a reference alone; compute it at the first call."""
    if key not in reference.cache:
        reference.cache[key] = compute()
    value: T = reference.cache[key]
    return value


def _finding(result: DriftResult, view: _View) -> StatisticFinding:
    return result.finding(view.window.part("error_rate", result.statistic), view.reference)


@cache
def _alpha(confidence: float | None) -> float:
    """Return the share of false findings of a family, two-sided; None: the one of the false-page budget."""
    return 2 * NormalDist().cdf(-BUDGET_Z) if confidence is None else 2 * (1 - confidence)


def _kind(statistic: str) -> str:
    if statistic in _ABSENT:
        return "category"
    return "rate" if statistic.endswith("_rate") else "number"


def _apart(block: Pane, whole: Pane, name: str, kind: str) -> float:
    """Return the effect between a block of the reference and all of it, less the effect of chance; 0 where
    the block has too few events.
    """
    if kind == "number":
        return _numbers_apart(block, whole, name)
    if kind == "category":
        (now, n), (then, m) = shares(name, _ABSENT[name], block), shares(name, _ABSENT[name], whole)
        if n < LEAST_OF_BLOCK or not now or not then:
            return 0.0
        return DRIFT_TESTS["jensen_shannon"](
            Distribution.from_weights(then, m), Distribution.from_weights(now, n)
        ).effect
    if name not in block.rates:
        return 0.0
    now_rate, then_rate = block.rates[name].estimate(1.0), whole.rates[name].estimate(1.0)
    if now_rate.n < LEAST_OF_BLOCK or now_rate.value is None or then_rate.value is None:
        return 0.0
    result = DRIFT_TESTS["two_proportions"](
        _of_rate(then_rate.value, then_rate.n), _of_rate(now_rate.value, now_rate.n)
    )
    return float(max(0.0, abs(result.effect) - 1 / now_rate.n**0.5))


def _numbers_apart(block: Pane, whole: Pane, name: str) -> float:
    if name not in block.numbers:
        return 0.0
    scale = min(block.numbers[name].scale, whole.numbers[name].scale)
    shape, whole_shape = (
        HistogramShape.from_number(block.numbers[name], scale),
        HistogramShape.from_number(whole.numbers[name], scale),
    )
    if shape is None or whole_shape is None or shape.n < LEAST_OF_BLOCK:
        return 0.0
    return float(max(0.0, histogram_distance(whole_shape, shape).wasserstein - 1 / shape.n**0.5))


def _of_rate(rate: float, n: float) -> Distribution:
    return Distribution((False, True), (1 - rate, rate), n)


def _shape(shape: HistogramShape | None) -> HistogramShape:
    assert shape is not None  # the caller knows that something is counted
    return shape
