"""Reduce a text to what its author says in their own voice: no code, quotations or markup."""

from __future__ import annotations

from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.text_scan import without_code

_QUOTED = Expression(
    r"\"[^\"\n]{2,}\"|“[^”\n]{2,}”|„[^“”\n]{2,}[“”]|«[^»\n]{2,}»|»[^«\n]{2,}«|「[^」\n]*」|『[^』\n]*』"
    r"|(?:^|[\s(])[‘'](?:[^'‘’\n]|[A-Za-z]['’][A-Za-z]){3,}['’](?:[\s.,;:!?)]|$)"
)
_BLOCK_QUOTE = Expression(r"(?m)^[ \t]*>.*$")
_MARKUP = Expression(r"\*\*|__|(?m:^[ \t]*(?:#+|[-*•])[ \t]+)|</?[A-Za-z][\w-]{0,20}(?:\s[^<>]{0,200})?/?>")
_WRAPPED = Expression(r"(?s)\A\s*[\"“'«「].*[\"”'»」]\s*\z")
_SPACES = Expression(r"[ \t\r\x0b\x0c]{2,}|[\t\r\x0b\x0c]")
# The first characters of all patterns above. Nearly every refusal has none of them, so one search suffices.
_ANY_MARKUP = Expression(r"[\"“„«»「『`<>~*_#•\t\r\x0b\x0c]|  |(?:^|[\s(])[‘']|(?m:^[ \t]*-)")
_PLAIN = str.maketrans(
    dict.fromkeys("’ʼ´`′", "'")
    | dict.fromkeys("\xa0\u2002\u2003\u2009\u202f\u3000", " ")
    | dict.fromkeys("\xad\u200b\u200c\u200d\u2060\ufeff\u064b\u064c\u064d\u0640")
)

_READ_CHARS = 4_000  # a refusal is at the beginning, and an answer that outweighs it is shorter than this
_PREFIX_CHARS = 320  # most long answers can be recognized as answers within it


def author_text(text: str) -> bytes:
    """Return a text without code, quotations and markup, in UTF-8.

    Of a text that is one quotation, return the content.
    """
    text = text[:_READ_CHARS]
    data = text.encode()
    if _ANY_MARKUP.occurs(text):
        data = _MARKUP.without(
            _BLOCK_QUOTE.without(_QUOTED.without(without_code(_unwrapped(data)), b" "), b""), b""
        )
    elif data.isascii():
        return data
    text = (
        data.decode().replace("’", "'").replace("`", "'")
    )  # the most frequent characters need no translation table
    return _SPACES.without((text if text.isascii() else text.translate(_PLAIN)).encode(), b" ")


def independent_prefix(text: str) -> str:
    """Return a prefix of a long text that can be reduced by itself; empty if there is none.

    Its ``author_text`` is a prefix of that of the whole text, except for its last sentence.
    """
    if len(text) <= 2 * _PREFIX_CHARS or text.lstrip()[:1] in _OPENING_QUOTES:
        return ""
    head = text[:_PREFIX_CHARS]
    if not _ANY_MARKUP.occurs(head):
        return head
    # Quotations and markup end with their line; tags and reasoning blocks do not.
    return "" if "<" in head else head[: head.rfind("\n") + 1]


_OPENING_QUOTES = frozenset("\"“'«「")  # may open a quotation that the last character closes


def _unwrapped(data: bytes) -> bytes:
    if _WRAPPED.search(data) is None:
        return data
    inner = data.decode().strip(" \t\n\f\r")[1:-1]
    return data if any(mark in inner for mark in '"“”«»「」') else inner.encode()
