"""Read a finish reason: providers and libraries spell the same few meanings in a hundred ways."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any

from monitor.normal_form.finish_reason_table import FINISH_REASONS, PROVIDER_WORDS, WORDS

_MAX_CHARS = 256
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_PREFIXES = re.compile(r"^(?:(?:chat_|completion_)?(?:finish|stop|done|block|end|status)_?reason_|reason_)")
_ENUM_REPR = re.compile(r"<([^<>:]*)(?::[^<>]*)?>")  # <FinishReason.STOP: 'STOP'>
_TYPE_FIELD = re.compile(
    r"""["']?(?:type|reason|finish_reason|stop_reason|unified)["']?\s*[:=]\s*["']?([\w .:-]+)"""
)
_MESSAGE_FIELD = re.compile(r"""["'](?:message|error|err_type)["']\s*:\s*["']([^"']{1,200})""")
_NEGATED = re.compile(r"(?<![a-z0-9])(?:no|non|not|without)_[a-z]+")
_PARTS = re.compile(r"[,;|\[\](){}]+")
_LIMIT_WORDS = frozenset({"max", "token", "tokens"})
_NOTHING = frozenset({"", "none", "null", "nil", "undefined", "n_a", "na"})


class Finish(StrEnum):
    """Why an answer ended. ``UNKNOWN``: a reason that nobody knows; ``NONE``: no reason was given."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALL = "tool_call"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    NONE = ""


_WORST_FIRST = (
    Finish.ERROR,
    Finish.CONTENT_FILTER,
    Finish.REFUSAL,
    Finish.LENGTH,
    Finish.CANCELLED,
    Finish.UNKNOWN,
    Finish.TOOL_CALL,
    Finish.STOP,
)
"""Order in which one of several choices decides."""
_BY_NAME = {name.replace("_", ""): Finish(kind) for name, kind in FINISH_REASONS.items()}


@lru_cache(maxsize=1024)
def finish_of(reason: str) -> Finish:
    """Return the meaning of a finish reason as an event states it.

    Of several reasons (one for each choice) the worst counts.

    >>> [finish_of(name).value for name in ("tool-calls", "FinishReason.TOOL_CALLS", "toolUse", '["length"]')]
    ['tool_call', 'tool_call', 'tool_call', 'length']
    >>> finish_of("insufficient_system_resource").value, finish_of("zorp").value
    ('error', 'unknown')
    >>> finish_of("ERROR_MAX_TOKENS").value, finish_of("rate_limit_error").value
    ('length', 'error')
    >>> finish_of("aborted").value, finish_of("cancelled_by_provider").value  # by whom
    ('cancelled', 'error')
    """
    if len(reason) > _MAX_CHARS:
        return Finish.UNKNOWN
    kinds = {_meaning(name) for name in _names(reason)}
    return next((kind for kind in _WORST_FIRST if kind in kinds), Finish.NONE)


def canonical_name(reason: str) -> str:
    """Return one reason in lower case with underscores, without quotes, the class of an enumeration or prefix.

    >>> canonical_name("FinishReason.MAX_TOKENS"), canonical_name("STOP_REASON_END_TURN"), canonical_name("toolUse")
    ('max_tokens', 'end_turn', 'tool_use')
    """
    name = reason.strip(" \t\r\n\"'`.").replace("::", ".").rpartition("=")[2].rpartition(".")[2]
    plain = _SEPARATORS.sub("_", _CAMEL_CASE.sub("_", name).lower()).strip("_")
    return plain if plain in FINISH_REASONS else _PREFIXES.sub("", plain)


def called_tools(event: Any) -> bool:
    """Return whether a response calls a tool, by its number of calls or its finish reason."""
    return bool(event.tool_calls) or finish_of(event.finish_reason) is Finish.TOOL_CALL


def _names(reason: str) -> list[str]:
    text = _ENUM_REPR.sub(r"\1", reason)
    if "{" in text and (fields := _TYPE_FIELD.findall(text)):
        # SGLang aborts with the message of an error: only that makes it one
        messages = map(canonical_name, _MESSAGE_FIELD.findall(text))
        errors = [name for name in messages if name not in FINISH_REASONS and _meaning(name) is Finish.ERROR]
        return [*map(canonical_name, fields), *errors]
    return [canonical_name(part) for part in _PARTS.split(text)]


def _meaning(name: str) -> Finish:
    if name in _NOTHING:
        return Finish.NONE
    known = _BY_NAME.get(name.replace("_", ""))
    if known is not None:
        return known
    if _is_limit_error(name):
        return Finish.LENGTH
    words = set(_NEGATED.sub("", name).split("_"))
    kind = next((Finish(kind) for kind, known_words in WORDS if words & known_words), Finish.UNKNOWN)
    return Finish.ERROR if kind is Finish.CANCELLED and words & PROVIDER_WORDS else kind


def _is_limit_error(name: str) -> bool:
    """Return whether a reason says "error" beside a limit of tokens or length: the answer was truncated.

    ``limit_error`` and ``context_error`` also name failed calls, so they stay errors.
    """
    words = name.split("_")
    others = [word for word in words if word not in ("error", "errors", "err")]
    return (
        len(others) < len(words)
        and not _LIMIT_WORDS.isdisjoint(others)
        and _BY_NAME.get("".join(others)) is Finish.LENGTH
    )
