"""The kind of a record: what a record of the topics ``alerts``, ``windows`` and ``samples`` is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

HEADER = "record"
"""Kafka header that may say the kind; it is the same word as in the JSON field ``record``."""


class _Head(msgspec.Struct):
    record: str = ""


_decode = msgspec.json.Decoder(_Head).decode


def record_kind(record: bytes | Mapping[str, Any] | None, headers: Sequence[tuple[str, bytes]] = ()) -> str:
    """Return the kind of a record, like ``episode``: by its header if it has one, else by its JSON field.

    Args:
        record: JSON in UTF-8, or its fields if it is parsed already; None for a tombstone.
        headers: of the Kafka record.

    Returns:
        The kind, one of ``schemas.records.RECORDS`` or of a newer release; empty where nothing says it, or
        where the value is no JSON object.

    >>> record_kind(b'{"record": "episode"}'), record_kind(b"{}", [("record", b"change")]), record_kind(b"[]")
    ('episode', 'change', '')
    """
    for name, content in headers:
        if name == HEADER:
            return content.decode("utf-8", "replace")
    if isinstance(record, Mapping):
        kind = record.get("record")
        return kind if isinstance(kind, str) else ""
    try:
        return _decode(record or b"").record
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""
