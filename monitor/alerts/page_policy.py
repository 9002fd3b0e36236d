"""Page policy: which incident may page, when a page is over, and when a return is the same page.

Everything here only decides; ``monitor.alerts.engine`` and ``monitor.alerts.episode_writer`` act.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident, IncidentChange
from monitor.protocol.messages import to_json
from monitor.protocol.severity import PAGING
from monitor.rules.reading import Reading
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import SegmentKey, segment_labels, segment_to_json
from monitor.windows.segment_series import HOUR_US, SegmentSeries
from schemas.config.rules import Watched

GONE_US = 15 * 60 * 1_000_000
"""A segment is gone after this silence, or after its rule's window if that is longer."""
CALM_US = HOUR_US
"""After the last paging incident the page is over; what only warns goes on as a ticket of its own."""
FRESH_US = 15 * 60 * 1_000_000
"""A paging incident that comes so long after the last one is another page."""
RELAPSE_US = HOUR_US
"""An incident that returns within this time after its end is over when it has been good for as long."""


def series_name(segment_key: SegmentKey | None, rule_name: str) -> str:
    """Name a rule on a series by one text, for ``FeatureState.accepted_since``, ``resolved_edges`` and
    ``reference_gaps``.
    """
    return to_json([rule_name, segment_to_json(segment_key)]).decode()


class PagePolicy:
    """Decides by the state of a partition. ``rules``: all of the configuration."""

    def __init__(self, partition_state: PartitionState, rules: Iterable[Watched]) -> None:
        self._partition_state = partition_state
        # how names of ``series_name`` begin
        self._paging = tuple(
            to_json([rule.name]).decode()[:-1] + "," for rule in rules if rule.severity in PAGING
        )

    def severity(self, rule: Watched, feature: FeatureState) -> str:
        """Return the severity of a new incident: the rule's; a warning on a feature that was never good,
        where the rule asks for that.
        """
        is_newborn = not rule.page_newborn and rule.name not in feature.healthy_rules
        return "warning" if rule.severity in PAGING and is_newborn else rule.severity

    def is_gone(self, rule: Watched, feature: FeatureState, segment: SegmentSeries, edge_us: int) -> bool:
        """Whether a segment is silent while its feature has traffic."""
        since_us = edge_us - max(GONE_US, round(rule.window * 1e6))
        active_us = segment.active_us
        # rolled up: a restored segment knows it by the hour, and a running one must decide the same
        if active_us < self._partition_state.rolled_us:
            active_us = active_us // HOUR_US * HOUR_US
        return (
            active_us + self._partition_state.pane_us
            <= since_us
            < feature.active_us + self._partition_state.pane_us
        )

    def is_relapse(
        self,
        rule: Watched,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        incident: Incident,
        reading: Reading,
    ) -> bool:
        """Whether an incident that may resolve now had returned soon after its end, in this episode or one
        before. Otherwise a rate that moves around its threshold for hours would page each time.
        """
        cleared_us = feature.resolved_edges.get(series_name(segment_key, rule.name), -RELAPSE_US)
        if (
            incident.state != "firing"
            or reading.state != "good"
            or incident.since_us - cleared_us > RELAPSE_US
        ):
            return False
        return self._has_ended_here(rule, feature, segment_key) or any(
            incident.since_us - RELAPSE_US <= end_us <= incident.since_us
            for _, end_us in feature.incident_spans
        )

    def _has_ended_here(self, rule: Watched, feature: FeatureState, segment_key: SegmentKey | None) -> bool:
        """Whether the open episode shows an incident of this rule and series that has resolved. One that was
        only pending is not shown.
        """
        episode = self._partition_state.episodes.get(feature.key)
        series = segment_labels(feature.key, segment_key).items()
        return episode is not None and any(
            shown.rule == rule.name
            and shown.state == "resolved"
            and all(getattr(shown, name) == value for name, value in series)
            for shown in episode.incidents.values()
        )

    def has_calmed(
        self, feature: FeatureState, episode: Episode, changes: Sequence[IncidentChange], edge_us: int
    ) -> bool:
        """Whether a page is over: no paging incident fires any more, for so long. Otherwise the page would
        stay open as long as any warning does, and a new fault would only add to a page that somebody has
        dealt with.
        """
        firing = [
            incident
            for incident in self._partition_state.incidents.get(feature.key, {}).values()
            if incident.state == "firing"
        ]
        # an edited rule's too, whose end is not recorded as cleared
        ending = [change.incident for change in changes if change.state == "resolved"]
        if episode.urgency != "high" or any(
            incident.severity in PAGING and episode.knows(incident.incident_id)
            for incident in (*firing, *ending)
        ):
            return False
        ended_us = max(
            (end_us for name, end_us in feature.resolved_edges.items() if name.startswith(self._paging)),
            default=0,
        )
        is_fresh = any(change.state == "firing" and change.incident.severity in PAGING for change in changes)
        return edge_us - ended_us >= (FRESH_US if is_fresh else CALM_US)
