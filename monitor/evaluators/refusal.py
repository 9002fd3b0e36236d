"""Does the model refuse, or answer with anything but an answer?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import re2

from monitor.evaluators import refusal_english as english
from monitor.evaluators.clauses import Clause, clauses
from monitor.evaluators.evaluator import Evaluator
from monitor.evaluators.refusal_languages import BUT, LANGUAGES
from monitor.evaluators.refusal_languages import NOT_REFUSALS as FOREIGN_NOT_REFUSALS
from monitor.evaluators.texts import scanned, search_set
from monitor.evaluators.verdict import PASSED, SKIPPED_ERROR, SKIPPED_NO_TEXT, Verdict, failed

# How much answer, in characters, outweighs a refusal. An outright one ("I can't help with that") stays one beside much moralising;
# "I don't have opinions, but ..." is an answer as soon as one follows.
_BEFORE_OUTRIGHT, _BEFORE_WITHHELD = 160, 40
_AFTER_OUTRIGHT, _AFTER_TURNED, _AFTER_WITHHELD = 700, 20, 250
_ANSWERS_AFTER_ALL = 40  # "I can't do it here, but you can do it under Settings > Orders"

_OPTION = r"^\s*\(?[A-Z]\)?[.:)]*\s*(?:refused|refuse to answer|declined? to answer)[.\s]*$"  # a survey's "(D). Refused"
_INPUT_QUOTES = re2.compile(r"(?i)\b(?:translat|paraphras|rewrit|rephras|proofread|übersetz|tradu|traduz|vertaal)|翻译|翻譯|翻訳")


_SPECIAL = re.compile(r"(\[[^\]]*\])|(?<!\[)\^|\|\$|\$|( \??)|(')")  # classes as they are; anchors; spaces; apostrophes
_SPACES = {" ": r"[\pZ\s*_]+", " ?": r"[\pZ\s*_]*"}  # with Markdown's emphasis: "I **can't** help"


def _loose(pattern: str) -> str:
    """A clause's pattern as it stands in raw text: typographic apostrophes, any white space, starts and ends of clauses anywhere."""
    return _SPECIAL.sub(lambda part: part[1] or (_SPACES[part[2]] if part[2] else "['’ʼ´`′]" if part[3] else ""), pattern)


# One RE2 set says all that there is to say of a clause: the kinds of refusal, in order, and then the marks.
_KINDS = {**english.REFUSES, **LANGUAGES, **english.WITHHOLDS}
_NAMES, _OUTRIGHT = tuple(_KINDS), len(english.REFUSES) + len(LANGUAGES)
_NO_REFUSAL = f"{english.NOT_REFUSALS}|{FOREIGN_NOT_REFUSALS}"
_MARKS = (_NO_REFUSAL, english.ASIDE, english.OFFERS, english.MORALISES, BUT, r"^(?:while|although|though|even though|whilst)\b", english.DELIVERS)
_DENIED, _ASIDE, _OFFER, _MORAL, _BUT, _HEDGE, _DELIVERS = range(len(_KINDS), len(_KINDS) + len(_MARKS))


def _set(patterns: Iterable[str]) -> Any:
    return search_set(tuple(f"(?i){pattern}" for pattern in patterns))


_match = _set([*_KINDS.values(), *_MARKS])
_DENIAL = re2.compile(f"(?i){_NO_REFUSAL}")
_WHOLE_OPTION = re2.compile(f"(?i){_OPTION}")
_DRAFT = re2.compile(
    r"(?im)\A\s*subject: .*|^(?:best|kind|warm|yours|sincerely|regards|cheers|love|best wishes|many thanks"
    r"|thanks)(?: \w+){0,3},?\s*\n+\s*(?:\[[^\]\n]+\]|[A-Z]\w+(?: [A-Z]\w+)?)\s*\z")
_SUPPORT = re2.compile(r"(?i)(?:support|team|assistant|service|bot|care|desk|\bAI)\s*\]?\s*\z")
_NUMBERED = re2.compile(r"(?m)^\s*(?:\d+[.)]|[-*•])\s")


class RefusalEvaluator(Evaluator):
    """Fails when the answer refuses, or says only why there is none ("This is subjective and depends on the individual").

    A refusal counts where the answer begins, after any apology or thanks; in a long answer, a quotation, code, a drafted letter or another
    speaker's line it does not. An answer that follows it ("I'm not a doctor, but ...") outweighs it.
    English is covered well; German, French, Spanish, Italian, Portuguese, Dutch, Chinese and Japanese for the usual forms; Korean,
    Russian and Polish for a few.
    """

    name = "refusal"
    version = "1"
    reads_text = True
    patterns: Mapping[str, str] = {  # type: ignore[misc]
        **{kind: f"(?i){_loose(english.TRIGGERS.get(kind, pattern))}" for kind, pattern in _KINDS.items()},
        "option": "(?i)\\brefused?\\b|\\bdeclined?\\b",
    }

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Failed with the kind of refusal as reason; the text itself is not repeated."""
        if event.error_type:
            return SKIPPED_ERROR
        if not event.output:
            return SKIPPED_NO_TEXT
        if not hits:
            return PASSED
        text = scanned(event.output)
        kind = refusal(text)
        if kind is None or _repeats_input(event.input):
            return PASSED
        return failed(f"refusal: {kind}")


def refusal(text: str) -> str | None:
    """The kind of refusal that a text is, or None.

    >>> refusal("I'm sorry, but I can't help with that.")
    'cannot_help'
    >>> refusal("I'm sorry for the delay, your order ships on Tuesday.") is None
    True
    """
    if _WHOLE_OPTION.search(text):
        return "option"
    if _DRAFT.search(text) and not _SUPPORT.search(text):
        return None
    before = 0
    waiting = clauses(text)
    for clause in map(_read, waiting):
        if clause.delivers:
            return None
        if clause.kind is None:
            before += 0 if clause.polite else len(clause.text)
        elif clause.outright or before <= _BEFORE_WITHHELD:
            return None if _answers(clause, map(_read, waiting), text) else clause.kind
        if before > _BEFORE_OUTRIGHT:
            return None
    return None


class _Read(NamedTuple):
    """What a clause says. ``polite``: neither answers nor refuses; ``turns``: stands in contrast to what came before."""

    text: str
    kind: str | None
    outright: bool
    polite: bool
    turns: bool
    follows: bool
    hedges: bool
    delivers: bool


def _read(clause: Clause) -> _Read:
    marks = [] if clause.spoken else _match(clause.text) or []
    if _DENIED in marks:
        marks = _match(_DENIAL.sub(" ", clause.text)) or []
    first = min(marks, default=len(_NAMES))
    kind = _NAMES[first] if first < len(_NAMES) else None
    polite = _ASIDE in marks or _OFFER in marks or _MORAL in marks
    return _Read(clause.text, kind, first < _OUTRIGHT, polite, clause.turns or _BUT in marks, clause.turns, _HEDGE in marks, _DELIVERS in marks)


def _answers(clause: _Read, rest: Iterable[_Read], text: str) -> bool:
    """Whether what follows a refusal is an answer all the same."""
    answer, turned = 0, clause.hedges
    if clause.hedges and not clause.polite:  # "While I can't ..., X": the turn is inside the clause
        answer = len(clause.text.rpartition(", ")[2])
    for number, part in enumerate(rest):
        if part.kind is not None or part.polite:
            continue
        turned = turned or part.turns
        if clause.outright and number == 0 and part.follows and len(part.text) >= _ANSWERS_AFTER_ALL:
            return True
        answer += len(part.text)
    if clause.outright:
        return answer >= _AFTER_OUTRIGHT and (turned or len(_NUMBERED.findall(text)) > 2)
    return answer >= (_AFTER_TURNED if turned else _AFTER_WITHHELD)


def _repeats_input(given: str | None) -> bool:
    """Whether the input asks to reword or translate a refusal, which is then no refusal."""
    return given is not None and _INPUT_QUOTES.search(head := scanned(given)) is not None and _read(Clause(head.replace("’", "'"))).kind is not None
