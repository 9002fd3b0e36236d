"""A response in normal form: what evaluators judge, whatever its provider."""

from __future__ import annotations

from typing import Any

from monitor.normal_form.finish_reason import Finish, finish_of
from monitor.normal_form.reasoning import answer_of, may_think


class NormalResponse:
    """A response whose fields say what its provider means; all other fields are those of the event.

    Attributes:
        output: the answer without thoughts; empty if there are only thoughts.
        output_chars: characters of ``output`` if it was changed.
        error_type: that of the event, or the finish reason that states an error.
    """

    __slots__ = ("_event", "error_type", "output", "output_chars")

    def __init__(self, event: Any, output: str | None, error_type: str) -> None:
        self._event = event
        self.output = output
        self.output_chars = event.output_chars if output is event.output or output is None else len(output)
        self.error_type = error_type

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)


def normal_form(event: Any) -> Any:
    """Return a decoded response in normal form: the event itself, in nearly all cases."""
    output, error_type = event.output, event.error_type
    answer = answer_of(output) if output and may_think(output) else output
    if not error_type and finish_of(event.finish_reason) is Finish.ERROR:
        error_type = f"finish reason {event.finish_reason}"
    elif answer is output:
        return event
    return NormalResponse(event, answer, error_type)


def call_failed(event: Any) -> bool:
    """Return whether the call of a response failed: it has an error type, or a finish reason of an error."""
    return bool(event.error_type) or finish_of(event.finish_reason) is Finish.ERROR
