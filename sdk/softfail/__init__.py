"""Report what your AI feature did, in three lines of code and without risk to the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softfail.events import Evaluation, Event, Feedback, Meter, Response
from softfail.redact import redact
from softfail.response_id import ResponseId

if TYPE_CHECKING:
    from softfail.client import Softfail

__all__ = ["Evaluation", "Event", "Feedback", "Meter", "Response", "ResponseId", "Softfail", "redact"]


def __getattr__(name: str) -> Any:
    """Import ``Softfail`` on first use.

    It imports kafka-python, which takes about a second. Programs that only read events do not need it.
    """
    if name == "Softfail":
        from softfail.client import Softfail

        globals()[name] = Softfail
        return Softfail
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
