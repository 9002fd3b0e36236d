"""Find literals of which every match of an RE2 pattern contains at least one.

A search for these is much cheaper than one for the patterns: an automaton of literals has few states, which are
soon built, and that of many patterns builds new ones on each new text.

Source: R. Cox, "Regular Expression Matching with a Trigram Index" (2012), for the analysis. RE2's ``FilteredRE2``
does the same with plain strings; here white space, small character classes and word boundaries may be part of a
literal, because patterns for prose have them everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

Literal = tuple[str, ...]
"""Elements of a pattern in a row, each of which takes one character, white space or nothing."""

_FLAGS = re.compile(r"\(\?[a-z]+\)")
_ELEMENT = re.compile(
    r"\\[pP](?:\{\^?\w+\}|\w)|\\x\{[0-9A-Fa-f]+\}|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"
    r"|\(\?[a-zA-Z-]+\)|\(\?[a-zA-Z-]*:|\(\?P?<\w+>|.",
    re.DOTALL,
)
_REPETITION = re.compile(r"(?:[*+?]|\{(\d+)(,?)(\d*)\})[?+]?")
_SMALL_CLASS = re.compile(r"\[(?:\\[.\-\]\[^]|[^\^\\\]-]){1,12}\]")
_SPACES = re.compile(r"\[(?:\\pZ|\\s|\\t|[ *_\n]){2,}\]|\\s| ")
_LETTERS = re.compile(r"\[(?:a-z|A-Z|0-9|_){1,4}\]")
_NO_ASCII = re.compile(r"\\x\{(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})\}|[^\x00-\x7f]")
_NO_ASCII_CLASS = re.compile(rf"\[(?:(?:{_NO_ASCII.pattern})-?)+\]")
_NO_WIDTH = frozenset({"^", "$", "\\A", "\\z", "\\B"})
_SINGLE = frozenset({"\\b", "\\s", "\\n", "\\t"})
_CLASS = re.compile(r"\[[^\]]*\]")
_NO_WORD = "[^0-9A-Za-z_]"

_MOST_STRINGS = 400  # of a set of literals
_MOST_OPTIONAL = 12
_LEAST_WEIGHT = 1.2
_ENOUGH = 10.0  # weight at which a literal is cut
_PER_LITERAL = 0.02

_FREQUENT = {
    word: float(share)
    for share, words in (
        (80, "i is the be to not of and in a"),
        (40, "hi by this that it ta he on or as we no you can are an at for if with from"),
        (15, "there able right have copy form find such will any all use ich ne than do may"),
        (10, "person answer provid provide provided individual see document purpose file"),
        (7, "writ write question express source direct data process your condition conditions"),
        (5, "gener term terms produc grant read plan rate way opinion would support text error"),
        (3, "creat create restrict material give hey kind open advise detail details means"),
        (3, "value action information share state complet current promot system systems help"),
        (3, "people being generat message sure along show full result non should object"),
    )
    for word in words.split()
}
"""Words of prose and the share of texts of 1 kB that have them, percent. They decide only how fast a search is."""


class _Part(NamedTuple):
    """What is known of a part of a pattern.

    Attributes:
        exact: all texts that it matches; None if these are too many.
        required: sets of literals; each match contains one of each set.
    """

    exact: frozenset[Literal] | None
    required: tuple[frozenset[Literal], ...] = ()


_UNKNOWN = _Part(None)
_EMPTY: frozenset[Literal] = frozenset({()})


def required_literals(pattern: str, *, ascii_only: bool = False) -> frozenset[str] | None:
    """Return RE2 patterns of short literals; one of them occurs in each text in which the pattern occurs.

    The text is searched with a space before and behind it: a word boundary becomes a character that is not of a
    word, because RE2 builds many more states for boundaries.

    Args:
        pattern: valid in RE2; flags may stand at its beginning.
        ascii_only: whether only matches in ASCII texts count.

    Returns:
        The literals, without the flags; None if the pattern has none; empty if nothing matches.

    >>> sorted(required_literals(r"\\b(?:can(?:no|')t|unable) to (?:\\w+ ){0,3}?(?:do|be)\\b"))
    ["[^0-9A-Za-z_]can't to ", '[^0-9A-Za-z_]cannot to ', '[^0-9A-Za-z_]unable to ']
    """
    flags = _FLAGS.match(pattern)
    reader = _Reader(pattern[flags.end() if flags else 0 :], ascii_only)
    chosen: set[Literal] = set()
    for branch in reader.branches():
        candidates = _candidates(branch, ascii_only)
        if not candidates:
            return None
        chosen |= candidates[0]
    texts = {"".join(_without_boundaries(_cut(literal), ascii_only)) for literal in chosen}
    return frozenset(
        text for text in texts if not any(other != text and _is_part(other, text) for other in texts)
    )


def _is_part(other: str, text: str) -> bool:
    """Return whether a literal is a part of another: ``Za`` is none of ``[A-Za-z]``."""
    return other in (text if "[" in other else _CLASS.sub("\0", text))


class _Reader:
    """Reads a pattern once, from left to right."""

    def __init__(self, pattern: str, ascii_only: bool) -> None:
        self._pattern = pattern
        self._ascii_only = ascii_only
        self._position = 0

    def branches(self) -> list[_Part]:
        """Return the alternatives of the pattern, or of the group that begins here."""
        branches = [self._sequence()]
        while self._next() == "|":
            self._position += 1
            branches.append(self._sequence())
        return branches

    def _group(self) -> _Part:
        branches = self.branches()
        if len(branches) == 1:
            return branches[0]
        exact = _union(branch.exact or () for branch in branches)
        if all(branch.exact is not None for branch in branches) and len(exact) <= _MOST_STRINGS:
            return _Part(exact)
        candidates = [_candidates(branch, self._ascii_only) for branch in branches]
        if not all(candidates):
            return _UNKNOWN
        return _Part(None, (_union(sets[0] for sets in candidates),))

    def _next(self) -> str:
        return self._pattern[self._position : self._position + 1]

    def _sequence(self) -> _Part:
        current: frozenset[Literal] = _EMPTY
        required: list[frozenset[Literal]] = []
        is_exact = True
        while self._next() not in ("", "|", ")"):
            item = self._item()
            if item.exact is not None and len(current) * len(item.exact) <= _MOST_STRINGS:
                current = frozenset(head + tail for head, tail in product(current, item.exact))
                continue
            is_exact = False
            required += [current, *item.required]
            current = item.exact if item.exact is not None else _EMPTY
        return _Part(current) if is_exact else _Part(None, (*required, current))

    def _item(self) -> _Part:
        begin = self._position
        match = _ELEMENT.match(self._pattern, begin)
        assert match is not None
        element, self._position = match[0], match.end()
        if element.startswith("(") and not element.endswith(")"):
            part = self._group()
            self._position += 1
        else:
            part = _element(element)
        repetition = _REPETITION.match(self._pattern, self._position)
        if repetition is None:
            return part
        self._position = repetition.end()
        if _SPACES.fullmatch(element):
            return _Part(frozenset({(self._pattern[begin : self._position],)}))
        return _repeated(part, repetition)


def _union(sets: Iterable[Iterable[Literal]]) -> frozenset[Literal]:
    return frozenset(literal for literals in sets for literal in literals)


def _element(element: str) -> _Part:
    if element in _NO_WIDTH or element.startswith("(?"):
        return _Part(_EMPTY)
    if element == "." or (element[0] == "\\" and element[1].isalnum() and element not in _SINGLE):
        return _Part(frozenset({(element,)})) if element.startswith("\\x") else _UNKNOWN
    if element[0] == "[" and not any(
        form.fullmatch(element) for form in (_SMALL_CLASS, _SPACES, _LETTERS, _NO_ASCII_CLASS)
    ):
        return _UNKNOWN
    return _Part(frozenset({(element,)}))


def _repeated(part: _Part, repetition: re.Match[str]) -> _Part:
    sign = repetition[0][0]
    if sign == "?":
        is_short = part.exact is not None and len(part.exact) <= _MOST_OPTIONAL
        return _Part((part.exact or frozenset()) | _EMPTY) if is_short else _UNKNOWN
    if sign == "*" or (sign == "{" and int(repetition[1]) == 0):
        return _UNKNOWN
    return _Part(None, part.required if part.exact is None else (part.exact,))


def _candidates(part: _Part, ascii_only: bool) -> list[frozenset[Literal]]:
    """Return the sets that can be searched, the rarest first; an empty one if the part cannot match."""
    sets: Iterable[frozenset[Literal]] = part.required if part.exact is None else (part.exact,)
    if ascii_only:
        sets = [frozenset(filter(_is_ascii, literals)) for literals in sets]
    usable = [literals for literals in sets if min(map(_weight, literals), default=9) >= _LEAST_WEIGHT]
    return sorted(usable, key=lambda literals: sum(_share(literal) + _PER_LITERAL for literal in literals))


def _is_ascii(literal: Literal) -> bool:
    """Return whether a literal may occur in an ASCII text."""
    return not any(_NO_ASCII.fullmatch(element) or _NO_ASCII_CLASS.fullmatch(element) for element in literal)


def _share(literal: Literal) -> float:
    """Estimate in how many texts of 1 kB a literal occurs, percent."""
    words = "".join(
        " " if _SPACES.match(element) else element
        for element in literal
        if element != "\\b" and element[0] != "["
    )
    shares = [
        _FREQUENT[word] if word in _FREQUENT else 100 * 0.35 ** (len(word) + 0.8 * (not word.isalnum()))
        for word in words.lower().split()
    ]
    return min(shares, default=100.0)


def _weight(literal: Literal) -> float:
    return sum(map(_element_weight, literal))


def _element_weight(element: str) -> float:
    if element == "\\b" or _SPACES.match(element):
        return 0.25
    if _LETTERS.fullmatch(element):
        return 0.3
    if element.startswith("["):
        return 1.3 if _NO_ASCII_CLASS.fullmatch(element) else 0.7
    return 1.0 if element.isascii() and element.isalnum() else 1.5


def _cut(literal: Literal) -> Literal:
    """Cut a literal where it is long enough; white space at its ends goes, but for one that must follow."""
    weight, end = 0.0, 0
    while end < len(literal) and weight < _ENOUGH:
        weight += _element_weight(literal[end])
        end += 1
    literal = literal[:end]
    while literal and (spaces := _SPACES.match(literal[-1])):
        if len(literal) > 1 and literal[-1][spaces.end() :] in ("", "+", "+?"):
            literal = (*literal[:-1], spaces[0])
            break
        literal = literal[:-1]
    while literal and _SPACES.match(literal[0]):
        literal = literal[1:]
    return literal


def _without_boundaries(literal: Literal, ascii_only: bool) -> Literal:
    """Replace a word boundary before the first or behind the last letter by a character that is not of a word.

    Other boundaries are left out, so the literal occurs more often.
    """
    last = len(literal) - 1
    return tuple(
        _NO_WORD if element == "\\b" else element
        for index, element in enumerate(literal)
        if element != "\\b"
        or (index == 0 < last and _is_letter(literal[1], ascii_only))
        or (index == last > 0 and _is_letter(literal[last - 1], ascii_only))
    )


def _is_letter(element: str, ascii_only: bool) -> bool:
    """Return whether an element takes only one letter or digit of a word.

    In texts beyond ASCII, K and S in any case also take the Kelvin sign and the long s, which are not of a word.
    """
    return (
        len(element) == 1
        and element.isascii()
        and element.isalnum()
        and (ascii_only or element not in "kKsS")
    )
