"""Add English text to the record of an open episode, for the status page."""

from __future__ import annotations

from typing import Any

from monitor.protocol.messages import to_json
from monitor.wording import episode_text
from monitor.wording.finding_text import measure
from monitor.wording.number_format import span
from schemas.records import Episode, EpisodeIncident
from softfail.sanitize import sanitize


def with_text(record: dict[str, Any]) -> dict[str, Any]:
    """Add ``headline`` and ``next_step`` to a record, and ``text`` to each of its incidents.

    Args:
        record: an episode with the fields of ``schemas.records.Episode``, with or without incidents.
    """
    episode = Episode.model_validate_json(to_json(record))
    worst = next(iter(episode_text.by_importance(episode)), None)
    incidents = [
        {**raw, "text": _text(incident)}
        for raw, incident in zip(record["incidents"], episode.incidents, strict=True)
    ]
    return {
        **record,
        "incidents": incidents,
        "headline": episode_text.sentence(worst) if worst else "",
        "next_step": episode_text.next_step(episode),
    }


def _text(incident: EpisodeIncident) -> str:
    """Write the values of an incident, without the fields that have columns of their own."""
    evidence = incident.evidence
    if incident.text:
        return sanitize(incident.text, 600)
    events = (
        "" if evidence.expected is not None else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    )
    also = [measure(type(evidence).model_construct(**drift.model_dump())) for drift in evidence.findings[1:]]
    return f"{measure(evidence)}{events}{'; also ' if also else ''}{'; '.join(also)}"
