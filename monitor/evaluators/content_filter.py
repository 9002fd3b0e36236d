"""Detect answers that a content filter or a guardrail stopped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.truncation import normalized
from monitor.evaluators.verdict import PASSED, Verdict, failed, skipped

# OpenAI and Azure; Bedrock; Google: SAFETY, RECITATION, ...; Cohere; Anthropic's refusal stop reason
_FILTERED = frozenset(
    {
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "error_toxic",
        "refusal",
        "blocked",
        "moderation",
    }
)
_UNKNOWN = skipped("neither a finish reason nor a guardrail's answer")
_BLOCKED = failed("blocked by a guardrail")


class ContentFilterEvaluator(Evaluator):
    """Fails when the finish reason names a content filter, or a guardrail blocked the answer.

    A guardrail that only flags an answer does not count.
    """

    name = "content_filter"
    failure_text = "answers stopped by a content filter"
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
        reason = event.finish_reason
        if reason == "stop":
            return PASSED
        if not reason:
            return _UNKNOWN if event.guardrail is None else PASSED
        return failed(f"finish reason {reason}") if normalized(reason) in _FILTERED else PASSED
