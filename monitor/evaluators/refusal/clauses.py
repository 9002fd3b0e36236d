"""A text as the clauses that its writer speaks in his own voice, in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.speaker import beginning, own_words

_LABEL = Expression(
    r"(?i)^(?:AI|assistant|answer|a|bot|response|output|final"
    r" answer|note|agent|chatgpt|explanation|reason|result"
    r"|message|text)\s*: ?"
)
_SPEAKER = Expression(r"^[A-Z][\w.' -]{0,24}: ")
_OPTION = Expression(r"^\(?[A-Z][).]+\s+")
_END = Expression(r"[.!?…]+[\"”')\]]*(?:\s|$)|[。！？]|\n+")
_TURN = Expression(
    r"(?i)(?:,|;| [-–—]|—)? (?:but|however|though|although|nevertheless|yet)[, ]|, so |,"
    r" (?:aber|jedoch|mais|pero|però"
    r"|mas|maar|ale) |[;；]|，(?:但是|但|不过)|が、"
)


class Clause(NamedTuple):
    """A clause with straight apostrophes and single spaces.

    ``turns``: it stands in contrast to, or follows from, the one before. ``spoken``: a line with a speaker's
    name, as in a dialogue.
    """

    text: str
    turns: bool = False
    spoken: bool = False


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of a text, in order. Whoever stops early pays only for the beginning of a long text.

    >>> [clause.text for clause in clauses("Sorry, but I can’t. He said “no way”. Ask me later!")]
    ['Sorry', "I can't", 'He said', 'Ask me later!']
    """
    for sentence in _sentences(text):
        plain = sentence
        if ":" in sentence:
            plain = _without_start(sentence, _LABEL)
            if plain is sentence and _SPEAKER.search(sentence.encode()):
                yield Clause(sentence, spoken=True)
                continue
        if ")" in (start := plain[:3]) or "." in start:
            plain = _without_start(plain, _OPTION)
        data = plain.replace(" help but ", " help_but ").encode()
        for number, part in enumerate(_cut(data, _TURN, keep=False)):
            yield Clause(part, number > 0)


def _sentences(text: str) -> Iterator[str]:
    done = 0
    if head := beginning(text):
        last = None  # the one that the cut may have touched is left to the second look
        for sentence in _cut(own_words(head), _END, keep=True):
            if last is not None:
                yield last
                done += 1
            last = sentence
    yield from islice(_cut(own_words(text), _END, keep=True), done, None)


def _without_start(sentence: str, expression: Expression) -> str:
    data = sentence.encode()
    found = expression.search(data)
    return data[found[1] :].decode() if found else sentence


def _cut(data: bytes, at: Expression, keep: bool) -> Iterator[str]:
    begin = 0
    for start, end in at.spans(data):
        if part := data[begin : end if keep else start].decode().strip(" \n.。"):
            yield part
        begin = end
    if part := data[begin:].decode().strip(" \n.。"):
        yield part
