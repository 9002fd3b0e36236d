"""Second reader of events, written from docs/events.md: which optional fields are left out or cut, and why.

It shares no code with the product: its tables are written by hand, JSON is parsed by the standard library, and a
value is judged by its type alone. ``tests/fuzz.py`` compares it with the monitor, event by event.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

LeftOut = list[tuple[str, str]]

_LABELS = "event_id service feature environment model prompt_version variant"
_RESPONSE_LABELS = (
    "provider response_model operation finish_reason error_type session_id trace_id span_id service_version"
    " producer_id"
)
_TOKENS = (
    "input_chars output_chars input_tokens output_tokens cached_input_tokens reasoning_tokens tool_calls"
)
REQUIRED = {
    "response": ("time", "service", "feature", "event_id", "model"),
    "feedback": ("kind", "time", "service", "feature", "event_id", "response_id"),
    "evaluation": ("kind", "time", "service", "feature", "event_id", "response_id", "evaluator"),
    "meter": (
        *("kind", "time", "service", "feature", "producer_id", "started_at"),
        *("seen", "sampled", "sent", "dropped"),
    ),
}
_CHOICES = {
    "interaction": ("sync", "progressive", "async"),
    "outcome": ("ok", "parse_error", "schema_error", "downstream_error"),
    "guardrail": ("none", "flagged", "blocked"),
    "fallback": ("none", "model", "cache", "template", "omitted"),
}
_COMMON = {
    **dict.fromkeys(_LABELS.split(), ("label",)),
    "dimensions": ("labels",),
    "sample_probability": ("probability", 1e-4),
    "base_probability": ("probability", 1e-4),
    "schema_version": ("integer", 1, 1_000_000),
    "time": ("time",),
    "kind": ("kind",),
}
FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "response": {
        **_COMMON,
        **dict.fromkeys(_RESPONSE_LABELS.split(), ("label",)),
        **dict.fromkeys(("input", "output", "context"), ("text",)),
        "content_probability": ("probability", 0),
        **dict.fromkeys(_TOKENS.split(), ("count",)),
        **dict.fromkeys(("duration_s", "time_to_first_token_s"), ("seconds",)),
        "stages_s": ("stages",),
        "attempt": ("integer", 1, 1_000_000),
        "cost_usd": ("number", 0, 1_000_000),
        **{name: ("choice", *_CHOICES[name]) for name in _CHOICES},
        **dict.fromkeys(("cold_start", "cache_hit"), ("flag",)),
        "degradation_level": ("integer", 1, 5),
        "sequence": ("integer", 0, 2**53),
    },
    "feedback": {
        **_COMMON,
        "response_id": ("label",),
        **dict.fromkeys(("accepted", "regenerated"), ("flag",)),
        "edit_distance": ("number", 0, 1),
        "rating": ("number", -(10**9), 10**9),
        "task_s": ("seconds",),
        "outcome": ("label",),
    },
    "evaluation": {
        **_COMMON,
        **dict.fromkeys(("response_id", "evaluator", "evaluator_version", "judge_labels"), ("label",)),
        "passed": ("flag",),
        "score": ("number", -(10**9), 10**9),
        "reason": ("text",),
    },
    "meter": {
        **_COMMON,
        "producer_id": ("label",),
        "started_at": ("time",),
        **dict.fromkeys(("seen", "sampled", "sent", "dropped"), ("integer", 0, 2**53)),
        "closing": ("flag",),
    },
}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)")
_DEEP = re.compile(rb"[\[{]")


class Odd(Exception):
    """A value that cannot be read; the argument is the reason."""


class Refused(Exception):
    """An event that becomes a dead letter."""


def left_out_of(value: bytes) -> LeftOut | None:
    """Return field and reason of all that is left out or cut of an event.

    None where parsers may differ: depth of brackets or length of a number near a limit, bytes that are no UTF-8
    (nobody looks at those of an unknown field).

    Raises:
        Refused: the event cannot be read.
    """
    if len(_DEEP.findall(value)) > 90 or re.search(rb"[0-9]{4000}", value):
        return None
    try:
        text = value.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused from None
    if not isinstance(fields, dict):
        raise Refused
    kind = "response" if fields.get("kind") is None else fields["kind"]
    if not isinstance(kind, str) or kind not in FIELDS:
        raise Refused
    fields["kind"] = kind
    left_out: LeftOut = []
    known = FIELDS[kind]
    if any(fields.get(name) is None for name in REQUIRED[kind]):
        raise Refused
    for name, item in fields.items():
        if name not in known or item is None:
            continue
        form, *bounds = known[name]
        is_required = name in REQUIRED[kind]
        try:
            _CHECKS[form](name, item, bounds, left_out, is_required)
        except Odd as reason:
            if is_required:
                raise Refused from None
            left_out.append((name, reason.args[0]))
    if fields.get("content_probability", 1) is not None and kind == "response":
        sent, texts = fields.get("sample_probability"), fields.get("content_probability")
        if (1.0 if sent is None else sent) * (1.0 if texts is None else texts) < 1e-6:
            raise Refused
    return left_out


def _halves(name: str, text: str, left_out: LeftOut) -> str:
    """Join the halves of characters; one that is alone becomes U+FFFD and is reported."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    joined = text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
    if "\ufffd" in joined:
        left_out.append((name, "half_character"))
    return joined


def _text(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if not isinstance(item, str):
        raise Odd("not_text")
    _halves(name, item, left_out)


def _label(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> str:
    if isinstance(item, float) and not math.isfinite(item):
        raise Odd("not_finite")
    if isinstance(item, bool | int | float):
        item = {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)
    elif name == "finish_reason" and isinstance(item, list | dict):
        item = json.dumps(item)
    if not isinstance(item, str):
        raise Odd("not_text")
    text = _halves(name, item, left_out)
    if len(text) > 256:
        if name in ("service", "feature"):
            raise Refused
        left_out.append((name, "too_long"))
    if not text and is_required:
        raise Refused
    return text[:256]


def _finite(item: Any) -> Any:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise Odd("not_a_number")
    if isinstance(item, float) and not math.isfinite(item):
        raise Odd("not_finite")
    return item


def _number(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if not bounds[0] <= _finite(item) <= bounds[1]:
        raise Odd("out_of_range")


def _seconds(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if not -0.5 <= _finite(item) <= 10**7:
        raise Odd("out_of_range")


def _integer(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if _finite(item) % 1:
        raise Odd("not_a_number")
    if not bounds[0] <= item <= bounds[1]:
        raise Odd("out_of_range")


def _count(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if _finite(item) % 1 or item < 0:
        raise Refused  # a difference or a mean: not the record of one call
    if item > 10**9:
        raise Odd("out_of_range")


def _flag(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if not isinstance(item, bool | int | float) or item not in (0, 1):
        raise Odd("not_allowed")


def _choice(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if not isinstance(item, str) or item.strip().lower() not in bounds:
        raise Odd("not_allowed")


def _probability(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise Refused
    if not (0 < item <= 1 and item >= bounds[0]):
        raise Refused


def _time(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    match = _TIME.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        raise Refused
    date, clock, fraction, zone = match.groups()
    try:
        time = datetime.fromisoformat(f"{date}T{clock}{zone.upper()}")
        time += timedelta(microseconds=(int((fraction or "0")[:9].ljust(9, "0")) + 500) // 1000)
        if time.timestamp() < 0 or (time - time.utcoffset()).year > 9999:  # type: ignore[operator]
            raise Refused
    except (ValueError, OverflowError):
        raise Refused from None


def _kind(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    return


def _mapping(name: str, item: Any, left_out: LeftOut, read: Callable[[Any], None]) -> None:
    if not isinstance(item, dict):
        raise Odd("not_an_object")
    names: set[str] = set()
    reasons: list[str] = []
    for key, entry in item.items():
        if entry is None:
            continue
        try:
            label = _label(name, key, (), left_out, False)
            if not label:
                raise Odd("no_name")
            if len(names) >= 32 and label not in names:
                raise Odd("too_many")
            read(entry)
            names.add(label)
        except Odd as reason:
            reasons.append(reason.args[0])
    left_out += [(name, reason) for reason in dict.fromkeys(reasons) if (name, reason) not in left_out]


def _labels(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    _mapping(name, item, left_out, lambda entry: _label_entry(name, entry, left_out))


def _label_entry(name: str, entry: Any, left_out: LeftOut) -> None:
    _label(name, entry, (), left_out, False)


def _stages(name: str, item: Any, bounds: Any, left_out: LeftOut, is_required: bool) -> None:
    _mapping(name, item, left_out, lambda entry: _seconds(name, entry, (), left_out, False))


_CHECKS: dict[str, Callable[[str, Any, Any, LeftOut, bool], Any]] = {
    "label": _label,
    "text": _text,
    "labels": _labels,
    "stages": _stages,
    "probability": _probability,
    "integer": _integer,
    "count": _count,
    "number": _number,
    "seconds": _seconds,
    "flag": _flag,
    "choice": _choice,
    "time": _time,
    "kind": _kind,
}
