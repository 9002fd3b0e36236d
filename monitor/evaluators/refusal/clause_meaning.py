"""Classify a clause: refusal, courtesy, contrast."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from monitor.evaluators.re2_patterns import Expression, search_set
from monitor.evaluators.refusal import english
from monitor.evaluators.refusal import english_context as context
from monitor.evaluators.refusal.other_languages import CONTRAST_MARKERS, LANGUAGES
from monitor.evaluators.refusal.other_languages import FALSE_REFUSALS as OTHER_FALSE_REFUSALS

# One RE2 set classifies a clause: the kinds of refusal in order of precedence, then the discourse markers.
REFUSAL_PATTERNS = {**english.DIRECT_REFUSALS, **LANGUAGES, **english.WITHHELD_ANSWERS}
_KIND_NAMES, _DIRECT_KINDS = tuple(REFUSAL_PATTERNS), len(english.DIRECT_REFUSALS) + len(LANGUAGES)
_FALSE_REFUSAL = f"{context.FALSE_REFUSALS}|{OTHER_FALSE_REFUSALS}"
_MARKERS = (
    _FALSE_REFUSAL,
    context.COURTESIES,
    context.OFFERS,
    context.JUSTIFICATIONS,
    CONTRAST_MARKERS,
    r"^(?:while|although|though|even though|whilst)\b",
    context.TEXT_INTRODUCTIONS,
)
_FALSE, _COURTESY, _OFFER, _JUSTIFICATION, _CONTRAST, _CONCESSION, _INTRODUCTION = range(
    len(REFUSAL_PATTERNS), len(REFUSAL_PATTERNS) + len(_MARKERS)
)

_match = search_set(tuple(f"(?i){pattern}" for pattern in (*REFUSAL_PATTERNS.values(), *_MARKERS)))
_FALSE_REFUSALS = Expression(f"(?i){_FALSE_REFUSAL}")


class ClauseMeaning(NamedTuple):
    """The discourse function of a clause.

    ``refusal``: kind of refusal; None if it is none. ``is_direct``: a refusal that courtesies around it do
    not weaken. ``is_courtesy``: a courtesy, an offer or a justification, neither answer nor refusal.
    ``is_contrast``: begins with a contrastive marker ("but"). ``is_concession``: begins with a concessive
    conjunction ("although"), so the contrast follows within the clause. ``introduces_text``: introduces a
    text that is not in the author's voice ("here is a letter").
    """

    refusal: str | None
    is_direct: bool
    is_courtesy: bool
    is_contrast: bool
    is_concession: bool
    introduces_text: bool


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
        first < _DIRECT_KINDS,
        is_courtesy,
        _CONTRAST in matches,
        _CONCESSION in matches,
        _INTRODUCTION in matches,
    )


NO_MEANING = ClauseMeaning(
    None, is_direct=False, is_courtesy=False, is_contrast=False, is_concession=False, introduces_text=False
)


# groups: character classes (unchanged), spaces, apostrophes; anchors are removed
_SPECIAL = re.compile(r"(\[[^\]]*\])|(?<!\[)\^|\|\$|\$|( \??)|(')")
_GAPS = {" ": r"[\pZ\s*_]+", " ?": r"[\pZ\s*_]*"}  # spaces may contain Markdown emphasis: "I **can't** help"


def _relaxed(pattern: str) -> str:
    """Relax a clause pattern for raw text: typographic apostrophes, any white space, no anchors."""
    return _SPECIAL.sub(
        lambda part: part[1] or (_GAPS[part[2]] if part[2] else "['’ʼ´`′]" if part[3] else ""), pattern
    )


TRIGGER_PATTERNS = {
    kind: f"(?i){_relaxed(english.TRIGGER_PATTERNS.get(kind, pattern))}"
    for kind, pattern in REFUSAL_PATTERNS.items()
}
"""Kind -> pattern for raw text. It matches wherever a clause of this kind occurs."""
