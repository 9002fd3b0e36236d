"""Detect answers that a limit cut off."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, SKIPPED_UNKNOWN_FINISH, Verdict, failed, skipped
from monitor.normal_form.finish_reason import Finish, finish_of

_OTHERS = {Finish.NONE: skipped("no finish reason"), Finish.UNKNOWN: SKIPPED_UNKNOWN_FINISH}


class TruncationEvaluator(Evaluator):
    """Fails when the finish reason names a limit, in the words of any provider; skipped without a finish reason
    or with an unknown one.

    The text is not used: a complete answer may end in a comma ("Best regards,"), a colon or an open code
    fence (a stop sequence).
    """

    name = "truncation"
    version = "2"
    labels = ("finish_reason",)
    failure_text = "answers were cut short"
    failing_example = {"finish_reason": "length"}
    next_step = "Compare max_tokens with the length of answers: raise it, or find out why answers grew."

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: the finish reason is a label."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the finish reason as reason."""
        finish = finish_of(event.finish_reason)
        if finish is Finish.LENGTH:
            return failed(f"finish reason {event.finish_reason}")
        return _OTHERS.get(finish, PASSED)
