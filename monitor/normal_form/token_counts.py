"""Count the output tokens that are no thoughts: providers count thoughts inside the output, or beside it."""

from __future__ import annotations

from typing import Any

# Gemini: thoughtsTokenCount is not part of candidatesTokenCount; xAI: reasoning_tokens beside completion_tokens
_BESIDE = ("google", "gemini", "vertex", "xai", "x_ai", "grok")


def visible_tokens(event: Any) -> int | None:
    """Return the output tokens of a response without its thoughts; None if they are not known.

    More thoughts than output cannot be part of it, so they are counted beside it, whoever the provider is.
    """
    output: int | None = event.output_tokens
    thoughts: int = event.reasoning_tokens or 0
    if output is None or thoughts > output:
        return output
    if thoughts and any(name in event.provider.lower() for name in _BESIDE):
        return output
    return output - thoughts
