"""Settings of features, looked up once a name."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.evaluators.suite import Suite
from monitor.evaluators.user_evaluator import Verdicts
from schemas.config.monitor_config import Config
from softfail.partitioning import partition_of

MAX_FEATURES = 1000
"""Features of a partition that were active in the last 24 hours."""


class FeatureSetting(NamedTuple):
    """What the configuration says about a feature.

    ``dimensions``: names. ``is_here``: whether its events belong to this partition.
    """

    dimensions: tuple[str, ...]
    suite: Suite
    is_here: bool


class FeatureSettings:
    """Settings of the features of one partition.

    Args:
        partition, partitions: of the events topic; 0 partitions: every event belongs here.
    """

    def __init__(self, config: Config, partition: int, partitions: int) -> None:
        self._config, self._partition, self._partitions = config, partition, partitions
        self._suites: dict[int, Suite] = {}
        self._settings: dict[tuple[str, str], FeatureSetting] = {}
        self._verdicts: Verdicts = {}

    def find(self, service: str, feature: str) -> FeatureSetting:
        """Return the settings of a feature."""
        setting = self._settings.get((service, feature))
        if setting is None:
            config = self._config.feature(service, feature)
            suite = self._suites.get(id(config)) or self._suites.setdefault(
                id(config), Suite.from_settings(config.evaluators, config.gating, config.interaction)
            )
            for evaluator in suite.users:
                evaluator.verdicts = self._verdicts
            is_here = (
                not self._partitions or partition_of(service, feature, self._partitions) == self._partition
            )
            if len(self._settings) >= 10 * MAX_FEATURES:  # names come from outside
                self._settings.clear()
            setting = self._settings[service, feature] = FeatureSetting(config.dimensions, suite, is_here)
        return setting

    def give(self, verdicts: Verdicts) -> None:
        """Give the evaluators of users their verdicts on the next events."""
        self._verdicts = verdicts
        for suite in self._suites.values():
            for evaluator in suite.users:
                evaluator.verdicts = verdicts

    def dimension_values(self, event: Any) -> tuple[tuple[str, str], ...]:
        """Return name and value of each dimension of an event; empty where it has none."""
        return tuple(
            (name, event.dimensions.get(name, ""))
            for name in self.find(event.service, event.feature).dimensions
        )
