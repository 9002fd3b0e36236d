"""Find features with a label whose values never repeat: it costs what labels are for."""

from __future__ import annotations

from monitor.self_health.share_checks import HealthFinding
from monitor.state.partition_state import PartitionState
from monitor.windows.segment_series import HOUR_US
from softfail.sanitize import sanitize

NAME = "unrepeated-label"


def unrepeated_label_finding(partition_state: PartitionState) -> list[HealthFinding]:
    """Return one finding for all labels that never repeated within the last hour of event time, or none.

    >>> unrepeated_label_finding(PartitionState(60_000_000, ""))
    []
    """
    now_us = partition_state.watermark_us or 0
    labels = [
        (feature.unrepeated.events[name], label.since_us, name, "/".join(feature.key[:2]))
        for feature in partition_state.features.values()
        for name, label in feature.unrepeated.labels.items()
        if feature.unrepeated.events.get(name) and label.last_us >= now_us - HOUR_US
    ]
    if not labels:
        return []
    events, _, name, feature = max(labels)
    more = f"; and {len(labels) - 1} more like it" if len(labels) > 1 else ""
    text = (
        f"nearly every event of {sanitize(feature)} has a {sanitize(name)} of its own, so {events:,} events are"
        f" measured as `other`, and versions of it cannot be compared{more}"
    )
    return [
        HealthFinding(NAME, "warning", text, min(since_us for _, since_us, _, _ in labels), float(events))
    ]
