"""RE2 on UTF-8 bytes.

The Python wrapper of RE2 recounts every match in characters and makes objects for it, which costs several
times the matching itself. What stands below it (``Match`` of a compiled expression and of a set) takes bytes;
where a version hides that, the wrapper does the same, slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2

# at RE2's default of 8 MiB it is thrown away and built again all the time: 140 µs a text instead of 4
_AUTOMATON_BYTES = 64 << 20
_NOWHERE = (-1, -1)


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
        """Where it first matches from ``start`` on, as byte offsets; ``^`` and ``\\b`` see what stands
        before.
        """
        span = self._match(data, start)
        return span if span[1] >= 0 else None

    def occurs(self, text: str) -> bool:
        """Whether it matches anywhere in a text without lone surrogates. It reads all of it: for what can
        only stand at the start, ``search``.
        """
        if self._occurs is None:
            # a set says yes or no in half the time that it takes to say where
            self._occurs = _search_set((self._pattern,))
        return bool(self._occurs(text.encode()))

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where it matches, from left to right and without overlap."""
        match = self._match
        start, end = match(data, 0)
        size = len(data)
        while end >= 0:
            yield start, end
            if end == size:
                return
            start, end = match(data, end)

    def without(self, data: bytes, by: bytes) -> bytes:
        """The bytes with each match replaced."""
        kept, begin = [], 0
        for start, end in self.spans(data):
            kept.append(data[begin:start])
            begin = end
        return by.join([*kept, data[begin:]]) if kept else data


def matcher(compiled: Any) -> Callable[[bytes, int], tuple[int, int]]:
    """A function from bytes and a start to the first match's offsets, (-1, -1) when there is none; of a
    compiled ``re2`` expression.
    """
    try:
        match, anywhere = compiled._regexp.Match, re2._Anchor.UNANCHORED
        match(anywhere, b"", 0, 0)
    except (AttributeError, TypeError):  # another version of the wrapper
        return lambda data, start: found.span() if (found := compiled.search(data, start)) else _NOWHERE
    return lambda data, start: match(anywhere, data, start, len(data))[0]


@lru_cache(maxsize=64)  # features share one automaton, and what it has learnt of texts
def search_set(patterns: tuple[str, ...]) -> Callable[[bytes], Sequence[int] | None]:
    """A function from UTF-8 to the numbers of the patterns that occur in it, in no order; None or empty when
    none does.

    Raises:
        ValueError: a pattern is not RE2.
    """
    return _search_set(patterns)


def _search_set(patterns: tuple[str, ...]) -> Callable[[bytes], Sequence[int] | None]:
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        try:
            found.Add(pattern)
        except re2.error as error:
            raise ValueError(f"pattern {pattern!r:.80}: {error}") from None
    found.Compile()
    match: Callable[[bytes], Sequence[int] | None] = getattr(
        getattr(found, "_set", found), "Match", found.Match
    )
    return match
