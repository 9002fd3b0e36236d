"""An example of a failing response."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Example(TypedDict):
    """A failing response as an episode shows it: redacted and cut. ``time``: RFC 3339.

    The optional fields are missing in state that an older release wrote.
    """

    event_id: str
    time: str
    model: str
    evaluator: str
    reason: str
    output: str | None
    input: NotRequired[str | None]
    prompt_version: NotRequired[str]
    session_id: NotRequired[str]
    trace_id: NotRequired[str]
