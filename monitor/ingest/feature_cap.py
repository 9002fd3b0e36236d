"""The feature that counts what is beyond the cap on features of a partition."""

from __future__ import annotations

from collections.abc import Collection

from monitor.windows.segment_keys import OTHER, FeatureKey

MAX_OTHERS = 20
"""Environments whose features beyond the cap are measured apart; more are measured together."""


def other_feature(
    known: Collection[FeatureKey], environment: str, page_environments: Collection[str]
) -> FeatureKey:
    """Return the feature under which a feature beyond the cap is measured: ``other/other`` of its environment,
    or of the environment ``other`` where there are too many of these.

    Args:
        known: the features of the partition.
        environment: of the feature beyond the cap.
        page_environments: environments that page; each of them is measured apart.

    >>> other_feature([], "staging", ["production"])
    FeatureKey(service='other', feature='other', environment='staging')
    >>> many = [FeatureKey("other", "other", f"e{number}") for number in range(20)]
    >>> other_feature(many, "staging", ["production"]).environment
    'other'
    >>> other_feature(many, "production", ["production"]).environment
    'production'
    """
    key = FeatureKey(OTHER, OTHER, environment)
    if key in known or environment in page_environments:
        return key
    others = sum(1 for feature in known if feature.service == OTHER and feature.feature == OTHER)
    return key if others < MAX_OTHERS else FeatureKey(OTHER, OTHER, OTHER)
