"""Find a partition with more features than are measured: further ones are measured together."""

from __future__ import annotations

from monitor.ingest.feature_settings import MAX_FEATURES
from monitor.self_health.share_checks import HealthFinding
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_keys import OTHER
from monitor.windows.segment_series import HOUR_US

NAME = "too-many-features"


def feature_cap_finding(partition_state: PartitionState) -> list[HealthFinding]:
    """Return one finding if an event of the last hour of event time belongs to a feature beyond the cap, or
    none.

    >>> feature_cap_finding(PartitionState(60_000_000, ""))
    []
    """
    since_us = (partition_state.watermark_us or 0) - HOUR_US
    features = partition_state.features
    others = [state for key, state in features.items() if key[:2] == (OTHER, OTHER)]
    if not any(state.active_us >= since_us for state in others):
        return []
    values = {
        name: len({getattr(key, name) for key in features}) for name in ("feature", "service", "environment")
    }
    name = max(values, key=lambda name: values[name])
    events = sum(sum(state.received.values()) for state in others)
    text = (
        f"over {MAX_FEATURES:,} features within a day, by {values[name]:,} values of `{name}`: {events:,} events of"
        " further features are measured together as `other/other`"
    )
    return [HealthFinding(NAME, "warning", text, min(state.first_us for state in others), float(events))]
