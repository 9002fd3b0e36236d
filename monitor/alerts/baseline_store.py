"""The baselines of all series that rules ask for: fed at each edge with what was counted since the last, read
by rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from monitor.alerts.evaluator_versions import Statistics, evaluator_of
from monitor.references.finder import ReferenceFinder
from monitor.rules.learned_baseline import Baseline
from monitor.rules.reading import Reading
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.feature_series import DAY_US, FeatureState
from monitor.windows.pane import merge_rates
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from schemas.config.monitor_config import Config
from schemas.config.rules import GATING, Rule

SHOWN = 5  # findings of one rule


class Baselines:
    """Which rates are learnt of which series follows from the rules."""

    def __init__(self, config: Config, partition_state: PartitionState, statistics: Statistics) -> None:
        self._partition_state, self._statistics = partition_state, statistics
        self._rules = [rule for rule in config.all_rules() if rule.is_learnt]
        self._references = ReferenceFinder()
        self._tidied: set[FeatureKey] = set()
        self._metrics: dict[FeatureKey, tuple[frozenset[str], frozenset[str]]] = {}

    def feed(
        self, feature: FeatureState, fresh: Sequence[tuple[SegmentKey, dict[str, Rate]]], edge_us: int
    ) -> None:
        """Take what was counted of a feature since the last edge, by segment."""
        of_feature, of_segments = self._watched(feature.key)
        self._let_go(feature.key, of_feature, of_segments)
        if not fresh:
            return
        if of_feature:
            self._feed(feature, None, [rates for _, rates in fresh], of_feature, edge_us)
        if of_segments:
            by: dict[SegmentKey, list[dict[str, Rate]]] = {}
            for at, rates in fresh:
                by.setdefault(at, []).append(rates)
            for at in sorted(by.keys() - {OVERFLOW, UNLABELLED}):
                self._feed(feature, at, by[at], of_segments, edge_us)

    def read(self, rule: Rule, feature: FeatureState, at: SegmentKey | None, edge_us: int) -> Reading:
        """What a rule says of a series (``at`` None: the whole feature)."""
        held = self._partition_state.baselines.get(feature.key, {}).get(at, {})
        names = [name for name in self._of(rule, feature.key) if name in held]
        found = [
            held[name].told(name, edge_us, self._partition_state.pane_us)
            for name in names
            if held[name].risen is not None
        ]
        if not found:
            return Reading("good" if names else "unknown", _nothing(rule))
        found.sort(key=lambda one: (-one["effect"], one["metric"]))
        return Reading(
            "breach",
            {
                **found[0],
                "above": None,
                "below": None,
                "reference_name": "baseline",
                "findings": found[:SHOWN],
            },
        )

    def forget(self, rule: Rule, feature: FeatureState, at: SegmentKey | None) -> None:
        """Learn anew what the rule asks for."""
        held = self._partition_state.baselines.get(feature.key, {}).get(at, {})
        for name in self._of(rule, feature.key):
            held.pop(name, None)
        self._partition_state.mark_baselines(feature.key, at)

    def _feed(
        self,
        feature: FeatureState,
        at: SegmentKey | None,
        several: Sequence[dict[str, Rate]],
        names: frozenset[str],
        edge_us: int,
    ) -> None:
        several = [{name: rates[name] for name in names & rates.keys()} for rates in several]
        rates = several[0] if len(several) == 1 else merge_rates(*several)
        if not rates:
            return
        held = self._partition_state.baselines.setdefault(feature.key, {}).setdefault(at, {})
        changed, pane_us = self._statistics.changed(feature.key), self._partition_state.pane_us
        usual, frozen = self._references.cycle(feature, at, edge_us), self._is_frozen(feature.key, edge_us)
        for name in sorted(rates):
            since_us = changed.get(evaluator_of(name), 0)
            baseline = held.get(name)
            if baseline is None or baseline.begun_us < since_us:  # a changed evaluator is another statistic
                baseline = held[name] = Baseline(max(edge_us, since_us))
            if edge_us > since_us:
                baseline.feed(rates[name], edge_us, pane_us, frozen=frozen, tolerance=usual.tolerance(name))
        self._partition_state.mark_baselines(feature.key, at)

    def _is_frozen(self, key: FeatureKey, edge_us: int) -> bool:
        """Whether an incident is open that began within a day: one that lasts longer (a ticket against a
        pinned reference) must not keep all from learning.
        """
        episode = self._partition_state.episodes.get(key)
        return episode is not None and edge_us - episode.started_us < DAY_US

    def _let_go(self, key: FeatureKey, of_feature: frozenset[str], of_segments: frozenset[str]) -> None:
        """Forget, once after a start, what no rule asks for any more: if one does again, it is of no use by
        then.
        """
        if key in self._tidied:
            return
        self._tidied.add(key)
        for at, held in self._partition_state.baselines.get(key, {}).items():
            for name in held.keys() - (of_feature if at is None else of_segments):
                del held[name]
                self._partition_state.mark_baselines(key, at)

    def _watched(self, key: FeatureKey) -> tuple[frozenset[str], frozenset[str]]:
        """Metrics to learn of a feature as a whole, and of its segments."""
        known = self._metrics.get(key)
        if known is None:
            rules = [
                rule for rule in self._rules
                if fnmatchcase(f"{key.service}/{key.feature}", rule.match) and key.environment in (rule.environments or (key.environment,))
            ]  # fmt: skip
            known = self._metrics[key] = (
                frozenset(name for rule in rules if rule.level != "segment" for name in self._of(rule, key)),
                frozenset(name for rule in rules if rule.level != "feature" for name in self._of(rule, key)),
            )
        return known

    def _of(self, rule: Rule, key: FeatureKey) -> tuple[str, ...]:
        """The metrics of a rule."""
        return (
            tuple(f"evaluator.{name}.fail_rate" for name in self._statistics.gating(key))
            if rule.on == GATING
            else (rule.on,)
        )


def _nothing(rule: Rule) -> dict[str, Any]:
    return {
        "metric": rule.on,
        "value": None,
        "n": 0.0,
        "low": None,
        "high": None,
        "above": None,
        "below": None,
        "window_s": rule.window,
    }
