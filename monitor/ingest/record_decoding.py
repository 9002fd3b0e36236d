"""Decode records into events without personal data in short texts; find the time that each adds to the watermark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from monitor.ingest.dead_letters import RejectedRecord
from monitor.protocol.limits import MAX_AHEAD_US, TOO_LARGE
from monitor.protocol.messages import Record
from schemas.event_decoder import InvalidEvent, read_event
from schemas.times import microseconds
from softfail.bounded_lines import MAX_LINE_BYTES, too_long
from softfail.events import LABEL_CHARS
from softfail.field_repair import LeftOut
from softfail.redact import redact

_SHORT_TEXTS = {"response": ("error_type", "finish_reason"), "feedback": ("outcome",)}
"""Fields that become categories."""
_PLAIN_ID = re.compile("[0-9A-Za-z]{1,11}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids that redaction leaves as they are; most services have such ids."""


def decode_record(record: Record) -> tuple[Any, int, int, Sequence[LeftOut]]:
    """Return the decoded event, its time, the time for the watermark, microseconds since 1970, and fields left out.

    Short texts like ``error_type`` and ``session_id`` are redacted: their values become names of metrics, or are
    shown in samples and to users' evaluators. Equal values stay equal.

    The time for the watermark is at most the append time, so that a producer's clock that is ahead closes
    no panes.

    Raises:
        RejectedRecord: it can never be counted.
    """
    if record.value is None:
        raise RejectedRecord("empty", "the record has no value; send one JSON object a message")
    if len(record.value) > MAX_LINE_BYTES:  # from a file: a batch of Kafka that is as large is never read
        raise RejectedRecord(TOO_LARGE, too_long(record.value))
    try:
        event, left_out = read_event(record.value)
    except InvalidEvent as error:
        raise RejectedRecord("invalid" if error.field else "unreadable", str(error), error.field) from None
    event = _redacted(event)
    time_us = microseconds(event.time)
    append_ms = record.timestamp
    if append_ms is None or append_ms < 0 or (append_us := append_ms * 1000) >= time_us:
        return event, time_us, time_us, left_out
    if time_us > append_us + MAX_AHEAD_US:
        ahead_s = (time_us - append_us) / 1e6
        raise RejectedRecord(
            "future",
            f"time: lies {ahead_s:.0f} s ahead of the broker's clock, or in a file of the events around it"
            " (at most 300 s); set the producer's clock",
            "time",
        )
    return event, time_us, append_us, left_out


def _redacted(event: Any) -> Any:
    """Return the event with its short texts redacted; the event itself, in nearly all cases."""
    kind = event.kind
    for field in _SHORT_TEXTS.get(kind, ()):
        text = getattr(event, field)
        if text and (short := _short_text(text)) != text:
            event = _replaced(event, field, short)
    if kind == "response":
        text = event.session_id
        if text and _PLAIN_ID.fullmatch(text) is None and (short := _session_id(text)) != text:
            event = _replaced(event, "session_id", short)
    return event


def _replaced(event: Any, field: str, text: str) -> Any:
    changes = {field: text}
    if isinstance(event, msgspec.Struct):
        return msgspec.structs.replace(event, **changes)
    return event.model_copy(update=changes)


def _redact_and_cut(text: str) -> str:
    return redact(text)[:LABEL_CHARS]


_short_text = lru_cache(4096)(_redact_and_cut)  # error types and finish reasons repeat
_session_id = lru_cache(4096)(
    _redact_and_cut
)  # a cache of its own: ids are many and would drive the others out
