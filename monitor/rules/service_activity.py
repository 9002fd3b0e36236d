"""When the services of a partition were last active, as a silence compares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from monitor.windows.segment_series import DAY_US


class Activity(NamedTuple):
    """Latest activity of the features of one service in one environment, microseconds since 1970; 0: none.

    ``active_us``: start of the latest pane with an event; ``meter_us``: of the latest meter; ``closed_us``: of
    the latest closing meter.
    """

    active_us: int = 0
    meter_us: int = 0
    closed_us: int = 0


class ServiceActivity:
    """The activity of all services of a partition; computed once an edge, and only if it is asked for."""

    def __init__(self, features: Mapping[FeatureKey, FeatureState]) -> None:
        self._features = features
        self._edge_us = -1
        self._services: dict[tuple[str, str], Activity] = {}
        self._delayed_us = 0

    def of(self, key: FeatureKey, edge_us: int) -> Activity:
        """Return the activity of the service of a feature, as it is at an edge."""
        self._update(edge_us)
        return self._services.get((key.service, key.environment), Activity())

    def delayed_us(self, edge_us: int) -> int:
        """Return when the last delayed meter of any service arrived, microseconds since 1970; 0: never."""
        self._update(edge_us)
        return self._delayed_us

    def _update(self, edge_us: int) -> None:
        if edge_us == self._edge_us:
            return
        self._edge_us, self._delayed_us, self._services = edge_us, 0, {}
        for key, feature in self._features.items():
            meter_us = feature.producers.last_meter_us()
            if max(feature.active_us, meter_us) < edge_us - DAY_US:
                continue
            name = key.service, key.environment
            activity = self._services.get(name, Activity())
            self._services[name] = Activity(
                max(activity.active_us, feature.active_us),
                max(activity.meter_us, meter_us),
                max(activity.closed_us, feature.producers.closed_us()),
            )
            self._delayed_us = max(self._delayed_us, feature.producers.delayed_us())
