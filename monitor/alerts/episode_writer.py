"""Episode writer: changes of incidents become transitions and episodes on the alerts topic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from monitor.alerts.page_policy import PagePolicy
from monitor.diagnosis.attribution import origin_of
from monitor.diagnosis.failing_evaluator import failure_kind
from monitor.diagnosis.likely_causes import gravest, likely_causes, since_us
from monitor.incidents.episode import Episode, begun
from monitor.incidents.incident import Incident, IncidentChange, transition
from monitor.incidents.records import ShownIncident
from monitor.incidents.state_change import GOES_ON, REOPENED, StateChange
from monitor.ingest.failure_samples import chosen
from monitor.protocol.messages import Outputs
from monitor.references.gaps import BEFORE_US
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from schemas.config.monitor_config import Config

SPANS = 100  # episodes of which a feature remembers when they were
_PAGE_OVER = "nothing that pages fires any more"
_REST_GOES_ON = "; what only warns goes on as a ticket of its own"


class Edge(NamedTuple):
    """A pane edge of one feature.

    ``edge_us``: microseconds since 1970. ``decided_us``: the wall clock. ``late``: the edge lies over 24 h
    behind the wall clock, so what happens at it is recorded and pages nobody. ``out``: takes the records.
    """

    feature: FeatureState
    edge_us: int
    decided_us: int
    late: bool
    out: Outputs


class EpisodeWriter:
    """Writes the changes of one feature after the other."""

    def __init__(
        self,
        config: Config,
        partition_state: PartitionState,
        policy: PagePolicy,
        gating: Callable[[FeatureKey], Collection[str]],
    ) -> None:
        self._config, self._partition_state, self._policy = config, partition_state, policy
        self._gating = gating  # the evaluators that count in the pass rate of a feature

    def write(self, edge: Edge, changes: Sequence[IncidentChange], reasons: Sequence[str]) -> None:
        """Write the changes of an edge, and the feature's episode if it changed.

        ``reasons``: why the episode is written, beside the changes.
        """
        feature, reasons = edge.feature, list(reasons)
        episode = self._partition_state.episodes.get(feature.key)
        if episode is None and not changes:
            return
        if (
            episode is not None
            and not reasons
            and self._policy.has_calmed(feature, episode, changes, edge.edge_us)
        ):
            changes, episode = self._end_page(edge, episode, changes), None
        state = "updated"
        for change in changes:
            was_known = episode is not None and episode.knows(change.incident.incident_id)
            if change.state == "firing" or was_known:
                if episode is None:
                    episode, state = self._open(edge, change), "opened"
                rose = self._show(edge, episode, change)
                state = "escalated" if rose and state != "opened" else state
                reasons.append(f"{change.incident.rule}: {change.reason}")
                self._write_transition(edge, change, episode)
            else:
                self._write_transition(edge, change, None)
        if episode is None:
            return
        muted = "over 24 h old on arrival" if edge.late and not self._config.page_old_events else ""
        if muted != episode.muted:
            episode.muted = muted
            reasons = reasons or [
                "it is over 24 h old" if muted else "it still lasts, and is no longer over 24 h old"
            ]
        if reasons:
            self._write_episode(edge, episode, state, "; ".join(dict.fromkeys(reasons)))

    def _open(self, edge: Edge, change: IncidentChange) -> Episode:
        """Open the episode of a feature with its first firing incident."""
        feature, incident = edge.feature, change.incident
        incident_id = incident.incident_id
        # one that fired in another episode before must give this one another id
        if change.reason in (REOPENED, GOES_ON) or change.is_news:
            incident_id = f"{incident_id} again at {edge.edge_us}"
        episode = begun(feature.key, incident_id, incident.since_us)
        self._partition_state.episodes[feature.key] = episode
        self._partition_state.mark_feature(feature.key)
        feature.incident_spans = [*feature.incident_spans[-SPANS + 1 :], [incident.since_us - BEFORE_US, 0]]
        return episode

    def _show(self, edge: Edge, episode: Episode, change: IncidentChange) -> bool:
        """Update an incident in its episode; return whether the urgency rose."""
        key, incident = edge.feature.key, change.incident
        shown = episode.incidents.get(incident.incident_id)
        rose = episode.take(
            self._shown(edge, change.segment_key, incident, change.state, shown.returned if shown else ""),
            may_page=key.environment in self._config.page_environments,
        )
        episode.started_us = min(episode.started_us, incident.since_us)
        return rose

    def _shown(
        self,
        edge: Edge,
        segment_key: SegmentKey | None,
        incident: Incident,
        state: str,
        returned: str = "",
    ) -> ShownIncident:
        key = edge.feature.key
        kind = failure_kind(edge.feature, segment_key, incident.evidence, edge.edge_us, self._gating(key))
        return incident.shown(key, segment_key, state, returned, kind=kind)

    def _refresh(self, edge: Edge, episode: Episode) -> None:
        """Bring the figures of all firing incidents up to date, because one record states them as of now."""
        incidents = self._partition_state.incidents.get(edge.feature.key, {})
        for (segment_key, _), incident in incidents.items():
            shown = episode.incidents.get(incident.incident_id)
            if shown is not None and shown.is_firing:
                incident.written |= {figure.metric: figure for figure in incident.present}
                episode.incidents[incident.incident_id] = self._shown(
                    edge, segment_key, incident, "firing", shown.returned
                )

    def _end_page(
        self, edge: Edge, episode: Episode, changes: Sequence[IncidentChange]
    ) -> list[IncidentChange]:
        """Resolve an episode of which only warnings are left; return the changes of the next episode."""
        key, rest, reasons = edge.feature.key, list[IncidentChange](), list[str]()
        for change in changes:
            incident = change.incident
            if change.state == "resolved" and episode.knows(incident.incident_id):
                self._show(edge, episode, change)
                reasons.append(f"{incident.rule}: {change.reason}")
                self._write_transition(edge, change, episode)
            else:
                rest.append(change)
        going_on = [
            IncidentChange(segment_key, incident, StateChange("firing", GOES_ON))
            for (segment_key, _), incident in self._partition_state.incidents.get(key, {}).items()
            if incident.state == "firing" and episode.knows(incident.incident_id)
        ]
        for change in going_on:
            episode.part(change.incident.incident_id)
        over = f"{_PAGE_OVER}{_REST_GOES_ON if going_on else ''}"
        self._write_episode(edge, episode, "resolved", "; ".join(dict.fromkeys([*reasons, over])))
        return rest + going_on

    def _write_transition(self, edge: Edge, change: IncidentChange, episode: Episode | None) -> None:
        if change.is_news:  # the incident's state stays as it is
            return
        key = edge.feature.key
        record = transition(
            key,
            change.segment_key,
            change.incident,
            change.change,
            episode.episode_id if episode is not None else None,
            edge.edge_us,
            edge.decided_us,
        )
        edge.out.write("alerts", f"{key.service}/{key.feature}".encode(), record, 0)

    def _write_episode(self, edge: Edge, episode: Episode, state: str, reason: str) -> None:
        feature, key = edge.feature, edge.feature.key
        if episode.over:
            state = "resolved"
            del self._partition_state.episodes[key]
            for span in feature.incident_spans:
                span[1] = span[1] or edge.edge_us
            self._partition_state.mark_feature(key)
        self._refresh(edge, episode)
        self._partition_state.mark_episode(key)
        shown = gravest(episode.incidents.values())
        metrics = [incident.evidence.metric for incident in (*shown, *episode.shown_firing())]
        record = episode.record(
            state,
            reason,
            edge.edge_us,
            edge.decided_us,
            self._config.kafka.prefix,
            chosen(feature.examples, metrics),
            likely_causes(feature, episode.incidents, edge.edge_us, self._partition_state.rolled_us),
            origin_of(feature, episode.incidents, since_us(shown) or episode.started_us, edge.edge_us),
        )
        edge.out.write("alerts", f"{key.service}/{key.feature}".encode(), record, 0)
