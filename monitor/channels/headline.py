"""The headline of a message, for channels whose messages are read by people and cannot be changed."""

from __future__ import annotations

from monitor.channels.interface import Step
from monitor.wording import episode_text
from monitor.wording.incident_text import clock

_HEADS = {"high": "PAGE", "low": "TICKET"}
_AGAIN = {"still firing": "STILL FIRING", "updated": "UPDATE", "more features": "UPDATE"}


def headline(step: Step) -> tuple[str, str]:
    """Return the head of a message, and the line under it; neither is sanitized.

    The first word says what the message means: PAGE, TICKET, MISSED, RESOLVED or CLOSED.
    """
    episode = step.episode
    where = episode_text.place(episode)
    if step.action == "note":
        return (
            f"MISSED WHILE DOWN {where}",
            f"Over since {clock(episode.time)}. {episode_text.summary(episode, step.left_out)}",
        )
    if (
        step.action == "resolve" and episode.state != "resolved"
    ):  # the ticket of an episode that became a page
        return f"CLOSED {where}", f"The {_HEADS[step.urgency].lower()} is closed: {step.reason}"
    if step.action == "resolve":
        return (
            f"RESOLVED {where}",
            f"Over since {clock(episode.time)}, began {clock(episode.started_at)}",
        )
    again = _AGAIN.get(step.reason)
    kind = f"{_HEADS[step.urgency]}, {again}" if again else _HEADS[step.urgency]
    return f"{kind}: {where}", f"{episode_text.summary(episode, step.left_out)} ({episode.severity})"
