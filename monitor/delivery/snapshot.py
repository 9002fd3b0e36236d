"""A state of an episode, cut to the size of a state record."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from monitor.rules.drift_evidence import statistic_of
from monitor.wording.incident_importance import by_importance
from schemas.records import Episode, EpisodeIncident

INCIDENT_BYTES = 64 << 10  # of incidents in a snapshot; a state record must stay below 256 KB
OUTPUT_CHARS = 2000


class Snapshot(BaseModel):
    """A state of an episode as channels need it.

    ``left_out``: incidents that were cut off. ``offset``: of its record in the alerts topic.
    """

    model_config = ConfigDict(frozen=True)

    episode: Episode
    left_out: int = 0
    offset: int = 0


def snapshot(episode: Episode, offset: int, most_bytes: int = INCIDENT_BYTES) -> Snapshot:
    """Cut an episode: keep the weightiest incidents up to ``most_bytes``, and 2,000 characters of each
    example.
    """
    incidents: list[EpisodeIncident] = []
    size = 0
    for incident in by_importance(episode):
        size += len(incident.model_dump_json())
        if incidents and size > most_bytes:
            break
        incidents.append(incident)
    examples = [
        example.model_copy(
            update={
                "output": example.output and example.output[:OUTPUT_CHARS],
                "input": example.input and example.input[:OUTPUT_CHARS],
                "reason": example.reason[:OUTPUT_CHARS],
            }
        )
        for example in episode.examples
    ]
    cut = episode.model_copy(update={"incidents": incidents, "examples": examples})
    return Snapshot(episode=cut, left_out=len(episode.incidents) - len(incidents), offset=offset)


def finding_keys(episode: Episode) -> set[str]:
    """Return what counts as new: a rule that was not sent before, its first value that was never seen, a
    statistic that moved, a figure that changed by a factor of two, and an incident that failed again.
    """
    unseen = {
        f"{incident.rule}: {incident.evidence.metric}"
        for incident in episode.incidents
        if incident.evidence.test == "never_seen"
    }
    again = {
        f"{incident.incident_id} again {incident.returned.isoformat()}"
        for incident in episode.incidents
        if incident.returned is not None
    }
    moved = {
        f"{incident.rule}: {statistic_of(finding.metric)}"
        for incident in episode.incidents
        for finding in incident.evidence.findings[1:]
    }
    changed = {
        f"{incident.incident_id} changed {incident.changes}"
        for incident in episode.incidents
        if incident.changes and incident.level == "feature"
    }
    return {incident.rule for incident in episode.incidents} | unseen | again | moved | changed


def member_keys(episode: Episode) -> set[str]:
    """Return the members that its page lists."""
    return {f"with {member.episode_id}" for member in episode.members}
