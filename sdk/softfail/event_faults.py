"""Describe what is wrong with an event: up to five different faults, in plain words, each with its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from softfail.redact import redact

_QUOTED_CHARS = 4_096
"""Of a wrong value that are redacted to quote it."""

MOST_FAULTS = 5
_MOST_NAMES = 8
_SHOWN_CHARS = 60
_TIME = "write RFC 3339 with a time zone, like 2026-03-02T09:00:00Z"

# type of pydantic's error -> what is wrong, and what to do; {} is the bound
_WORDS: dict[str, tuple[str, str]] = {
    "string_type": ("is not a text", "send a JSON string"),
    "string_too_short": ("is empty", "send at least {} character"),
    "string_too_long": ("is too long", "send at most {} characters"),
    "int_type": ("is not a whole number", "send a JSON number without a fraction"),
    "int_parsing": ("is not a whole number", "send a JSON number without a fraction"),
    "int_from_float": ("is not a whole number", "send a JSON number without a fraction"),
    "float_type": ("is not a number", "send a JSON number, without quotation marks"),
    "float_parsing": ("is not a number", "send a JSON number, without quotation marks"),
    "finite_number": ("is not a finite number", "leave the field out where there is no value"),
    "bool_type": ("is neither true nor false", "send true or false, without quotation marks"),
    "bool_parsing": ("is neither true nor false", "send true or false, without quotation marks"),
    "greater_than": ("is too small", "send more than {}"),
    "greater_than_equal": ("is too small", "send at least {}"),
    "less_than": ("is too large", "send less than {}"),
    "less_than_equal": ("is too large", "send at most {}"),
    "literal_error": ("is not one of the known values", "send {}"),
    "enum": ("is not one of the known values", "send {}"),
    "dict_type": ("is not an object", "send a JSON object"),
    "list_type": ("is not a list", "send a JSON list"),
    "timezone_aware": ("is without a time zone", _TIME),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        ("is not a time", _TIME),
    ),
}
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "expected")


def describe_faults(error: ValidationError) -> str:
    """Return up to five different faults of an event on one line, each with the field, the value and the remedy.

    Missing fields are one fault, because they have one remedy.

    >>> from softfail.events import Feedback
    >>> try:
    ...     Feedback.model_validate({"kind": "feedback", "event_id": "1", "service": "", "feature": "f"})
    ... except ValidationError as error:
    ...     print(describe_faults(error))
    time, response_id: missing (send it with every event); service: is empty, got '' (send at least 1 character)
    """
    faults = error.errors(include_url=False)
    missing = [_field(fault) for fault in faults if fault["type"] == "missing"]
    texts = []
    for fault in faults:
        if fault["type"] != "missing":
            texts.append(_described(fault))
        elif missing:
            names = ", ".join(missing[:_MOST_NAMES]) + (", ..." if len(missing) > _MOST_NAMES else "")
            texts.append(f"{names}: missing (send it with every event)")
            missing = []
    more = f" (and {len(texts) - MOST_FAULTS} more)" if len(texts) > MOST_FAULTS else ""
    return "; ".join(texts[:MOST_FAULTS]) + more


def _field(fault: Mapping[str, Any]) -> str:
    return quote_field(".".join(str(part) for part in fault["loc"]))


def quote_field(name: str) -> str:
    """Return the name of a field, which may be a key of the sender's choice: redacted and cut."""
    name = redact(name[:_QUOTED_CHARS])
    return name if len(name) <= 100 else name[:97] + "..."


def _described(fault: Mapping[str, Any]) -> str:
    context = fault.get("ctx") or {}
    words, remedy = _WORDS.get(fault["type"]) or _own_words(fault["msg"])
    bound = next((context[name] for name in _BOUNDS if name in context), "")
    shown = remedy.replace("{}", f"{bound:g}" if isinstance(bound, float) else str(bound))
    return f"{_field(fault)}: {words}, got {quote_value(fault['input'])}" + (f" ({shown})" if shown else "")


def _own_words(message: str) -> tuple[str, str]:
    """Return what is wrong and the remedy of a message of the models, which has both."""
    words, _, remedy = message.removeprefix("Value error, ").partition("; ")
    return words, remedy


def quote_value(value: Any) -> str:
    """Quote a value of an event: redacted, then cut, because dead letters and logs keep the quote."""
    text = repr(value)
    is_cut = len(text) > _QUOTED_CHARS
    text = redact("".join(char if char.isprintable() else "?" for char in text[:_QUOTED_CHARS]))
    if is_cut:
        text = text[: -_QUOTED_CHARS // 4]  # what the cut may have left in halves
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
