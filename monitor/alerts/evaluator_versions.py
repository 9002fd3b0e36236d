"""The edge from which the present version of each evaluator, and of the detection of languages, counts.

A changed evaluator is another statistic, and its change is no fall of quality.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from monitor.evaluators.suite import Suite
from monitor.languages import language_detection
from monitor.state.outcome_reports import ABSENT_IS_OK, OutcomeReports
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_definitions import LANGUAGES, evaluator_of_metric
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.config.rules import Rule

PASSES = "pass_rate"  # beside the evaluators in their record of state: all gating ones together
_LANGUAGES = {category.name: f"language@{language_detection.VERSION}" for category in LANGUAGES}
"""Beside the evaluators in the same record."""
_FIRST_LANGUAGES = ("language@1", 0)
"""What a record states that does not name them."""


class EvaluatorVersions:
    """Says which panes a rule may read: the counts of an evaluator of another name, version or parameters are
    not compared with those of now.
    """

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self._config, self._partition_state = config, partition_state
        self._outcomes = OutcomeReports(partition_state)
        self._identities: dict[int, dict[str, str]] = {}
        self._gating: dict[int, tuple[str, ...]] = {}
        # compared since the process started: the configuration does not change meanwhile
        self._compared: set[FeatureKey] = set()

    def look(self, feature: FeatureState, edge_us: int) -> None:
        """Compare a feature's evaluators with those that counted before, once. A changed one counts from the
        first pane that it counts alone. Decide at each edge what absent outcomes count as.
        """
        if feature.key not in self._compared:
            self._compared.add(feature.key)
            self._compare(feature)
        self._outcomes.decide(feature, edge_us)

    def _compare(self, feature: FeatureState) -> None:
        previous = self._partition_state.evaluators.get(feature.key, {})
        last_us = max(
            (start_us for segment in feature.segments.values() for start_us in segment.panes), default=0
        )
        # An evaluator that is not on record has counted nothing, or it counted the state of layout 1.
        current = dict(previous)  # one that was taken out may come back as another
        if PASSES in previous:
            current = dict.fromkeys(_LANGUAGES, _FIRST_LANGUAGES) | current
        for name, identity in (self._identities_of(feature.key) | _LANGUAGES).items():
            if current.setdefault(name, (identity, 0))[0].removesuffix(ABSENT_IS_OK) != identity:
                current[name] = identity, last_us + self._partition_state.pane_us
        if current != previous:
            self._partition_state.evaluators[feature.key] = current
            self._partition_state.mark_feature(feature.key)

    def cleared_us(self, key: FeatureKey, rule: Rule, cleared_us: int | None) -> int | None:
        """Return the edge from which windows of a rule may begin, plus one window, as ``threshold.read``
        takes it.

        ``cleared_us``: the edge at which the rule was last good again.
        """
        _, since_us = self._partition_state.evaluators.get(key, {}).get(evaluator_of(rule.on), ("", 0))
        if not since_us:
            return cleared_us
        return max(since_us + round(rule.window * 1e6), cleared_us or 0)

    def gating(self, key: FeatureKey) -> tuple[str, ...]:
        """Return the evaluators of a feature whose failures count against its pass rate."""
        settings = self._config.feature(key.service, key.feature)
        gating = self._gating.get(id(settings))
        if gating is None:
            suite = self._suite(key)
            gating = tuple(name for name, counts in zip(suite.names, suite.gating, strict=True) if counts)
            self._gating[id(settings)] = gating
        return gating

    def changed(self, key: FeatureKey) -> dict[str, int]:
        """Map each evaluator, ``pass_rate`` and statistic of languages to the edge from which its present
        version counts; 0: always.
        """
        return {
            name: since_us for name, (_, since_us) in self._partition_state.evaluators.get(key, {}).items()
        }

    def _identities_of(self, key: FeatureKey) -> dict[str, str]:
        settings = self._config.feature(key.service, key.feature)
        identities = self._identities.get(id(settings))
        if identities is None:
            suite = self._suite(key)
            gating = [
                identity for identity, counts in zip(suite.versions, suite.gating, strict=True) if counts
            ]
            digest = hashlib.sha256(" ".join(sorted(gating)).encode()).hexdigest()[:12]
            # One that could not be imported counts nothing, and is the same as before once it can be.
            known = (
                (name, version) for name, version in zip(suite.names, suite.versions, strict=True) if version
            )
            identities = dict(known) | {PASSES: digest}
            self._identities[id(settings)] = identities
        return identities

    def _suite(self, key: FeatureKey) -> Suite:
        settings = self._config.feature(key.service, key.feature)
        return Suite.from_settings(settings.evaluators, settings.gating, settings.interaction)


@lru_cache(maxsize=1024)
def evaluator_of(metric: str) -> str:
    """Return the evaluator that counts a metric; `pass_rate` for all gating ones together, empty where there
    is none.

    >>> evaluator_of("evaluator.refusal.fail_rate"), evaluator_of("pass_rate"), evaluator_of("duration_s.p90")
    ('refusal', 'pass_rate', '')
    """
    return PASSES if metric == PASSES else evaluator_of_metric(metric)
