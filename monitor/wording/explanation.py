"""What the status page adds to the record of an open episode: its incidents in words, the worst of them, and
what to do next.
"""

from __future__ import annotations

from typing import Any

from monitor.protocol.messages import to_json
from monitor.wording import episode_text
from monitor.wording.finding_text import measure
from monitor.wording.number_format import span
from schemas.records import Episode, EpisodeIncident
from softfail.sanitize import sanitize


def explained(record: dict[str, Any]) -> dict[str, Any]:
    """The record with ``headline`` and ``next_step``, as a page has them, and a ``text`` for each incident.

    Args:
        record: an episode as ``schemas.records.Episode`` has it, with or without incidents.
    """
    episode = Episode.model_validate_json(to_json(record))
    worst = next(iter(episode_text.by_weight(episode)), None)
    told = [
        {**raw, "text": _text(one)} for raw, one in zip(record["incidents"], episode.incidents, strict=True)
    ]
    return {
        **record,
        "incidents": told,
        "headline": episode_text.sentence(worst) if worst else "",
        "next_step": episode_text.next_step(episode),
    }


def _text(incident: EpisodeIncident) -> str:
    """Measure and amount, without what stands in columns of their own."""
    evidence = incident.evidence
    if incident.text:
        return sanitize(incident.text, 600)
    events = (
        "" if evidence.expected is not None else f", {evidence.n:,.0f} events in {span(evidence.window_s)}"
    )
    also = [
        measure(one)
        for one in (type(evidence).model_construct(**moved.model_dump()) for moved in evidence.findings[1:])
    ]
    return f"{measure(evidence)}{events}{'; also ' if also else ''}{'; '.join(also)}"
