"""What could not be read or delivered, from where, and why."""

from __future__ import annotations

import base64

from monitor.protocol.messages import Message, Record, to_json

VALUE_BYTES = 64 << 10  # of the value, in base64; the rest lies where the record came from
TEXT_BYTES = 1 << 10  # of a key or a header


def dead_letter(record: Record, error: str, field: str = "") -> Message:
    """The dead letter of a record. ``field``: the one at fault; empty when the record itself is.

    Keys and headers are shown as text, bytes that are no UTF-8 as ``\\xff``.
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
