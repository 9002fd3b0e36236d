"""A text without what its writer does not say himself: code, quotations, markup."""

from __future__ import annotations

import json

from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.text_scan import without_code

_QUOTED = Expression(
    r"\"[^\"\n]{2,}\"|“[^”\n]{2,}”|„[^“”\n]{2,}[“”]|«[^»\n]{2,}»|»[^«\n]{2,}«|「[^」\n]*」|『[^』\n]*』"
    r"|(?:^|[\s(])[‘'](?:[^'‘’\n]|[A-Za-z]['’][A-Za-z]){3,}['’](?:[\s.,;:!?)]|$)"
)
_BLOCK_QUOTE = Expression(r"(?m)^[ \t]*>.*$")
_MARKUP = Expression(
    r"\*\*|__|(?m:^[ \t]*(?:#+|[-*•])[ \t]+)|</?(?:p|b|i|em|strong|br|div|span|ul|li)\b[^>]*>"
)
_WRAPPED = Expression(r"(?s)\A\s*[\"“'«「].*[\"”'»」]\s*\z")
_SPACES = Expression(r"[ \t\r\x0b\x0c]{2,}|[\t\r\x0b\x0c]")
# What each of the above begins with. Nearly every refusal has none of it, and then one search says so.
_MARKED = Expression(r"[\"“„«»「『`<>~*_#•\t\r\x0b\x0c]|  |(?:^|[\s(])[‘']|(?m:^[ \t]*-)")
_PLAIN = str.maketrans(
    dict.fromkeys("’ʼ´`′", "'")
    | dict.fromkeys("\xa0\u2002\u2003\u2009\u202f\u3000", " ")
    | dict.fromkeys("\xad\u200b\u200c\u200d\u2060\ufeff")
)

_READ_CHARS = 4_000  # a refusal stands at the beginning, and what outweighs it is shorter than this
_BEGINNING_CHARS = 320  # most long answers show within it that they are answers


def own_words(text: str) -> bytes:
    """A text without code, quotations and markup, in UTF-8. One that is quoted as a whole, or is JSON, is
    what stands inside.
    """
    text = _strings(text)[:_READ_CHARS]
    data = text.encode()
    if _MARKED.occurs(text):
        data = _MARKUP.without(
            _BLOCK_QUOTE.without(_QUOTED.without(without_code(_unwrapped(data)), b" "), b""), b""
        )
    elif data.isascii():
        return data
    text = data.decode().replace("’", "'").replace("`", "'")  # the usual ones, which need no table
    return _SPACES.without((text if text.isascii() else text.translate(_PLAIN)).encode(), b" ")


def beginning(text: str) -> str:
    """A start of a long text whose own words are the start of the text's own words, but for the last
    sentence; empty if there is none such.
    """
    if len(text) <= 2 * _BEGINNING_CHARS or text.lstrip()[:1] in _WHOLE:
        return ""
    head = text[:_BEGINNING_CHARS]
    if not _MARKED.occurs(head):
        return head
    # Quotations and markup end with their line; tags, and a model's thoughts, do not.
    return "" if "<" in head else head[: head.rfind("\n") + 1]


_WHOLE = frozenset("{[\"“'«「")  # may begin JSON or a quotation of everything, of which the end decides


def _unwrapped(data: bytes) -> bytes:
    if _WRAPPED.search(data) is None:
        return data
    inner = data.decode().strip(" \t\n\f\r")[1:-1]
    return data if any(mark in inner for mark in '"“”«»「」') else inner.encode()


def _strings(text: str) -> str:
    """The sentences inside a JSON object or list, a line each; any other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
    text = "\n".join(
        item for item in found if len(item.split()) > 2 or (len(item) > 5 and not item.isascii())
    )
    # escapes can spell lone surrogates
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
