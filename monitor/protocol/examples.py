"""An example of a failing response."""

from __future__ import annotations

from typing import TypedDict


class Example(TypedDict):
    """A failing response as an episode shows it: redacted and cut. ``time``: RFC 3339."""

    event_id: str
    time: str
    model: str
    evaluator: str
    reason: str
    output: str | None
