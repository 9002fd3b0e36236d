"""Names that events carry (finish reason, error type, model that answered): how often each, by weight class,
of at most 64 names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from monitor.stats.sampling_weights import MAX_CLASSES, MILLION, coarsen

MAX_NAMES = 64
MAX_NAME_CHARS = 128
OTHER = "other"

WELL_KNOWN_NAMES = frozenset({
    # finish reasons of OpenTelemetry
    "", "stop", "length", "content_filter", "tool_call", "tool_calls", "function_call", "error",
    # as providers name them
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION",
    # outcomes, guardrails
    "ok", "parse_error", "schema_error", "downstream_error", "none", "flagged", "blocked",
    # fallbacks, degradation levels, common errors
    "model", "cache", "template", "omitted", "1", "2", "3", "4", "5", "timeout", "rate_limit",
})  # fmt: skip
"""Names that keep their own count whatever else comes; the others take the places that are left by the order of their hashes."""


class CategoryCounts:
    """Integer counts of names by probability. Null value: nothing counted.

    Of all names ever seen the 64 of lowest rank keep a count of their own (``WELL_KNOWN_NAMES`` ones first, then by
    hash); the rest is ``other``. The rank of a name depends on nothing else, so whoever is among the first 64
    of all was so in every part, and merging is exact in any order.

    >>> categories = CategoryCounts()
    >>> categories.add(1_000_000, {"stop": 9, "length": 1})
    >>> categories.add(100_000, {"stop": 2})
    >>> categories.weighted_counts(), categories.n
    ({'length': 1.0, 'stop': 29.0}, 12)

    Source: bottom-k samples of a set, Cohen and Kaplan, PODC (2007): those of a union are found from those of
    its parts.
    """

    __slots__ = ("_names", "classes", "level")

    def __init__(self) -> None:
        self.level = 0
        self.classes: dict[int, dict[str, int]] = {}
        self._names: set[str] = set()

    def add(self, ppm: int, counts: Mapping[str, int]) -> None:
        """Count names (cut to 128 characters), of a probability on the finest grid."""
        for level in range(1, self.level + 1):
            ppm = coarsen(ppm, level)
        self._put(ppm, counts)

    def merge(self, other: CategoryCounts) -> None:
        """Take in what another has counted; it stays as it is."""
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

    @property
    def n(self) -> int:
        """Events counted, unweighted."""
        return sum(sum(counts.values()) for counts in self.classes.values())

    @property
    def effective_n(self) -> float:
        """Kish's (sum w)^2 / sum w^2; 0 if nothing is counted. Source: Kish, Survey Sampling (1965)."""
        sizes = [(sum(counts.values()), MILLION / ppm) for ppm, counts in sorted(self.classes.items())]
        total = sum(n * weight for n, weight in sizes)
        return total**2 / sum(n * weight**2 for n, weight in sizes) if total else 0.0

    def weighted_counts(self) -> dict[str, float]:
        """Name -> count weighed by 1/p, names in order."""
        out: dict[str, float] = {}
        for ppm, counts in sorted(self.classes.items()):
            for name, n in counts.items():
                out[name] = out.get(name, 0.0) + n * MILLION / ppm
        return dict(sorted(out.items()))

    def state(self) -> list[Any]:
        """Plain values, the same for the same counts in whatever order they came: level, then [ppm, name ->
        count] by class.
        """
        return [
            self.level,
            [[ppm, dict(sorted(counts.items()))] for ppm, counts in sorted(self.classes.items())],
        ]

    @classmethod
    def from_state(cls, state: Any) -> CategoryCounts:
        """Back from ``state``."""
        categories = cls()
        categories.level = state[0]
        categories.classes = {ppm: dict(counts) for ppm, counts in state[1]}
        categories._names = {name for counts in categories.classes.values() for name in counts}
        return categories

    def _put(self, ppm: int, counts: Mapping[str, int]) -> None:
        held = self.classes.get(ppm)
        if held is None:
            if not any(counts.values()):
                return
            held = self.classes[ppm] = {}
        for name, n in counts.items():
            if n:
                name = name[:MAX_NAME_CHARS]
                held[name] = held.get(name, 0) + n
        self._names.update(held)
        if len(self._names) - (OTHER in self._names) > MAX_NAMES:
            self._shrink()
        while len(self.classes) > MAX_CLASSES:
            self._coarsen()

    def _shrink(self) -> None:
        kept = set(sorted(self._names - {OTHER}, key=_rank)[:MAX_NAMES])
        for held in self.classes.values():
            if rest := sum(held.pop(name) for name in held.keys() - kept):
                held[OTHER] = rest
        self._names &= kept | {OTHER}
        if any(OTHER in held for held in self.classes.values()):
            self._names.add(OTHER)

    def _coarsen(self) -> None:
        self.level += 1
        classes, self.classes = self.classes, {}
        for ppm, counts in classes.items():
            held = self.classes.setdefault(coarsen(ppm, self.level), {})
            for name, n in counts.items():
                held[name] = held.get(name, 0) + n


@lru_cache(maxsize=4096)
def _rank(name: str) -> tuple[bool, bytes, str]:
    return (
        name not in WELL_KNOWN_NAMES,
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(),
        name,
    )
