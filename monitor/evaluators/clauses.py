"""A text as the clauses that its writer speaks in his own voice: without code, quotations and other people's lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import re2

from monitor.evaluators.texts import without_code

_QUOTED = re2.compile(
    r"\"[^\"\n]{2,}\"|“[^”\n]{2,}”|„[^“”\n]{2,}[“”]|«[^»\n]{2,}»|»[^«\n]{2,}«|「[^」\n]*」|『[^』\n]*』"
    r"|(?:^|[\s(])[‘'](?:[^'‘’\n]|[A-Za-z]['’][A-Za-z]){3,}['’](?:[\s.,;:!?)]|$)"
)
_BLOCK_QUOTE = re2.compile(r"(?m)^[ \t]*>.*$")
_MARKUP = re2.compile(r"\*\*|__|(?m:^[ \t]*(?:#+|[-*•])[ \t]+)|</?(?:p|b|i|em|strong|br|div|span|ul|li)\b[^>]*>")
_WRAPPED = re2.compile(r"(?s)\s*[\"“'«「](.*)[\"”'»」]\s*")
_LABEL = re2.compile(r"(?i)^(?:AI|assistant|answer|a|bot|response|output|final answer|note|agent|chatgpt|explanation|reason|result"
                     r"|message|text)\s*: ?")
_SPEAKER = re2.compile(r"^[A-Z][\w.' -]{0,24}: ")
_OPTION = re2.compile(r"^\(?[A-Z][).]+\s+")
_END = re2.compile(r"[.!?…]+[\"”')\]]*(?:\s|$)|[。！？]|\n+")
_TURN = re2.compile(r"(?i)(?:,|;| [-–—]|—)? (?:but|however|though|although|nevertheless|yet)[, ]|, so |, (?:aber|jedoch|mais|pero|però"
                    r"|mas|maar|ale) |[;；]|，(?:但是|但|不过)|が、")
_SPACES = re2.compile(r"[ \t\r\x0b\x0c]{2,}|[\t\r\x0b\x0c]")
_PLAIN = str.maketrans(dict.fromkeys("’ʼ´`′", "'") | dict.fromkeys("\xa0\u2002\u2003\u2009\u202f\u3000", " ")
                       | dict.fromkeys("\xad\u200b\u200c\u200d\u2060\ufeff"))

_READ_CHARS = 4_000  # a refusal stands at the beginning, and what outweighs it is shorter than this


class Clause(NamedTuple):
    """A clause with straight apostrophes and single spaces.

    ``turns``: it stands in contrast to, or follows from, the one before. ``spoken``: a line with a speaker's name, as in a dialogue.
    """

    text: str
    turns: bool = False
    spoken: bool = False


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of a text, in order.

    >>> [clause.text for clause in clauses("Sorry, but I can’t. He said “no way”. Ask me later!")]
    ['Sorry', "I can't", 'He said', 'Ask me later!']
    """
    for sentence in _cut(own_words(text), _END, keep=True):
        if _SPEAKER.search(sentence) and not _LABEL.search(sentence):
            yield Clause(sentence, spoken=True)
            continue
        plain = _OPTION.sub("", _LABEL.sub("", sentence)).replace(" help but ", " help_but ")
        for number, part in enumerate(_cut(plain, _TURN, keep=False)):
            yield Clause(part, number > 0)


def own_words(text: str) -> str:
    """A text without code, quotations and markup. One that is quoted as a whole, or is JSON, is what stands inside."""
    text = _strings(text)[:_READ_CHARS]
    if (whole := _WRAPPED.fullmatch(text)) and not any(mark in whole[1] for mark in "\"“”«»「」"):
        text = whole[1]
    text = _MARKUP.sub("", _BLOCK_QUOTE.sub("", _QUOTED.sub(" ", without_code(text))))
    return str(_SPACES.sub(" ", text.translate(_PLAIN)))


def _cut(text: str, at: Any, keep: bool) -> Iterator[str]:
    start = 0
    for match in at.finditer(text):
        end = match.end()
        if part := text[start : end if keep else match.start()].strip(" \n.。"):
            yield part
        start = end
    if part := text[start:].strip(" \n.。"):
        yield part


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
    return "\n".join(item for item in found if len(item.split()) > 2 or (len(item) > 5 and not item.isascii()))
