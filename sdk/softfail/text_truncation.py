"""Truncate texts to the limit of an event. The head and the tail remain, with a marker between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

LIMIT_BYTES = 64 * 1024
"""Maximum size of one text in an event, UTF-8 bytes, marker included."""

# Characters of each end that wait for the background thread: half of the limit, the margin, and what
# redaction may remove.
_END_CHARS = LIMIT_BYTES * 5 // 8
# Longer than any pattern that redaction must see whole. PEM blocks are longer, but either end identifies
# them.
_MARGIN_CHARS = 1024


class TruncatedText(NamedTuple):
    """The ends of a text that is too long to keep, and the length of the whole text, characters."""

    head: str
    tail: str
    chars: int


def truncate_for_queue(text: str) -> str | TruncatedText:
    """Limit the memory of a text that waits in the queue. Takes microseconds: two slices."""
    if len(text) <= 2 * _END_CHARS:
        return text
    return TruncatedText(text[:_END_CHARS], text[-_END_CHARS:], len(text))


def redact_and_truncate(
    text: str | TruncatedText, redact: Callable[[str], str] | None = None, limit: int = LIMIT_BYTES
) -> str:
    """Return the text to send.

    It is redacted *before* it is truncated, so that no part of a secret remains at a cut.

    Args:
        text: as it waited in the queue.
        redact: applied to the text, or to both ends; None leaves them.
        limit: UTF-8 bytes, at least 64.
    """
    if not isinstance(text, TruncatedText):
        return truncate(redact(text) if redact else text, limit)
    head, tail = text.head, text.tail
    if redact:
        # Redaction did not see whole what crosses the first cut, so a part of it may remain at the very end
        # of the head or at the start of the tail. The margin removes it.
        head, tail = redact(head)[:-_MARGIN_CHARS], redact(tail)[_MARGIN_CHARS:]
    return _join_ends(head, tail, text.chars - len(head) - len(tail), limit)


def truncate(text: str, limit: int = LIMIT_BYTES) -> str:
    """Truncate a text to a number of bytes of UTF-8. Lone surrogates become ``?``.

    Args:
        text: any string.
        limit: bytes, at least 64. No code point is split.

    >>> truncate("x" * 100, 64)
    'xxxxxxxx… [84 characters cut] …xxxxxxxx'
    """
    if len(text) <= limit and text.isascii():
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return _join_ends(text, text, -len(text), limit)


def _join_ends(head: str, tail: str, between: int, limit: int) -> str:
    """Join the start of ``head`` and the end of ``tail`` with a marker that says how much was cut.

    Args:
        between: characters of the whole text between the two; negative where they overlap.
    """
    end_bytes = (limit - 48) // 2  # 48: the marker with any count
    first = head.encode("utf-8", "replace")[:end_bytes].decode("utf-8", "ignore")
    last = tail.encode("utf-8", "replace")[-end_bytes:].decode("utf-8", "ignore")
    cut = between + len(head) - len(first) + len(tail) - len(last)
    return f"{first}… [{cut} characters cut] …{last}"
