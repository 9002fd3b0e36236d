"""How close a threshold rule came to firing where it never fired: looked at at every edge, with the rule's
own reading.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from monitor.rules import threshold
from monitor.rules.evidence import Evidence
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.config.rules import Rule


class Margin(NamedTuple):
    """The reading of a rule at one feature that came closest to a breach. ``distance``: from the interval's
    end to the threshold, in units of the metric; 0 or less is a breach.
    """

    distance: float
    edge_us: int
    evidence: Evidence


class Margins:
    """The nearest reading of each threshold rule at each feature as a whole. Segments are not looked at."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rules = [rule for rule in config.all_rules() if _is_threshold(rule)]
        self._pane_us = config.time.pane_us
        self.nearest: dict[tuple[str, FeatureKey], Margin] = {}

    def look(self, partition_state: PartitionState, edge_us: int) -> None:
        """Read all rules at an edge that was closed."""
        for key, feature in partition_state.features.items():
            if feature.active_us + self._pane_us < edge_us:
                continue  # nothing new: older windows hold what was read before
            name = f"{key.service}/{key.feature}"
            for rule in self._rules:
                if fnmatchcase(name, rule.match) and key.environment in (
                    rule.environments or (key.environment,)
                ):
                    self._read(rule, key, feature, edge_us)

    def _read(self, rule: Rule, key: FeatureKey, feature: threshold.Series, edge_us: int) -> None:
        interaction = self._config.feature(key.service, key.feature).interaction
        evidence = threshold.read(rule, feature, edge_us, interaction).evidence
        if evidence.n < rule.min_events:
            return
        above, below, low, high = evidence.above, evidence.below, evidence.low, evidence.high
        if above is not None and low is not None:
            distance = above - low
        elif below is not None and high is not None:
            distance = high - below
        else:
            return
        known = self.nearest.get((rule.name, key))
        if known is None or distance < known.distance:
            self.nearest[rule.name, key] = Margin(distance, edge_us, evidence)

    def of(self, rule: str, fired: tuple[tuple[str, str, str], ...]) -> tuple[FeatureKey, Margin] | None:
        """The feature that came closest among those where the rule did not fire; None if nobody knows one."""
        others = [
            (key, margin)
            for (name, key), margin in self.nearest.items()
            if name == rule and tuple(key) not in fired
        ]
        return min(others, key=lambda pair: (pair[1].distance, pair[0]), default=None)


def _is_threshold(rule: Rule) -> bool:
    return not rule.is_learnt and rule.level != "segment"
