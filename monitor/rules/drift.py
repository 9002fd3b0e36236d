"""Drift: a distribution that changed beyond chance, by an amount that matters, and by more than it usually
varies.

A rule reads windows of several lengths. A short window shows a large change at once; a long window has the
events that show a small change. Benjamini and Hochberg's procedure selects the significant tests. A finding
needs significance (here), the least effect (``drift_effect``) and the least change in its own unit
(``least_change``). ``drift_tests`` makes the tests.

Source: Benjamini, Hochberg, J. R. Statist. Soc. B 57 (1995) 289.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from statistics import NormalDist
from typing import NamedTuple

import msgspec

from monitor.references.blocks import fine_panes, merged_blocks
from monitor.references.finder import ReferenceFinder
from monitor.references.gaps import Gaps
from monitor.references.pinned import PinnedReferences
from monitor.references.reference import TextReference
from monitor.rules import text_drift
from monitor.rules.drift_effect import least_effect, least_text_effect
from monitor.rules.drift_evidence import NEVER_SEEN, DriftResult
from monitor.rules.drift_tests import MIN_EVENTS_UNSEEN, Scope, View, drift_tests
from monitor.rules.evidence import Finding, StatisticFinding, evidence_of, no_evidence
from monitor.rules.least_change import is_large_enough
from monitor.rules.reading import Reading
from monitor.rules.text_drift import TextReader
from monitor.rules.threshold import BUDGET_Z
from monitor.rules.window_view import Window
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import TEXT_CATEGORIES
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US
from monitor.windows.text_blocks import BLOCK_US, TEXT_NAMES
from schemas.config.rules import Drift
from schemas.pin_file import pinned_name
from schemas.times import rfc3339

LADDER_US = (300_000_000, 1_800_000_000, 7_200_000_000)
"""Lengths of the windows that are read besides the rule's own, microseconds."""
_TEXT_CATEGORIES = frozenset(category.name for category in TEXT_CATEGORIES)
MAX_FINDINGS = 5
"""Findings that one reading shows."""


class _Candidate(NamedTuple):
    """A test that may become a finding. ``least`` (the effect that it needs) and ``finding`` are computed
    only for what is significant.
    """

    result: DriftResult
    least: Callable[[], float]
    finding: Callable[[], Finding]


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
        gaps: Gaps = (),
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
            gaps: when incidents of the rule on this series were open.
        """
        alpha = alpha_of(rule.confidence)
        scope = Scope(rule, feature, segment_key, edge_us, since_us, cleared_us, gating, changed, alpha, gaps)
        views = [
            view
            for window_us in self.windows(rule, edge_us, firing_window_s)
            if (view := self._view(scope, window_us))
        ]
        candidates = [
            *(candidate for view in views for candidate in self._candidates(scope, view)),
            *self._text_candidates(scope),
        ]
        significant = self._significant(rule, candidates)
        if not significant:
            return Reading("good" if candidates else "unknown", no_evidence("drift", 0.0))
        findings = tuple(candidate.finding() for candidate in significant[:MAX_FINDINGS])
        if since_us and pinned_name(rule.reference) is None:
            normal = rfc3339(since_us)
            findings = tuple(msgspec.structs.replace(item, became_normal=normal) for item in findings)
        return Reading("breach", evidence_of(findings[0], rule.reference, findings))

    def texts_are_quiet(
        self, rule: Drift, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int
    ) -> bool:
        """Return whether no test of texts is significant, on a series without incidents, gaps and accepted
        changes.
        """
        if edge_us % BLOCK_US:
            return True
        alpha = alpha_of(rule.confidence)
        scope = Scope(rule, feature, segment_key, edge_us, 0, 0, (), {}, alpha, ())
        return all(
            candidate.result.p_value > alpha for candidate in self._text_candidates(scope, sure_alpha=alpha)
        )

    def windows(self, rule: Drift, edge_us: int, firing_window_s: float | None) -> list[int]:
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

    def _view(self, scope: Scope, window_us: int) -> View | None:
        start_us = scope.edge_us - window_us
        window = self._window(scope, max(scope.cleared_us, start_us), start_us)
        if window is None or window.events < min(MIN_EVENTS_UNSEEN, scope.rule.min_events):
            return None
        reference = self._references.find(
            scope.rule.reference,
            scope.feature,
            scope.segment_key,
            scope.edge_us,
            window_us,
            scope.since_us,
            scope.gaps,
        )
        if reference is None:
            return None
        return View(window_us, window, reference)

    def _window(self, scope: Scope, since_us: int, start_us: int) -> Window | None:
        """Return the window from ``since_us`` to the edge; None without panes.

        Long windows that begin and end with blocks of five minutes are read from these.
        """
        edge_us = scope.edge_us
        if BLOCK_US < edge_us - since_us <= FINE_RETENTION_US and not (
            since_us % BLOCK_US or edge_us % BLOCK_US
        ):
            scope.feature.cache.add_late_counts(scope.feature.segments)
            panes = fine_panes(scope.feature, scope.segment_key, since_us, edge_us)
            blocks = merged_blocks(scope.feature, scope.segment_key, since_us, edge_us, 0, ())
            return Window(list(blocks.values()), start_us, len(panes)) if panes else None
        panes = list(scope.series.window(since_us, edge_us))
        return Window(panes, start_us) if panes else None

    def _candidates(self, scope: Scope, view: View) -> Iterator[_Candidate]:
        for result in drift_tests(scope, view):
            yield _Candidate(
                result,
                partial(_least_effect, scope.rule, result, view),
                partial(_finding, result, view),
            )

    def _text_candidates(self, scope: Scope, sure_alpha: float = 0.0) -> Iterator[_Candidate]:
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
                scope.gaps,
                sure_alpha,
            )
            if read is not None:
                result, reference = read
                yield _Candidate(
                    result,
                    partial(self._least_text_effect, scope.rule, reference),
                    partial(text_drift.finding, result),
                )

    def _significant(self, rule: Drift, candidates: list[_Candidate]) -> list[_Candidate]:
        """Return the candidates that are beyond chance, of all that were tested together, and matter: one of
        each statistic. What says in a word what changed comes first, then the greatest effect.
        """
        alpha = alpha_of(rule.confidence)
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
                candidate.result.statistic not in _TEXT_CATEGORIES,
                -candidate.result.effect,
                candidate.result.statistic,
            ),
        )

    def _least_text_effect(self, rule: Drift, reference: TextReference) -> float:
        return least_text_effect(rule, reference, self._texts.variation(reference))


def _least_effect(rule: Drift, result: DriftResult, view: View) -> float:
    """Return the effect that a drift needs; infinite where nothing changed enough to care about."""
    least = least_effect(rule, result, view.reference)
    if result.effect < least:
        return least
    if is_large_enough(rule, result, _part(result, view), view.reference.pane.unpacked()):
        return least
    return math.inf


def _part(result: DriftResult, view: View) -> Pane:
    return view.window.part("error_rate", result.statistic)


def _finding(result: DriftResult, view: View) -> StatisticFinding:
    return result.finding(_part(result, view), view.reference)


@cache
def alpha_of(confidence: float | None) -> float:
    """Return the share of false findings of a family, two-sided; None: the one of the false-page budget."""
    return 2 * NormalDist().cdf(-BUDGET_Z) if confidence is None else 2 * (1 - confidence)
