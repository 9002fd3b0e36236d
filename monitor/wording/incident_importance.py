"""Order the incidents of an episode by importance."""

from __future__ import annotations

from monitor.protocol.severity import PAGING, severity_rank
from monitor.windows.failure_kind import SILENCE, kind_of
from monitor.windows.figure_comparison import is_wrong_now
from schemas.records import Episode, EpisodeIncident


def by_importance(episode: Episode) -> list[EpisodeIncident]:
    """Sort the incidents, most important first: firing, paging, wrong now, silence (all other figures of a
    silent feature are old), the kind for which the page rings, what failed before that answers do not pass, by
    severity, whole feature, earliest.
    """

    def sort_key(incident: EpisodeIncident) -> tuple[object, ...]:
        return (
            incident.state != "firing",
            incident.severity not in PAGING,
            not is_wrong_now(incident),
            incident.kind != SILENCE,
            incident.kind != episode.lead,
            incident.evidence.metric == "pass_rate",
            -severity_rank(incident.severity),
            incident.level != "feature",
            incident.since,
            incident.incident_id,
        )

    return sorted((_led_by(incident, episode.lead) for incident in episode.incidents), key=sort_key)


def _led_by(incident: EpisodeIncident, kind: str) -> EpisodeIncident:
    """Let an incident lead with its finding of a kind, if it has one."""
    evidence = incident.evidence
    finding = next((finding for finding in evidence.findings if kind_of(finding.metric) == kind), None)
    if finding is None or incident.kind == kind:
        return incident
    findings = [finding, *(other for other in evidence.findings if other is not finding)]
    figures = [*incident.also_present, *([incident.present] if incident.present else [])]
    return incident.model_copy(
        update={
            "kind": kind,
            "evidence": evidence.model_copy(
                update={**{name: getattr(finding, name) for name in type(finding).model_fields}}
                | {"findings": findings}
            ),
            "worst": None,
            "present": next((figure for figure in figures if figure.metric == finding.metric), None),
            "also_present": [figure for figure in figures if figure.metric != finding.metric],
        }
    )
