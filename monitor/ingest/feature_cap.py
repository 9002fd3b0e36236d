"""The cap on the features of a partition, and the feature that counts what is beyond it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from monitor.ingest.feature_settings import MAX_FEATURES
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OTHER, FeatureKey
from monitor.windows.segment_series import DAY_US

MAX_OTHERS = 20
"""Environments whose features beyond the cap are measured apart; more are measured together."""


class FeatureCap:
    """Finds under which feature events are measured.

    Args:
        features: of the partition.
        page_environments: environments that page; each is measured apart beyond the cap, too.
    """

    def __init__(
        self, features: Mapping[FeatureKey, FeatureState], page_environments: Collection[str]
    ) -> None:
        self._features, self._page_environments = features, page_environments
        # number of features and pane at which the cap was reached: it is looked for once, not for each name
        self._full: tuple[int, int] | None = None
        self._others = 0, 0  # number of features, and how many of them are `other/other`

    def key_of(self, key: FeatureKey, pane_us: int) -> FeatureKey:
        """Return the key itself, or that of ``other/other`` if 1,000 other features were active within a day.

        ``pane_us``: start of the pane of the event, microseconds since 1970.
        """
        features = self._features
        if key in features or len(features) < MAX_FEATURES:
            return key
        if self._full != (len(features), pane_us):
            since_us = pane_us - DAY_US
            # `active_us` of a new feature is set when its events are counted, which depends on bundles
            active = sum(
                1 for state in features.values() if state.active_us >= since_us or state.first_us >= since_us
            )
            if active < MAX_FEATURES:
                return key
            self._full = len(features), pane_us
        return self.other(key.environment)

    def other(self, environment: str) -> FeatureKey:
        """Return the feature beyond the cap: ``other/other`` of its environment, or of the environment
        ``other`` where there are too many of these.

        >>> FeatureCap({}, ["production"]).other("staging")
        FeatureKey(service='other', feature='other', environment='staging')
        >>> many = {FeatureKey("other", "other", f"e{number}"): None for number in range(20)}
        >>> FeatureCap(many, ["production"]).other("staging").environment
        'other'
        >>> FeatureCap(many, ["production"]).other("production").environment
        'production'
        """
        features, key = self._features, FeatureKey(OTHER, OTHER, environment)
        if key in features or environment in self._page_environments:
            return key
        if self._others[0] != len(features):
            others = sum(1 for known in features if known.service == OTHER and known.feature == OTHER)
            self._others = len(features), others
        return key if self._others[1] < MAX_OTHERS else FeatureKey(OTHER, OTHER, OTHER)
