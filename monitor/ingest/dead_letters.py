"""Dead letters: records that could not be read or delivered, their place, and the reason."""

from __future__ import annotations

import base64
from typing import Literal, get_args

from monitor.protocol.limits import VALUE_BYTES
from monitor.protocol.messages import Message, Record, to_json

TEXT_BYTES = 1 << 10
"""Bytes of a key or a header."""


Reason = Literal["empty", "unreadable", "invalid", "future", "misplaced", "poison", "too large"]
REASONS: tuple[Reason, ...] = get_args(Reason)


class RejectedRecord(Exception):
    """A record that cannot be counted becomes a dead letter with this reason.

    ``field``: the wrong field; empty if the record itself is wrong.
    """

    def __init__(self, reason: Reason, error: str, field: str = "") -> None:
        super().__init__(error)
        self.reason = reason
        self.field = field


def dead_letter(record: Record, error: str, field: str = "") -> Message:
    """Return the dead letter of a record.

    Keys and headers become text; bytes that are not UTF-8 become escapes like ``\\xff``.

    Args:
        error: the reason and the remedy.
        field: the wrong field of the event; empty if the record itself is wrong.
    """
    value = record.value
    letter = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else _text(record.key),
        "headers": [(name, _text(data or b"")) for name, data in record.headers],
        "error": error,
        "field": field,
        "value": None if value is None else base64.b64encode(value[:VALUE_BYTES]).decode(),
        "size": 0 if value is None else len(value),
    }
    return Message(record.key, to_json(letter))


def _text(data: bytes) -> str:
    return data[:TEXT_BYTES].decode("utf-8", "backslashreplace")
