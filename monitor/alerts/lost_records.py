"""Incidents without their episode, and the reverse: one of the two state records was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.incidents.episode import Episode
from monitor.incidents.incident import Incident, IncidentChange
from monitor.incidents.state_change import REOPENED, StateChange
from monitor.windows.segment_keys import SegmentKey

LOST = "an incident of it is gone from the state"

Incidents = dict[tuple[SegmentKey | None, str], Incident]
"""Incidents of a feature, by segment (None: the feature as a whole) and rule."""


def reopened_incidents(episode: Episode | None, incidents: Incidents) -> list[IncidentChange]:
    """Return the incidents that fire in no episode; they are to be written again."""
    return [
        IncidentChange(segment_key, incident, StateChange("firing", REOPENED))
        for (segment_key, _), incident in incidents.items()
        if incident.state == "firing" and (episode is None or not episode.knows(incident.incident_id))
    ]


def drop_lost(episode: Episode | None, incidents: Incidents, changes: Sequence[IncidentChange]) -> list[str]:
    """Resolve the incidents of an episode that are gone from the state: nothing else would ever end them.

    ``changes``: those of this edge. Returns the reason, if there are any such incidents.
    """
    if episode is None:
        return []
    ids = {incident.incident_id for incident in incidents.values()}
    lost = episode.firing - ids - {change.incident.incident_id for change in changes}
    for incident_id in lost:
        episode.let_go(incident_id)
    return [LOST] if lost else []
