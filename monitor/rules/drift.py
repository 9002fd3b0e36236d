"""Drift: a distribution that is no longer what it was, beyond chance, by an amount that matters, and by more
than it varies anyway.

Windows of several lengths are looked at, so that a great change is found at once and a small one when there
are events enough. Of all that is tested together, Benjamini and Hochberg's procedure says what is
significant; that and the effect must hold of one statistic.

Source: Benjamini, Hochberg, J. R. Statist. Soc. B 57 (1995) 289.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
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
from monitor.rules.drift_evidence import Finding, shares
from monitor.rules.reading import Reading
from monitor.rules.text_drift import TextReader
from monitor.rules.threshold import BUDGET_Z, z_of
from monitor.rules.window_view import Window
from monitor.windows.feature_series import FeatureState, SegmentSeries
from monitor.windows.metric_definitions import CATEGORIES, LANGUAGES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from schemas.config.rules import Drift

EFFECTS = {"number": 0.1, "category": 0.1, "rate": 0.2, "text": 0.3, "language": 0.3}
"""Least effect: a tenth of a standard deviation (normalised Wasserstein); Jensen–Shannon distance; Cohen's h; the root of the share of texts that
became wholly other ones. Evidently's defaults, Cohen's small; of texts more than LLMDrift's answers of one month vary in themselves. Of languages
Jensen–Shannon distance too, and more, for texts come in conversations: 0.3 is one of six texts in a language that there was not; one person's few are less."""

LADDER_US = (300_000_000, 1_800_000_000, 7_200_000_000)
YOUNG = 5.0  # times the effect that a reference of less than half an hour needs
YOUNG_TEXTS = 5 / 3  # the same for texts
ITSELF = 1.25  # times as far from the whole as the worst of the reference's own blocks
NEW = 3  # events of a model that nobody saw before
SHOWN = 5
T = TypeVar("T")
_ABSENT = {one.name: one.absent for one in CATEGORIES + LANGUAGES}
_LANGUAGES = tuple(one.name for one in LANGUAGES)
# who serves is a matter of segments: a feature asks for several models
_MODELS = ("response_model", "provider")


class _Looked(NamedTuple):
    """One window against one reference."""

    window_us: int
    window: Window
    reference: Reference


class _Candidate(NamedTuple):
    """A finding that may be one: how great an effect it needs, and how it is told, worked out only for what
    is significant.
    """

    finding: Finding
    least: Callable[[], float]
    told: Callable[[], dict[str, Any]]


class DriftReader:
    """Reads drift rules. What it holds is only kept to be quick. ``pins``: the references that have names."""

    def __init__(self, pane_us: int, pins: PinnedReferences | None = None) -> None:
        self._pane_us = pane_us
        self._references = ReferenceFinder(pins)
        self._texts = TextReader(self._references)

    def read(
        self,
        rule: Drift,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        known_s: float | None,
        since_us: int,
        gating: Collection[str],
        changed: Mapping[str, int],
        cleared_us: int = 0,
    ) -> Reading:
        """What the rule says of a series (``at`` None: the whole feature) at an edge.

        Args:
            known_s: window of the finding that fires, seconds; None if nothing does.
            since_us: what is older is no reference any more.
            gating: evaluators of which the failures are watched by a baseline, and here only where a rule
                names them.
            changed: evaluator (and ``pass_rate``) -> since when it is the one that it is: before, it is
                another statistic.
            cleared_us: the edge at which the rule was last found well again here: no window begins before, or
                what is over would be found anew.
        """
        series, alpha = feature if at is None else feature.segments[at], _alpha(rule.confidence)
        looked = [
            one for window_us in self._windows(rule, edge_us, known_s)
            if (one := self._look(rule, feature, at, series, edge_us, window_us, since_us, cleared_us))
        ]  # fmt: skip
        found = [
            _Candidate(finding, partial(self._least, rule, finding, one.reference), partial(_told, finding, one))
            for one in looked for finding in self._tested(rule, at, one, gating, changed, feature.segments, alpha)
        ]  # fmt: skip
        read = [
            self._texts.read(rule.reference, feature, at, edge_us, since_us, name, cleared_us)
            for name in text_drift.TEXT_NAMES
            if _is_on(rule, name)
        ]
        found += [
            _Candidate(one[0], partial(self._least_of_texts, rule, one[1]), partial(text_drift.told, one[0]))
            for one in read
            if one is not None
        ]
        certain = self._significant(rule, found)
        if not certain:
            return Reading("good" if found else "unknown", _nothing())
        findings = [one.told() for one in certain[:SHOWN]]
        return Reading(
            "breach",
            findings[0]
            | {
                "above": None,
                "below": None,
                "reference_name": rule.reference,
                "findings": findings,
            },
        )

    def _windows(self, rule: Drift, edge_us: int, known_s: float | None) -> list[int]:
        """Lengths to look at: short ones at each edge, long ones every few minutes. While something fires,
        none that is longer than its own: it would still see what is over.
        """
        least_us = max(self._pane_us, round(rule.window * 1e6))
        known_us = None if known_s is None else round(known_s * 1e6)
        longest_us = max(LADDER_US) if known_us is None else max(known_us, LADDER_US[0])
        lengths = [least_us, *(step for step in LADDER_US if least_us < step <= longest_us)]
        return [
            length
            for length in lengths
            if length == known_us
            or edge_us % max(self._pane_us, length // 6 // self._pane_us * self._pane_us) == 0
        ]

    def _look(
        self,
        rule: Drift,
        feature: FeatureState,
        at: SegmentKey | None,
        series: FeatureState | SegmentSeries,
        edge_us: int,
        window_us: int,
        since_us: int,
        cleared_us: int,
    ) -> _Looked | None:
        panes = list(series.window(max(cleared_us, edge_us - window_us), edge_us))
        if not panes or sum(pane.events for pane in panes) < min(NEW, rule.min_events):
            return None
        reference = self._references.find(rule.reference, feature, at, edge_us, window_us, since_us)
        if reference is None:
            return None
        return _Looked(window_us, Window(panes, edge_us - window_us), reference)

    def _tested(
        self,
        rule: Drift,
        at: SegmentKey | None,
        looked: _Looked,
        gating: Collection[str],
        changed: Mapping[str, int],
        segments: Collection[SegmentKey],
        alpha: float,
    ) -> list[Finding]:
        """All that this window can tell: the family that the procedure corrects for. Effects only of what can
        be significant.
        """
        window, reference = looked.window, looked.reference
        window_s, found = looked.window_us / 1e6, []
        for name, other in reference.pane.numbers.items():
            if _is_on(rule, name) and (several := window.numbers(name)):
                number = PooledNumber(several)
                n = number.effective_n
                if n >= rule.min_events and (m := other.effective_n) >= MIN_REFERENCE_EVENTS:
                    shape = _shape(number.shape(other.scale))
                    apart = histogram_distance(self._shape(reference, name, shape.scale), shape, alpha)
                    found.append(
                        Finding(name, "kolmogorov_smirnov", apart.p_value, apart.wasserstein, window_s, n, m)
                    )
        for category in CATEGORIES:
            if _is_on(rule, category.name) and (at is not None or category.name not in _MODELS):
                found += self._category(rule, category.name, category.absent, looked, alpha)
        # as many texts of each: how much of the whole they are is not known
        if at is not None or not any(key.dimensions for key in segments):
            for category in LANGUAGES:
                if _is_on(rule, category.name):
                    found += self._category(rule, category.name, category.absent, looked, alpha)
        for name, held in reference.pane.rates.items():
            evaluator = name.removeprefix("evaluator.").removesuffix(".fail_rate")
            watched = (
                rule.on or name.startswith("feedback.") or (evaluator != name and evaluator not in gating)
            )
            if not watched or not _is_on(rule, name) or changed.get(evaluator, 0) > reference.start_us:
                continue
            if (rate := window.part(name).rates.get(name)) is not None:
                now, then = rate.estimate(0.0, interval=no_interval), held.estimate(0.0, interval=no_interval)
                if (
                    now.n >= rule.min_events
                    and then.n >= MIN_REFERENCE_EVENTS
                    and now.value is not None
                    and then.value is not None
                ):
                    told = DRIFT_TESTS["two_proportions"](
                        _shares_of(then.value, then.n), _shares_of(now.value, window.worth(now.n))
                    )
                    found.append(
                        Finding(
                            name, "two_proportions", told.p_value, abs(told.effect), window_s, now.n, then.n
                        )
                    )
        return found

    def _category(
        self, rule: Drift, name: str, absent: str | None, looked: _Looked, alpha: float
    ) -> list[Finding]:
        before = looked.reference.pane
        if name not in before.categories and name not in looked.window.categories:
            return []
        then, m = _once(looked.reference, ("shares", name), lambda: shares(name, absent, before))
        pane = looked.window.part("error_rate", name)
        now, n = shares(name, absent, pane)
        alike = looked.window.worth(n)
        if (
            not now
            or not then
            or m < MIN_REFERENCE_EVENTS
            or (len(now) == len(then) == 1 and now.keys() == then.keys())
        ):
            return []
        window_s = looked.window_us / 1e6
        if name in _MODELS:
            unseen = {label for label in now if label not in then}
            events = sum(
                count
                for names in pane.categories[name].classes.values()
                for label, count in names.items()
                if label in unseen
            )
            if events >= NEW:
                return [
                    Finding(
                        name,
                        "never_seen",
                        0.0,
                        sum(now[label] for label in unseen) / sum(now.values()),
                        window_s,
                        n,
                        m,
                    )
                ]
        if n < rule.min_events:
            return []
        # not even of two categories would it be significant
        if g_upper_bound(then, m, now, alike) < 0.99 * z_of(rule.confidence) ** 2:
            return [Finding(name, "g", 1.0, 0.0, window_s, n, m)]
        reference, current = Distribution.from_weights(then, m), Distribution.from_weights(now, alike)
        told, apart = DRIFT_TESTS["g"](reference, current), DRIFT_TESTS["jensen_shannon"](reference, current)
        return [Finding(name, "g", told.p_value, apart.effect, window_s, n, m)]

    def _significant(self, rule: Drift, found: list[_Candidate]) -> list[_Candidate]:
        """What is beyond chance, of all that was tested together, and matters; the surest first."""
        alpha = _alpha(rule.confidence)
        ordered = sorted(found, key=lambda one: (one.finding.p_value, one.finding.statistic))
        last = max(
            (
                rank
                for rank, one in enumerate(ordered, 1)
                if one.finding.p_value <= alpha * rank / len(ordered)
            ),
            default=0,
        )
        kept: dict[str, _Candidate] = {}
        for one in ordered[:last]:
            if one.finding.statistic not in kept and one.finding.effect >= one.least():
                kept[one.finding.statistic] = one
        return sorted(
            kept.values(),
            key=lambda one: (one.finding.test != "never_seen", -one.finding.effect, one.finding.statistic),
        )

    def _least_of_texts(self, rule: Drift, reference: TextReference) -> float:
        least = max(rule.effect or 0.0, EFFECTS["text"]) * (YOUNG_TEXTS if reference.is_young else 1)
        return max(least, ITSELF * self._texts.variation(reference))

    def _least(self, rule: Drift, finding: Finding, reference: Reference) -> float:
        """The effect that matters here."""
        if finding.test == "never_seen":
            return 0.0
        kind = (
            "category"
            if finding.statistic in _ABSENT
            else "rate"
            if finding.statistic.endswith("_rate")
            else "number"
        )
        least = (rule.effect or EFFECTS["language" if finding.statistic in _LANGUAGES else kind]) * (
            YOUNG if reference.is_young else 1
        )
        varies = self._variation(reference, finding.statistic, kind)
        # all of the interval must lie beyond it: numbers and arcsines of rates have a standard error of
        # 1/sqrt(n)
        if varies and kind != "category":
            return max(least, ITSELF * varies + z_of(rule.confidence) / math.sqrt(finding.n))
        return max(least, ITSELF * varies)

    def _variation(self, reference: Reference, name: str, kind: str) -> float:
        """How far the worst of the reference's own blocks is from the whole."""
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


def _once(reference: Reference, what: Any, worked_out: Callable[[], T]) -> T:
    """What follows from a reference alone, worked out when it is first asked for."""
    known = reference.cache
    if what not in known:
        known[what] = worked_out()
    found: T = known[what]
    return found


def _told(finding: Finding, looked: _Looked) -> dict[str, Any]:
    return finding.told(looked.window.part("error_rate", finding.statistic), looked.reference)


@cache
def _alpha(confidence: float | None) -> float:
    """The share of false findings of a family, two-sided; None: what the false-page budget asks for."""
    return 2 * NormalDist().cdf(-BUDGET_Z) if confidence is None else 2 * (1 - confidence)


def _apart(block: Pane, whole: Pane, name: str, kind: str) -> float:
    """The effect between a block of the reference and all of it, less what chance gives; 0 where the block
    holds too little.
    """
    if kind == "number":
        if name not in block.numbers:
            return 0.0
        scale = min(block.numbers[name].scale, whole.numbers[name].scale)
        one, other = (
            HistogramShape.from_number(block.numbers[name], scale),
            HistogramShape.from_number(whole.numbers[name], scale),
        )
        if one is None or other is None or one.n < 50:
            return 0.0
        return float(max(0.0, histogram_distance(other, one).wasserstein - 1 / one.n**0.5))
    if kind == "category":
        (now, n), (then, m) = shares(name, _ABSENT[name], block), shares(name, _ABSENT[name], whole)
        if n < 50 or not now or not then:
            return 0.0
        return DRIFT_TESTS["jensen_shannon"](
            Distribution.from_weights(then, m), Distribution.from_weights(now, n)
        ).effect
    if name not in block.rates:
        return 0.0
    now_rate, then_rate = block.rates[name].estimate(1.0), whole.rates[name].estimate(1.0)
    if now_rate.n < 50 or now_rate.value is None or then_rate.value is None:
        return 0.0
    told = DRIFT_TESTS["two_proportions"](
        _shares_of(then_rate.value, then_rate.n), _shares_of(now_rate.value, now_rate.n)
    )
    return float(max(0.0, abs(told.effect) - 1 / now_rate.n**0.5))


def _shares_of(rate: float, n: float) -> Distribution:
    return Distribution((False, True), (1 - rate, rate), n)


def _shape(shape: HistogramShape | None) -> HistogramShape:
    assert shape is not None  # who asks knows that something is counted
    return shape


def _is_on(rule: Drift, name: str) -> bool:
    return rule.on is None or name in rule.on


def _nothing() -> dict[str, Any]:
    return {
        "metric": "drift",
        "value": None,
        "n": 0.0,
        "low": None,
        "high": None,
        "above": None,
        "below": None,
        "window_s": 0.0,
    }
