"""Match RE2 patterns on UTF-8 bytes.

The Python wrapper of RE2 converts every match to character offsets and objects, which costs several times
the matching itself. The functions below it (``Match`` of an expression and of a set) take bytes. If a version
of the wrapper hides them, the wrapper is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2

from monitor.evaluators.required_literals import required_literals

# with RE2's default of 8 MiB the automaton is discarded and rebuilt all the time: 140 µs a text, not 4
_AUTOMATON_BYTES = 64 << 20
_NO_MATCH = (-1, -1)
_BEYOND_ASCII = re.compile(r"\\x\{(?:[89A-Fa-f][0-9A-Fa-f]|[0-9A-Fa-f]{3,})\}|[^\x00-\x7f]")
_MANY = 12
"""Patterns from which on a search for literals comes first."""
_GROUP_SIZE = 6
_LEAST_SHARED = 0.3


class Expression:
    """One RE2 pattern that never matches an empty text.

    >>> Expression("l+").search(b"hello"), Expression("l+").without(b"hello all", b"L")
    ((2, 4), b'heLo aL')
    """

    __slots__ = ("_match", "_occurs", "_pattern")

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._match = matcher(re2.compile(pattern))
        self._occurs: Callable[[bytes], Sequence[int] | None] | None = None

    def search(self, data: bytes, start: int = 0) -> tuple[int, int] | None:
        """Return the byte offsets of the first match from ``start`` on; None without a match.

        ``^`` and ``\\b`` take the bytes before ``start`` into account.
        """
        span = self._match(data, start)
        return span if span[1] >= 0 else None

    def occurs(self, text: str) -> bool:
        """Return whether it matches anywhere in a text without lone surrogates.

        This reads the whole text; for a pattern anchored at the start, ``search`` is faster.
        """
        if self._occurs is None:
            # a set answers yes or no in half the time of a search for the position
            self._occurs = _search_set((self._pattern,))
        return bool(self._occurs(text.encode()))

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the offsets of all matches, from left to right, without overlap."""
        match = self._match
        start, end = match(data, 0)
        size = len(data)
        while end >= 0:
            yield start, end
            if end == size:
                return
            start, end = match(data, end)

    def without(self, data: bytes, by: bytes) -> bytes:
        """Return the bytes with each match replaced."""
        between, begin = [], 0
        for start, end in self.spans(data):
            between.append(data[begin:start])
            begin = end
        return by.join([*between, data[begin:]]) if between else data


def matcher(compiled: Any) -> Callable[[bytes, int], tuple[int, int]]:
    """Make a search function of a compiled ``re2`` expression.

    The function takes bytes and a start and returns the offsets of the first match, (-1, -1) without a match.
    """
    try:
        match, anywhere = compiled._regexp.Match, re2._Anchor.UNANCHORED
        match(anywhere, b"", 0, 0)
    except (AttributeError, TypeError):  # another version of the wrapper
        return lambda data, start: hit.span() if (hit := compiled.search(data, start)) else _NO_MATCH
    return lambda data, start: match(anywhere, data, start, len(data))[0]


@lru_cache(maxsize=64)  # features share one automaton and its cached states
def search_set(patterns: tuple[str, ...]) -> Callable[[bytes], Sequence[int] | None]:
    """Make a function that returns the indices of the patterns that occur in UTF-8 bytes, in any order.

    The function returns None or an empty sequence if none occurs.

    Raises:
        ValueError: a pattern is not valid in RE2.
    """
    if len(patterns) < _MANY:
        return _search_set(patterns)
    searches: list[_FilteredSearch | None] = [None, None]  # made when the first such text comes

    def search(data: bytes) -> Sequence[int]:
        is_ascii = data.isascii()
        found = searches[is_ascii]
        if found is None:
            found = searches[is_ascii] = _FilteredSearch(patterns, ascii_only=is_ascii)
        return found(data)

    return search


class _FilteredSearch:
    """Searches many patterns: first the literals that they require, then the patterns whose literals occur.

    One automaton of many patterns has a state for each combination of what may have begun, so a text that was
    not seen before builds hundreds of new ones. Literals have few; patterns are searched in small groups of
    those that require the same literals.

    Args:
        patterns: valid in RE2.
        ascii_only: whether it is used for ASCII texts only, in which classes of letters and spaces are small.
    """

    def __init__(self, patterns: Sequence[str], *, ascii_only: bool = False) -> None:
        groups: list[tuple[list[int], frozenset[str]]] = []
        always: list[int] = []
        for number, pattern in enumerate(patterns):
            literals = required_literals(pattern, ascii_only=ascii_only)
            if literals is None:
                always.append(number)
            elif literals:
                _join(groups, number, literals)
        filters = tuple(f"(?i){'|'.join(sorted(literals))}" for _, literals in groups)
        self._filter = _search_set(filters, ascii_only) if filters else _no_match
        self._groups = tuple(
            (_search_set(tuple(patterns[number] for number in numbers), ascii_only), tuple(numbers))
            for numbers, _ in groups
        )
        self._always = (
            _search_set(tuple(patterns[number] for number in always), ascii_only) if always else _no_match
        )
        self._always_numbers = tuple(always)

    def __call__(self, data: bytes) -> Sequence[int]:
        """Return the indices of the patterns that occur."""
        occurring = [self._always_numbers[index] for index in self._always(data) or ()]
        for group in self._filter(b" %b " % data) or ():
            search, numbers = self._groups[group]
            if matches := search(data):
                occurring += [numbers[index] for index in matches]
        return occurring


def _join(groups: list[tuple[list[int], frozenset[str]]], number: int, literals: frozenset[str]) -> None:
    """Add a pattern to the group with which it shares most literals, else to a new one."""
    shared, best = max(
        (
            (len(literals & others) / min(len(literals), len(others)), index)
            for index, (numbers, others) in enumerate(groups)
            if len(numbers) < _GROUP_SIZE
        ),
        default=(0.0, 0),
    )
    if shared > _LEAST_SHARED:
        numbers, others = groups[best]
        groups[best] = ([*numbers, number], others | literals)
    else:
        groups.append(([number], literals))


def _no_match(data: bytes) -> None:
    return None


def _search_set(
    patterns: tuple[str, ...], ascii_only: bool = False
) -> Callable[[bytes], Sequence[int] | None]:
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    if ascii_only:
        # classes like \pL and \pZ then have few ranges; no character beyond ASCII occurs
        options.encoding = re2.Options.Encoding.LATIN1
        patterns = tuple(_BEYOND_ASCII.sub(r"\\xFF", pattern) for pattern in patterns)
    pattern_set = re2.Set.SearchSet(options)
    for pattern in patterns:
        try:
            pattern_set.Add(pattern)
        except re2.error as error:
            raise ValueError(f"pattern {pattern!r:.80}: {error}") from None
    pattern_set.Compile()
    match: Callable[[bytes], Sequence[int] | None] = getattr(
        getattr(pattern_set, "_set", pattern_set), "Match", pattern_set.Match
    )
    return match
