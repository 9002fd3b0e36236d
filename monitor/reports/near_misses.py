"""Record how close each threshold rule came to firing on the features where it never fired.

The rules are read at every pane edge, as the monitor itself reads them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from monitor.alerts.judge_corrections import JudgeCorrections
from monitor.rules import threshold
from monitor.rules.evidence import Evidence
from monitor.rules.threshold_resolution import ThresholdResolver
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.config.rules import Rule


class NearMiss(NamedTuple):
    """The reading of a rule on one feature that came closest to a breach.

    ``distance`` is measured from the end of the interval to the threshold, in units of the metric. 0 or less
    is a breach.
    """

    distance: float
    edge_us: int
    evidence: Evidence


class NearMisses:
    """The reading closest to a breach, for each threshold rule and feature. Segments are left out."""

    def __init__(self, config: Config) -> None:
        self._config, self._thresholds = config, ThresholdResolver(config)
        self._rules = [rule for rule in config.all_rules() if _is_threshold(rule)]
        self._pane_us = config.time.pane_us
        self.closest: dict[tuple[str, FeatureKey], NearMiss] = {}

    def read_rules(self, partition_state: PartitionState, edge_us: int) -> None:
        """Read all threshold rules at a closed pane edge."""
        corrections = JudgeCorrections(self._config, partition_state)
        for key, feature in partition_state.features.items():
            if feature.active_us + self._pane_us < edge_us:
                continue  # no new events: every window was read at an earlier edge
            name = f"{key.service}/{key.feature}"
            for rule in self._rules:
                if fnmatchcase(name, rule.match) and key.environment in (
                    rule.environments or (key.environment,)
                ):
                    self._read(rule, key, feature, edge_us, corrections)

    def _read(
        self,
        rule: Rule,
        key: FeatureKey,
        feature: threshold.Series,
        edge_us: int,
        corrections: JudgeCorrections,
    ) -> None:
        limit = self._thresholds.resolve(rule, key.service, key.feature)
        correction = corrections.find(key, rule.on)
        evidence = threshold.read(rule, limit, feature, edge_us, correction=correction).evidence
        if evidence.n < rule.min_events:
            return
        above, below, low, high = evidence.above, evidence.below, evidence.low, evidence.high
        if above is not None and low is not None:
            distance = above - low
        elif below is not None and high is not None:
            distance = high - below
        else:
            return
        previous = self.closest.get((rule.name, key))
        if previous is None or distance < previous.distance:
            self.closest[rule.name, key] = NearMiss(distance, edge_us, evidence)

    def closest_feature(
        self, rule: str, fired: tuple[tuple[str, str, str], ...]
    ) -> tuple[FeatureKey, NearMiss] | None:
        """Return the feature that came closest to a breach, without those in ``fired``; None without a
        reading.
        """
        candidates = [
            (key, near_miss)
            for (name, key), near_miss in self.closest.items()
            if name == rule and tuple(key) not in fired
        ]
        return min(candidates, key=lambda pair: (pair[1].distance, pair[0]), default=None)


def _is_threshold(rule: Rule) -> bool:
    return not rule.is_learnt and rule.level != "segment"
