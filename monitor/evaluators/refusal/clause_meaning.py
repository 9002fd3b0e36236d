"""Classify a clause: refusal, courtesy, contrast."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from monitor.evaluators.re2_patterns import Expression, search_set
from monitor.evaluators.refusal import english, english_withheld
from monitor.evaluators.refusal import english_context as context
from monitor.evaluators.refusal.languages import CONTRAST_MARKERS, LANGUAGES

# One RE2 set classifies a clause: the kinds of refusal in order of precedence, then the discourse markers.
_DIRECT = {**english.DIRECT_REFUSALS, **{code: language.refusals for code, language in LANGUAGES.items()}}
REFUSAL_PATTERNS = {
    **english.LIMITED_REFUSALS,
    **_DIRECT,
    **english_withheld.WITHHELD_ANSWERS,
    **{f"{code}_withheld": language.withheld for code, language in LANGUAGES.items()},
}
_KIND_NAMES = tuple(REFUSAL_PATTERNS)
_FALSE_REFUSAL = "|".join(
    [context.FALSE_REFUSALS, *(language.idioms for language in LANGUAGES.values() if language.idioms)]
)
_MARKERS = (
    _FALSE_REFUSAL,
    context.COURTESIES,
    context.OFFERS,
    context.JUSTIFICATIONS,
    f"{context.CONTRAST_MARKERS}|{CONTRAST_MARKERS}",
    r"^(?:while|although|though|even though|whilst)\b",
    context.TEXT_INTRODUCTIONS,
    context.REDIRECTIONS,
    context.AGREEMENTS,
)
_FALSE, _COURTESY, _OFFER, _JUSTIFICATION, _CONTRAST, _CONCESSION, _INTRODUCTION, _REDIRECTION, _AGREEMENT = (
    range(len(REFUSAL_PATTERNS), len(REFUSAL_PATTERNS) + len(_MARKERS))
)

_match = search_set(tuple(f"(?i){pattern}" for pattern in (*REFUSAL_PATTERNS.values(), *_MARKERS)))
_FALSE_REFUSALS = Expression(f"(?i){_FALSE_REFUSAL}")


class ClauseMeaning(NamedTuple):
    """The discourse function of a clause.

    ``refusal``: kind of refusal; None if it is none. ``is_direct``: a refusal that courtesies around it do
    not weaken. ``is_courtesy``: a courtesy, an offer or a justification, neither answer nor refusal.
    ``is_contrast``: begins with a contrastive marker ("but"). ``is_concession``: begins with a concessive
    conjunction ("although"), so the contrast follows within the clause. ``introduces_text``: introduces a
    text that is not in the author's voice ("here is a letter"). ``is_redirection``: begins to offer
    something else than what was asked for ("Instead, I suggest"). ``is_agreement``: agrees ("Absolutely!").
    """

    refusal: str | None
    is_direct: bool
    is_courtesy: bool
    is_contrast: bool
    is_concession: bool
    introduces_text: bool
    is_redirection: bool
    is_agreement: bool


def classify_clause(text: str) -> ClauseMeaning:
    """Classify a clause of plain text without lone surrogates."""
    matches = _match(text.encode())
    if matches and _FALSE in matches:
        matches = _match(_FALSE_REFUSALS.without(text.encode(), b" "))
    return _meaning(tuple(matches)) if matches else NO_MEANING


@lru_cache(1024)
def _meaning(matches: tuple[int, ...]) -> ClauseMeaning:
    first = min(matches)
    refusal = _KIND_NAMES[first] if first < len(_KIND_NAMES) else None
    is_courtesy = _COURTESY in matches or _OFFER in matches or _JUSTIFICATION in matches
    return ClauseMeaning(
        refusal,
        refusal in _DIRECT,
        is_courtesy,
        _CONTRAST in matches,
        _CONCESSION in matches,
        _INTRODUCTION in matches,
        _REDIRECTION in matches,
        _AGREEMENT in matches,
    )


NO_MEANING = ClauseMeaning(None, *[False] * 7)


# groups: character classes (unchanged), spaces, apostrophes; anchors are removed
_SPECIAL = re.compile(r"(\[[^\]]*\])|(?<!\[)\^|\|\$|\$|( \??)|(')")
_GAPS = {" ": r"[\pZ\s*_]+", " ?": r"[\pZ\s*_]*"}  # spaces may contain Markdown emphasis: "I **can't** help"


_END = {"^": "", "$": "", "|$": r"|[^\pL\pN]|$"}  # a clause ends before a punctuation mark


def _relaxed(pattern: str) -> str:
    """Relax a clause pattern for raw text: typographic apostrophes, any white space, no anchors."""
    return _SPECIAL.sub(
        lambda part: part[1] or (_GAPS[part[2]] if part[2] else "['’ʼ´`′]" if part[3] else _END[part[0]]),
        pattern,
    )


_CHEAPER = {**english.TRIGGER_PATTERNS, **english_withheld.TRIGGER_PATTERNS}

TRIGGER_PATTERNS = {
    kind: f"(?i){_relaxed(_CHEAPER.get(kind, pattern))}" for kind, pattern in REFUSAL_PATTERNS.items()
}
"""Kind -> pattern for raw text. It matches wherever a clause of this kind occurs."""

_NON_LATIN = ("ru", "uk", "ar", "hi", "zh", "ja", "ko")
NON_ASCII_PATTERNS = frozenset(f"{code}{ending}" for code in _NON_LATIN for ending in ("", "_withheld"))
"""Kinds whose patterns match no ASCII text."""
