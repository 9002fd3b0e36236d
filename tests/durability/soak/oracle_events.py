"""Event of a record, or the reason why it has none: docs/events.md, decision 8, and Time in
``semantics.md``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

FUTURE_US = 300_000_000
FORWARDED = "softfail-forwarded"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# field -> (JSON type, minimum, maximum, required). The bounds of a text are those of its length; those of an
# object are the type and bounds of its values
_LABEL, _MAYBE, _COUNT, _TOTAL = ("text", 1, 256), ("text", 0, 256), ("whole", 0, 10**9), ("whole", 0, 2**53)
_SECONDS, _SHARE, _SCORE, _FLAG, _TEXT = (
    ("number", 0, 10**7),
    ("share", 0, 1),
    ("number", -(10**9), 10**9),
    ("flag",),
    ("text", 0, None),
)
_COMMON: dict[str, Any] = {
    "event_id": _MAYBE,
    "time": ("time",),
    "service": _LABEL,
    "feature": _LABEL,
    "environment": _LABEL,
    "model": _MAYBE,
    "prompt_version": _MAYBE,
    "variant": _MAYBE,
    "dimensions": ("object", _MAYBE),
    "sample_probability": _SHARE,
    "schema_version": ("whole", 1, 10**6),
}
_KINDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "response": (
        {
            **_COMMON,
            "event_id": _LABEL,
            "model": _LABEL,
            "provider": _MAYBE,
            "response_model": _MAYBE,
            "operation": _MAYBE,
            "input": _TEXT,
            "output": _TEXT,
            "context": _TEXT,
            "content_probability": _SHARE,
            "input_chars": _COUNT,
            "output_chars": _COUNT,
            "input_tokens": _COUNT,
            "output_tokens": _COUNT,
            "cached_input_tokens": _COUNT,
            "reasoning_tokens": _COUNT,
            "tool_calls": _COUNT,
            "duration_s": _SECONDS,
            "time_to_first_token_s": _SECONDS,
            "stages_s": ("object", _SECONDS),
            "finish_reason": _MAYBE,
            "error_type": _MAYBE,
            "attempt": ("whole", 1, 10**6),
            "cost_usd": ("number", 0, 10**6),
            "interaction": ("one", "sync", "progressive", "async"),
            "cold_start": _FLAG,
            "cache_hit": _FLAG,
            "outcome": ("one", "ok", "parse_error", "schema_error", "downstream_error"),
            "guardrail": ("one", "none", "flagged", "blocked"),
            "fallback": ("one", "none", "model", "cache", "template", "omitted"),
            "degradation_level": ("whole", 1, 5),
            "session_id": _MAYBE,
            "trace_id": _MAYBE,
            "span_id": _MAYBE,
            "service_version": _MAYBE,
        },
        ("event_id", "time", "service", "feature", "model"),
    ),
    "feedback": (
        {
            **_COMMON,
            "event_id": _LABEL,
            "response_id": _LABEL,
            "accepted": _FLAG,
            "edit_distance": ("number", 0, 1),
            "regenerated": _FLAG,
            "rating": _SCORE,
            "task_s": _SECONDS,
            "outcome": _MAYBE,
        },
        ("event_id", "time", "service", "feature", "response_id"),
    ),
    "evaluation": (
        {
            **_COMMON,
            "event_id": _LABEL,
            "response_id": _LABEL,
            "evaluator": _LABEL,
            "evaluator_version": _MAYBE,
            "passed": _FLAG,
            "score": _SCORE,
            "reason": _TEXT,
        },
        ("event_id", "time", "service", "feature", "response_id", "evaluator"),
    ),
    "meter": (
        {
            **_COMMON,
            "producer_id": _LABEL,
            "started_at": ("time",),
            "seen": _TOTAL,
            "sampled": _TOTAL,
            "sent": _TOTAL,
            "dropped": _TOTAL,
        },
        ("time", "service", "feature", "producer_id", "started_at", "seen", "sampled", "sent", "dropped"),
    ),
}
_DEFAULTS = {
    "environment": "production",
    "model": "",
    "prompt_version": "",
    "variant": "",
    "sample_probability": 1,
    "content_probability": 1,
}


class Refused(Exception):
    """A record that must become a dead letter; the text is its class."""


def read(record: Any) -> dict[str, Any]:
    """Return the event of a record: its fields with defaults, ``time_us``, and ``seen_us``, the time for the
    watermark, in microseconds.

    Raises:
        Refused: with the class ``empty``, ``unreadable``, ``invalid:FIELD`` or ``future``.
    """
    event = parsed(record.value)
    time_us, append_ms = event["time_us"], record.timestamp
    event["seen_us"] = time_us
    if append_ms is not None and append_ms >= 0:
        if time_us > append_ms * 1000 + FUTURE_US:
            raise Refused("future")
        event["seen_us"] = min(time_us, append_ms * 1000)
    return event


def parsed(value: bytes | None) -> dict[str, Any]:
    """Return the event of a value, without regard to append time.

    Raises:
        Refused: as ``read``, but not with ``future``.
    """
    if value is None:
        raise Refused("empty")
    try:
        raw = json.loads(value.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused("unreadable") from None
    if not isinstance(raw, dict):
        raise Refused("unreadable")
    supplied = {name: item for name, item in raw.items() if item is not None}
    kind = supplied.get("kind", "response")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Refused("invalid:kind")
    fields, required = _KINDS[kind]
    event: dict[str, Any] = {**_DEFAULTS, "kind": kind}
    for name, law in fields.items():
        if name in supplied:
            _check(name, supplied[name], law)
            event[name] = supplied[name]
        elif name in required:
            raise Refused(f"invalid:{name}")
    event["time_us"] = _microseconds(event["time"])
    return event


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _check(name: str, value: Any, law: tuple[Any, ...]) -> None:
    kind, *bounds = law
    if kind == "object":
        is_valid = isinstance(value, dict) and len(value) <= 32 and all(1 <= len(key) <= 256 for key in value)
        for item in value.values() if is_valid else ():
            _check(name, item, bounds[0])
    elif kind == "text":
        is_valid = (
            isinstance(value, str)
            and bounds[0] <= len(value)
            and (bounds[1] is None or len(value) <= bounds[1])
        )
    elif kind == "one":
        is_valid = value in bounds
    elif kind == "flag":
        is_valid = isinstance(value, bool)
    elif kind == "time":
        is_valid = isinstance(value, str) and _microseconds(value) is not None
    else:
        number = isinstance(value, int if kind == "whole" else int | float) and not isinstance(value, bool)
        is_valid = number and bounds[0] <= value <= bounds[1] and (kind != "share" or value > 0)
    if not is_valid:
        raise Refused(f"invalid:{name}")


def _microseconds(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        since = datetime.fromisoformat(f"{date}T{clock}{zone.upper()}") - _EPOCH
    except ValueError:
        return None
    whole = (since.days * 86_400 + since.seconds) * 1_000_000 + (
        int((fraction or "0").ljust(9, "0")) + 500
    ) // 1000
    return whole if whole >= 0 else None


def partition_of(service: str, feature: str, partitions: int) -> int:
    """Return murmur2 of ``service/feature``, positive, modulo the number of partitions.

    Source: Kafka's Java client, ``Utils.murmur2`` and ``toPositive``.
    """
    data, mixer, mask = f"{service}/{feature}".encode(), 0x5BD1E995, 0xFFFFFFFF
    hashed, whole = (0x9747B28C ^ len(data)) & mask, len(data) // 4 * 4
    for position in range(0, whole, 4):
        word = int.from_bytes(data[position : position + 4], "little") * mixer & mask
        word = (word ^ word >> 24) * mixer & mask
        hashed = (hashed * mixer & mask) ^ word
    if whole < len(data):
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * mixer & mask
    hashed = (hashed ^ hashed >> 13) * mixer & mask
    return ((hashed ^ hashed >> 15) & 0x7FFFFFFF) % partitions
