"""Counts of names that events carry (finish reason, error type, model), at most 64 names by weight class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from monitor.stats.sampling_weights import MAX_CLASSES, MILLION, coarsen

MAX_NAMES = 64
MAX_NAME_CHARS = 128
OTHER = "other"
_EXACT = 2**26
"""Counts below have exact squares."""

_OTEL_FINISH_REASONS = (
    "stop",
    "length",
    "content_filter",
    "tool_call",
    "tool_calls",
    "function_call",
    "error",
)
_ANTHROPIC_FINISH_REASONS = ("end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal")
_GOOGLE_FINISH_REASONS = ("STOP", "MAX_TOKENS", "SAFETY", "RECITATION")
_OUTCOMES = ("ok", "parse_error", "schema_error", "downstream_error", "none", "flagged", "blocked")
_FALLBACKS = ("model", "cache", "template", "omitted")
_DEGRADATION_LEVELS = ("1", "2", "3", "4", "5")
_ERRORS = ("timeout", "rate_limit")
WELL_KNOWN_NAMES = frozenset(
    (
        *("", *_OTEL_FINISH_REASONS, *_ANTHROPIC_FINISH_REASONS, *_GOOGLE_FINISH_REASONS),
        *(*_OUTCOMES, *_FALLBACKS, *_DEGRADATION_LEVELS, *_ERRORS),
    )
)
"""Names that always keep a count of their own; others fill the remaining places, in the order of hashes."""


class CategoryCounts:
    """Integer counts of names by sampling probability. Initially empty: nothing counted.

    Of all names ever seen the 64 of lowest rank keep a count of their own (``WELL_KNOWN_NAMES`` first, then
    by hash); the others are counted as ``other``. The rank of a name depends on nothing else: a name that is
    among the first 64 of all is so in every part. So merging is exact in any order.

    >>> categories = CategoryCounts()
    >>> categories.add(1_000_000, {"stop": 9, "length": 1})
    >>> categories.add(100_000, {"stop": 2})
    >>> categories.weighted_counts(), categories.n
    ({'length': 1.0, 'stop': 29.0}, 12)

    Source: Cohen and Kaplan, PODC (2007), bottom-k samples: those of a union follow from those of its parts.
    """

    __slots__ = ("_names", "classes", "level")

    def __init__(self) -> None:
        self.level = 0
        self.classes: dict[int, dict[str, int]] = {}
        self._names: set[str] = set()

    def add(self, ppm: int, counts: Mapping[str, int]) -> None:
        """Count names (cut to 128 characters).

        Args:
            ppm: sampling probability on the finest grid, as ``to_ppm`` gives it.
            counts: name -> number of events, at least 0.
        """
        for level in range(1, self.level + 1):
            ppm = coarsen(ppm, level)
        self._put(ppm, counts)

    def merge(self, other: CategoryCounts) -> None:
        """Add the counts of ``other``, which stays as it is."""
        self.merge_all((other,))

    def merge_all(self, others: Iterable[CategoryCounts]) -> None:
        """``merge`` each of them."""
        for other in others:
            while self.level < other.level:
                self._coarsen()
            for ppm, counts in other.classes.items():
                for level in range(other.level + 1, self.level + 1):
                    ppm = coarsen(ppm, level)
                self._put(ppm, counts)

    def difference(self, earlier: CategoryCounts) -> CategoryCounts | None:
        """Return what was counted since a state of these counts; None if names were merged since.

        >>> categories = CategoryCounts()
        >>> categories.add(1_000_000, {"stop": 9})
        >>> earlier = CategoryCounts.from_state(categories.state())
        >>> categories.add(1_000_000, {"stop": 1, "length": 1})
        >>> categories.difference(earlier).weighted_counts()
        {'length': 1.0, 'stop': 1.0}
        """
        if self.level != earlier.level or not earlier._names <= self._names or OTHER in self._names:
            return None
        out = CategoryCounts()
        out.level = self.level
        for ppm, counts in self.classes.items():
            before = earlier.classes.get(ppm, {})
            added = {name: n - before.get(name, 0) for name, n in counts.items()}
            out._put(ppm, added)
        return out

    @property
    def n(self) -> int:
        """Number of events counted, unweighted."""
        return sum(sum(counts.values()) for counts in self.classes.values())

    @property
    def effective_n(self) -> float:
        """Kish's effective sample size (sum w)^2 / sum w^2; 0 if nothing is counted.

        Source: Kish, Survey Sampling (1965).
        """
        if len(self.classes) == 1 and (plain := self.classes.get(MILLION)):
            n = sum(plain.values())
            if n < _EXACT:
                return float(n)
        sizes = [(sum(counts.values()), MILLION / ppm) for ppm, counts in sorted(self.classes.items())]
        total = sum(n * weight for n, weight in sizes)
        return total**2 / sum(n * weight**2 for n, weight in sizes) if total else 0.0

    def weighted_counts(self) -> dict[str, float]:
        """Return name -> count weighted by 1/p, names in order; empty if nothing is counted."""
        if len(self.classes) == 1 and (plain := self.classes.get(MILLION)):
            return {name: float(plain[name]) for name in sorted(plain)}
        out: dict[str, float] = {}
        for ppm, counts in sorted(self.classes.items()):
            for name, n in counts.items():
                out[name] = out.get(name, 0.0) + n * MILLION / ppm
        return dict(sorted(out.items()))

    def state(self) -> list[Any]:
        """Return plain values: level, then [ppm, name -> count] by class.

        Equal counts give equal values, in whatever order they came.
        """
        return [
            self.level,
            [[ppm, dict(sorted(counts.items()))] for ppm, counts in sorted(self.classes.items())],
        ]

    @classmethod
    def from_state(cls, state: Any) -> CategoryCounts:
        """Restore counts from ``state``."""
        categories = cls()
        categories.level = state[0]
        categories.classes = {ppm: dict(counts) for ppm, counts in state[1]}
        categories._names = {name for counts in categories.classes.values() for name in counts}
        return categories

    def _put(self, ppm: int, counts: Mapping[str, int]) -> None:
        totals = self.classes.get(ppm)
        if totals is None:
            if not any(counts.values()):
                return
            totals = self.classes[ppm] = {}
        for name, n in counts.items():
            if n:
                name = name[:MAX_NAME_CHARS]
                totals[name] = totals.get(name, 0) + n
        self._names.update(totals)
        if len(self._names) - (OTHER in self._names) > MAX_NAMES:
            self._shrink()
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def _shrink(self) -> None:
        first = set(sorted(self._names - {OTHER}, key=_rank)[:MAX_NAMES])
        for totals in self.classes.values():
            if rest := sum(totals.pop(name) for name in totals.keys() - first):
                totals[OTHER] = rest
        self._names &= first | {OTHER}
        if any(OTHER in totals for totals in self.classes.values()):
            self._names.add(OTHER)

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, counts in classes.items():
            totals = self.classes.setdefault(coarsen(ppm, self.level), {})
            for name, n in counts.items():
                totals[name] = totals.get(name, 0) + n


@lru_cache(maxsize=4096)
def _rank(name: str) -> tuple[bool, bytes, str]:
    return (
        name not in WELL_KNOWN_NAMES,
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(),
        name,
    )
