"""softfail: report what your AI feature did, in three lines and without risk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softfail.events import Evaluation, Event, Feedback, Meter, Response
from softfail.redact import redact
from softfail.response_id import ResponseId

if TYPE_CHECKING:
    from softfail.client import Softfail

__all__ = ["Evaluation", "Event", "Feedback", "Meter", "Response", "ResponseId", "Softfail", "redact"]


def __getattr__(name: str) -> Any:
    """``Softfail`` comes when it is first asked for: it brings kafka-python, a second that who only reads
    events need not wait.
    """
    if name == "Softfail":
        from softfail.client import Softfail

        globals()[name] = Softfail
        return Softfail
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
