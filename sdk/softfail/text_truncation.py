"""Texts cut to what one event may carry: head and tail kept, a marker between."""

from __future__ import annotations

from collections.abc import Callable

LIMIT_BYTES = 64 * 1024
"""Most UTF-8 bytes of one text in one event, the marker included."""

# each end, kept for the background thread: half the limit, the margin, and what redaction may shrink
_ROUGH_CHARS = LIMIT_BYTES * 5 // 8
# longer than anything that redaction must see whole, but for PEM blocks, which it knows by either end
_MARGIN_CHARS = 1024


class Halves(tuple[str, str, int]):
    """Head, tail and length of a text too long to keep, as the calling thread leaves it: two slices,
    microseconds.
    """

    __slots__ = ()


def rough(text: str) -> str | Halves:
    """Bound the memory of a text that waits in the queue, without looking at it."""
    if len(text) <= 2 * _ROUGH_CHARS:
        return text
    return Halves((text[:_ROUGH_CHARS], text[-_ROUGH_CHARS:], len(text)))


def finished(text: str | Halves, redact: Callable[[str], str] | None = None, limit: int = LIMIT_BYTES) -> str:
    """The text to send: redacted *before* it is cut, so that no half of a secret is left at an edge; then
    cut.

    Args:
        redact: applied to what is kept; None leaves it.
        limit: bytes of UTF-8 at most, at least 64.
    """
    if not isinstance(text, Halves):
        whole = redact(text) if redact else text
        return cut(whole, limit)
    head, tail, length = text
    if redact:
        # What crosses the rough edge was not seen whole, so a margin goes; what redaction left unredacted
        # stands at the very end.
        head, tail = redact(head)[:-_MARGIN_CHARS], redact(tail)[_MARGIN_CHARS:]
    return _joined(head, tail, length - len(head) - len(tail), limit)


def cut(text: str, limit: int = LIMIT_BYTES) -> str:
    """At most ``limit`` bytes of UTF-8, never split inside a code point; lone surrogates become ``?``.

    Args:
        limit: bytes, at least 64.

    >>> cut("x" * 100, 64)
    'xxxxxxxx… [84 characters cut] …xxxxxxxx'
    """
    if len(text) <= limit and text.isascii():
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return _joined(text, text, 0, limit, len(text))


def _joined(head: str, tail: str, missing: int, limit: int, overlap: int = 0) -> str:
    """Ends of a text with a marker between; ``overlap`` is the whole length when head and tail are the same
    text.
    """
    room = (limit - 48) // 2  # 48: the marker, with any count
    first = head.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    last = tail.encode("utf-8", "replace")[-room:].decode("utf-8", "ignore")
    gone = (
        overlap - len(first) - len(last)
        if overlap
        else missing + len(head) - len(first) + len(tail) - len(last)
    )
    return f"{first}… [{gone} characters cut] …{last}"
