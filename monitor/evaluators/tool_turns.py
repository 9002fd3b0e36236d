"""Recognize a response that calls a tool: it needs no text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

TOOL_CALL_REASONS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call", "function_calls"})
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


def called_tools(event: Any) -> bool:
    """Return whether a response calls a tool, by its number of calls or its finish reason."""
    return bool(event.tool_calls) or plain_reason(event.finish_reason) in TOOL_CALL_REASONS


@lru_cache(maxsize=1024)
def plain_reason(reason: str) -> str:
    """Return a finish reason in lower case with underscores, without the class of an enumeration.

    Providers and their libraries write one reason in a dozen ways.

    >>> [plain_reason(name) for name in ("tool-calls", "FinishReason.TOOL_CALLS", "toolUse", "Tool Calls")]
    ['tool_calls', 'tool_calls', 'tool_use', 'tool_calls']
    """
    name = _CAMEL_CASE.sub("_", reason.rpartition(".")[2]).lower()
    return _SEPARATORS.sub("_", name).strip("_")
