"""Since when each evaluator of a feature is the one that it is: a changed one is another statistic, and its
change is no drop.
"""

from __future__ import annotations

import hashlib

from monitor.evaluators.suite import Suite
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.config.rules import Rule

PASSES = "pass_rate"  # in the record of state beside evaluators: what all gating ones say together


class Statistics:
    """Which panes a rule may look at. What was counted by an evaluator of another name, version or parameters
    is not compared with what counts now.
    """

    def __init__(self, config: Config, partition_state: PartitionState) -> None:
        self._config, self._partition_state = config, partition_state
        self._identities: dict[int, dict[str, str]] = {}
        self._suites: dict[int, tuple[tuple[str, bool], ...]] = {}
        # compared since the process started: the configuration does not change meanwhile
        self._known: set[FeatureKey] = set()

    def look(self, feature: FeatureState) -> None:
        """Compare a feature's evaluators with those that counted before, once; what differs begins with the
        first pane that it counts alone.
        """
        if feature.key in self._known:
            return
        self._known.add(feature.key)
        now = self._identities_of(feature.key)
        before = self._partition_state.evaluators.get(feature.key, {})
        changed_us = (
            max((at for segment in feature.segments.values() for at in segment.panes), default=0)
            + self._partition_state.pane_us
        )
        # An evaluator that is not on record has counted nothing, or is what a state of layout 1 was counted
        # with.
        found = dict(before)  # one that was taken out may come back as another
        for name, identity in now.items():
            if found.setdefault(name, (identity, 0))[0] != identity:
                found[name] = identity, changed_us
        if found != before:
            self._partition_state.evaluators[feature.key] = found
            self._partition_state.mark_feature(feature.key)

    def cleared_us(self, key: FeatureKey, rule: Rule, cleared_us: int | None) -> int | None:
        """The edge from which windows of a rule may begin, plus one window, as ``threshold.read`` takes it.

        ``cleared_us``: where the rule was last found well again.
        """
        _, since_us = self._partition_state.evaluators.get(key, {}).get(evaluator_of(rule.on), ("", 0))
        if not since_us:
            return cleared_us
        return max(since_us + round(rule.window * 1e6), cleared_us or 0)

    def gating(self, key: FeatureKey) -> tuple[str, ...]:
        """Evaluators of a feature whose failures count against its pass rate."""
        return tuple(name for name, counts in self._suite(key) if counts)

    def changed(self, key: FeatureKey) -> dict[str, int]:
        """Evaluator (and ``pass_rate``) -> since when it is the one that it is, 0: since ever."""
        return {
            name: since_us for name, (_, since_us) in self._partition_state.evaluators.get(key, {}).items()
        }

    def _suite(self, key: FeatureKey) -> tuple[tuple[str, bool], ...]:
        settings = self._config.feature(key.service, key.feature)
        known = self._suites.get(id(settings))
        if known is None:
            suite = Suite.of(settings.evaluators, settings.gating, settings.interaction)
            known = self._suites[id(settings)] = tuple(zip(suite.names, suite.gating, strict=True))
        return known

    def _identities_of(self, key: FeatureKey) -> dict[str, str]:
        settings = self._config.feature(key.service, key.feature)
        known = self._identities.get(id(settings))
        if known is None:
            suite = Suite.of(settings.evaluators, settings.gating, settings.interaction)
            gating = [
                identity for identity, counts in zip(suite.versions, suite.gating, strict=True) if counts
            ]
            known = dict(zip(suite.names, suite.versions, strict=True)) | {
                PASSES: hashlib.sha256(" ".join(sorted(gating)).encode()).hexdigest()[:12]
            }
            self._identities[id(settings)] = known
        return known


def evaluator_of(metric: str) -> str:
    """The evaluator that counts a metric; `pass_rate` for what all gating ones say together, empty where none
    does.

    >>> evaluator_of("evaluator.refusal.fail_rate"), evaluator_of("pass_rate"), evaluator_of("duration_s.p90")
    ('refusal', 'pass_rate', '')
    """
    return PASSES if metric == PASSES else metric.split(".")[1] if metric.startswith("evaluator.") else ""
