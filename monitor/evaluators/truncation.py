"""Detect answers that a limit cut off."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, Verdict, failed, skipped

# OpenAI, Anthropic, Google, Cohere and Bedrock, Mistral, OpenAI Responses, Anthropic (context), LiteLLM and
# Ollama, TGI
_CUT = frozenset(
    {
        "length",
        "max_tokens",
        "max_output_tokens",
        "max_length",
        "model_length",
        "incomplete",
        "model_context_window_exceeded",
        "max_completion_tokens",
        "token_limit",
        "context_length_exceeded",
    }
)
_UNKNOWN = skipped("no finish reason")


class TruncationEvaluator(Evaluator):
    """Fails when the finish reason names a limit; skipped without a finish reason.

    The text is not used: a complete answer may end in a comma ("Best regards,"), a colon or an open code
    fence (a stop sequence).
    """

    name = "truncation"
    labels = ("finish_reason",)
    failure_text = "answers cut short"
    failing_example = {"finish_reason": "length"}
    next_step = "Compare max_tokens with the length of answers: raise it, or find out why answers grew."

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: the finish reason is a label."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the finish reason as reason."""
        reason = event.finish_reason
        if reason == "stop":
            return PASSED
        if not reason:
            return _UNKNOWN
        return failed(f"finish reason {reason}") if normalized(reason) in _CUT else PASSED


def normalized(finish_reason: str) -> str:
    """Normalize the spelling of a finish reason, which differs between providers.

    >>> normalized("FinishReason.MAX_TOKENS"), normalized("content-filter")
    ('max_tokens', 'content_filter')
    """
    return (
        finish_reason.strip()
        .rpartition(".")[2]
        .lower()
        .replace("-", "_")
        .replace(" ", "_")
        .removeprefix("finish_reason_")
    )
