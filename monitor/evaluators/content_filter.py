"""Detect answers that a content filter or a guardrail stopped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, SKIPPED_UNKNOWN_FINISH, Verdict, failed, skipped
from monitor.normal_form.finish_reason import Finish, finish_of

_WITHHELD = (Finish.CONTENT_FILTER, Finish.REFUSAL)
_OTHERS = {
    Finish.NONE: skipped("neither a finish reason nor a guardrail's answer"),
    Finish.UNKNOWN: SKIPPED_UNKNOWN_FINISH,
}
_BLOCKED = failed("blocked by a guardrail")


class ContentFilterEvaluator(Evaluator):
    """Fails when the finish reason names a content filter or a refusal, in the words of any provider, or a
    guardrail blocked the answer. An unknown finish reason is skipped.

    A guardrail that only flags an answer does not count.
    """

    name = "content_filter"
    version = "2"
    failure_text = "answers were stopped by a content filter"
    failing_example = {"finish_reason": "content_filter"}
    next_step = "Read the texts that were stopped; compare prompt versions; ask whether the provider's filter changed."
    labels = (
        "finish_reason",
        "guardrail",
    )

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: finish reason and guardrail are labels."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the finish reason, or the guardrail, as reason."""
        if event.guardrail == "blocked":
            return _BLOCKED
        finish = finish_of(event.finish_reason)
        if finish in _WITHHELD:
            return failed(f"finish reason {event.finish_reason}")
        return PASSED if event.guardrail is not None else _OTHERS.get(finish, PASSED)
