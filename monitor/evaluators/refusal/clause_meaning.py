"""What a clause says, as far as refusing goes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from monitor.evaluators.re2_patterns import Expression, search_set
from monitor.evaluators.refusal import english
from monitor.evaluators.refusal import english_context as around
from monitor.evaluators.refusal.other_languages import BUT, LANGUAGES
from monitor.evaluators.refusal.other_languages import NOT_REFUSALS as FOREIGN_NOT_REFUSALS

# One RE2 set says all that there is to say of a clause: the kinds of refusal, in order, and then the marks.
KINDS = {**english.REFUSES, **LANGUAGES, **english.WITHHOLDS}
_NAMES, _OUTRIGHT = tuple(KINDS), len(english.REFUSES) + len(LANGUAGES)
_NO_REFUSAL = f"{around.NOT_REFUSALS}|{FOREIGN_NOT_REFUSALS}"
_MARKS = (
    _NO_REFUSAL,
    around.ASIDE,
    around.OFFERS,
    around.MORALISES,
    BUT,
    r"^(?:while|although|though|even though|whilst)\b",
    around.DELIVERS,
)
_DENIED, _ASIDE, _OFFER, _MORAL, _BUT, _HEDGE, _DELIVERS = range(len(KINDS), len(KINDS) + len(_MARKS))

_marks = search_set(tuple(f"(?i){pattern}" for pattern in (*KINDS.values(), *_MARKS)))
_DENIAL = Expression(f"(?i){_NO_REFUSAL}")


class Said(NamedTuple):
    """``kind``: of refusal, if it is one; ``outright``: whatever else is said around it; ``polite``: neither
    answers nor refuses; ``turns``: in contrast to what came before; ``hedges``: the contrast is to come;
    ``delivers``: hands over a text that somebody else speaks in.
    """

    kind: str | None
    outright: bool
    polite: bool
    turns: bool
    hedges: bool
    delivers: bool


def said(text: str) -> Said:
    """What a clause in plain text, without lone surrogates, says."""
    marks = _marks(text.encode())
    if marks and _DENIED in marks:
        marks = _marks(_DENIAL.without(text.encode(), b" "))
    return _meaning(tuple(marks)) if marks else NOTHING


@lru_cache(1024)
def _meaning(marks: tuple[int, ...]) -> Said:
    first = min(marks)
    kind = _NAMES[first] if first < len(_NAMES) else None
    polite = _ASIDE in marks or _OFFER in marks or _MORAL in marks
    return Said(kind, first < _OUTRIGHT, polite, _BUT in marks, _HEDGE in marks, _DELIVERS in marks)


NOTHING = Said(None, outright=False, polite=False, turns=False, hedges=False, delivers=False)


# classes as they are; anchors; spaces; apostrophes
_SPECIAL = re.compile(r"(\[[^\]]*\])|(?<!\[)\^|\|\$|\$|( \??)|(')")
_GAPS = {" ": r"[\pZ\s*_]+", " ?": r"[\pZ\s*_]*"}  # with Markdown's emphasis: "I **can't** help"


def _loose(pattern: str) -> str:
    """A clause's pattern as it stands in raw text: typographic apostrophes, any white space, starts and ends
    of clauses anywhere.
    """
    return _SPECIAL.sub(
        lambda part: part[1] or (_GAPS[part[2]] if part[2] else "['’ʼ´`′]" if part[3] else ""), pattern
    )


TRIGGERS = {kind: f"(?i){_loose(english.TRIGGERS.get(kind, pattern))}" for kind, pattern in KINDS.items()}
"""Kind -> what to look for in raw text. It matches wherever a clause of this kind stands."""
