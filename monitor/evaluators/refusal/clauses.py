"""Split a text into the clauses that its author says in their own voice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from monitor.evaluators.re2_patterns import Expression
from monitor.evaluators.refusal.speaker import author_text, independent_prefix

_ANSWER_LABEL = Expression(
    r"(?i)^(?:AI|(?:chat)?gpt[-\w.]{0,6}|claude|gemini|model|assistant|answer|a|bot|response|output|final"
    r" answer|note|agent|chatgpt|explanation|reason|result"
    r"|message|text|summary|content|refusal|error|description|title|translation|status)\s*: ?"
)
_SPEAKER_LABEL = Expression(r"^(?:[A-HJ-Z]|I\w)[\w.' -]{0,24}: ")
_NO_SPEAKER = frozenset(
    {
        *(
            "let",
            "to",
            "my",
            "sorry",
            "unfortunately",
            "short",
            "simply",
            "in",
            "as",
            "no",
            "yes",
            "honestly",
            "final",
        ),
        *(
            "important",
            "look",
            "listen",
            "please",
            "here",
            "this",
            "that",
            "so",
            "well",
            "ok",
            "okay",
            "be",
            "just",
        ),
        *(
            "one",
            "first",
            "now",
            "again",
            "sadly",
            "regrettably",
            "apologies",
            "warning",
            "reminder",
            "quick",
            "request",
        ),
    }
)
"""First words of what stands before a colon and is no speaker."""
_NEGATIONS = frozenset({"nicht", "kein", "keine", "pas", "non", "não", "niet", "geen", "nie", "inte", "не"})
"""Words of a sentence before a colon, which is no speaker: "Das geht nicht: ..."."""
_OTHER_SPEAKER = Expression(
    r"(?im)^[*\[ ]*(?:user|customer|human|client|caller|guest|visitor|patient|student|interviewer|q)[*\]]*: "
)
_OPTION_LETTER = Expression(r"^\(?[A-Z][).]+\s+")
_SENTENCE_END = Expression(r"[.!?…؟]+[\"”')\]]*(?:\s|$)|[。！？।۔]|\n+")
_CLAUSE_BREAK = Expression(
    r"(?i)(?:,|;| [-–—]|—)? (?:but|however|though|although|nevertheless|yet)[, ]|, so |,"
    r" (?:aber|jedoch|mais|pero|però"
    r"|mas|maar|ale|doch|но|однако|але|проте|ama|ancak|fakat|nhưng|tetapi|tapi|namun) |[;；]"
    r"|，(?:但是|但|不过|不過)|が、|،? (?:لكن|ولكن) |,? लेकिन "
)


_READ_CHARS = 4_000


class Clause(NamedTuple):
    """A clause with straight apostrophes and single spaces.

    ``is_contrast``: a conjunction of contrast or consequence joins it to the previous clause.
    ``is_dialogue``: a line with the name of a speaker.
    """

    text: str
    is_contrast: bool = False
    is_dialogue: bool = False


def clauses(text: str) -> Iterator[Clause]:
    """Yield the clauses of a text in order; stopping early costs only the beginning of a long text.

    >>> [clause.text for clause in clauses("Sorry, but I can’t. He said “no way”. Ask me later!")]
    ['Sorry', "I can't", 'He said', 'Ask me later!']
    """
    is_transcript = ":" in text and _OTHER_SPEAKER.search(text[:_READ_CHARS].encode()) is not None
    for sentence in _sentences(text):
        plain = sentence
        if ":" in sentence:
            plain = sentence if is_transcript else _without_prefix(sentence, _ANSWER_LABEL)
            if plain is sentence and _has_speaker(sentence):
                yield Clause(sentence, is_dialogue=True)
                continue
        if ")" in (start := plain[:3]) or "." in start:
            plain = _without_prefix(plain, _OPTION_LETTER)
        data = plain.replace(" help but ", " help_but ").encode()
        for number, part in enumerate(_split(data, _CLAUSE_BREAK, keep=False)):
            yield Clause(part, number > 0)


def _sentences(text: str) -> Iterator[str]:
    yielded = 0
    if head := independent_prefix(text):
        last = None  # the last sentence may be cut, so the second pass yields it
        for sentence in _split(author_text(head), _SENTENCE_END, keep=True):
            if last is not None:
                yield last
                yielded += 1
            last = sentence
    yield from islice(_split(author_text(text), _SENTENCE_END, keep=True), yielded, None)


def _has_speaker(sentence: str) -> bool:
    """Return whether a sentence begins with the name of a speaker: "Mara: I won't", but not "To be clear: I won't"."""
    if _SPEAKER_LABEL.search(sentence.encode()) is None:
        return False
    words = sentence.partition(":")[0].lower().split()
    return words[0].rstrip(",") not in _NO_SPEAKER and _NEGATIONS.isdisjoint(words)


def _without_prefix(sentence: str, expression: Expression) -> str:
    data = sentence.encode()
    span = expression.search(data)
    return data[span[1] :].decode() if span else sentence


def _split(data: bytes, separator: Expression, keep: bool) -> Iterator[str]:
    begin = 0
    for start, end in separator.spans(data):
        if part := data[begin : end if keep else start].decode().strip(" \n.。।"):
            yield part
        begin = end
    if part := data[begin:].decode().strip(" \n.。।"):
        yield part
