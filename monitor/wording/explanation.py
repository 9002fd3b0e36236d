"""Add English text to the record of an open episode, for the status page."""

from __future__ import annotations

from typing import Any

from monitor.protocol.messages import to_json
from monitor.wording import episode_text
from monitor.wording.incident_text import sentence
from schemas.records import Episode


def with_text(record: dict[str, Any]) -> dict[str, Any]:
    """Add ``headline``, ``next_step`` and ``findings`` to a record.

    A finding has the ``state`` and the ``rule`` of its incident and its line as ``text``, as the channels
    send it; most important first.

    Args:
        record: an episode with the fields of ``schemas.records.Episode``, with or without incidents.
    """
    episode = Episode.model_validate_json(to_json(record))
    leading = episode_text.leading_incident(episode)
    return {
        **record,
        "findings": [
            {"state": incident.state, "rule": incident.rule, "text": line}
            for incident, lines in episode_text.lines_by_incident(episode)
            for line in lines
        ],
        "headline": sentence(leading) if leading else "",
        "next_step": episode_text.next_step(episode),
    }
