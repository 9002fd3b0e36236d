"""softfail: report what your AI feature did, in three lines and without risk to it."""

from softfail.client import Softfail
from softfail.events import Evaluation, Event, Feedback, Meter, Response
from softfail.redact import redact
from softfail.response_id import ResponseId

__all__ = ["Evaluation", "Event", "Feedback", "Meter", "Response", "ResponseId", "Softfail", "redact"]
