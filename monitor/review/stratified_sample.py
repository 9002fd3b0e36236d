"""Draw answers from strata: half of them from those that failed, each stratum with a known probability.

A simple random sample of each stratum without replacement, taken in one pass: the answers with the least hashes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from monitor.review.answer import Answer
from softfail.sampling import hash_to_unit

VERDICT, FEATURE, VERSION, LANGUAGE = "verdict", "feature", "version", "language"
STRATA = (VERDICT, FEATURE, VERSION, LANGUAGE)
"""What a sample can be stratified by. The last is given up first where there are too many strata."""
FAILED = "failed"
_LEAST = 2
"""Answers of each stratum, if it has as many, so that none is unknown."""
_ANSWERS_A_STRATUM = 4
_SALT = b"softfail-review"
_Stratum = tuple[str, ...]


class StratifiedSample:
    """Collects answers; keeps of each stratum those with the least hashes.

    Args:
        size: answers wanted, at least 1.
        by: dimensions of ``STRATA``.
        seed: another one draws other answers.

    Attributes:
        by: the dimensions; the last ones are given up when there are more than size / 4 strata.
    """

    def __init__(self, size: int, by: Sequence[str] = STRATA, seed: str = "") -> None:
        self.size, self.seed = size, seed
        self.by = tuple(dimension for dimension in STRATA if dimension in by)
        self._strata: dict[_Stratum, _Reservoir] = {}
        self._most_strata = max(_ANSWERS_A_STRATUM, size // _ANSWERS_A_STRATUM)

    @property
    def seen(self) -> int:
        """Number of answers that were offered."""
        return sum(reservoir.seen for reservoir in self._strata.values())

    def offer(self, response_id: str, stratum: Mapping[str, str], make: Callable[[], Answer]) -> None:
        """Offer an answer.

        Args:
            response_id: of the answer.
            stratum: value by dimension; has all dimensions of ``by``.
            make: makes the answer; called only if the answer may be drawn.
        """
        key = tuple(stratum[dimension] for dimension in self.by)
        reservoir = self._strata.get(key)
        if reservoir is None:
            reservoir = self._strata[key] = _Reservoir(self.size)
        reservoir.offer(hash_to_unit(f"{self.seed} {response_id}", _SALT), response_id, make)
        while len(self._strata) > self._most_strata and self.by:
            self._coarsen()

    def draw(self) -> list[Answer]:
        """Return the drawn answers in random order, with their probabilities; fewer if there are not as many."""
        keys = sorted(self._strata)
        counts = allocate(
            self.size,
            [self._strata[key].seen for key in keys],
            [self.by[:1] == (VERDICT,) and key[0] == FAILED for key in keys],
        )
        drawn: list[tuple[float, str, Answer]] = []
        for key, count in zip(keys, counts, strict=True):
            reservoir = self._strata[key]
            for rank, response_id, answer in reservoir.least(count):
                given = replace(
                    answer,
                    stratum=dict(zip(self.by, key, strict=True)),
                    draw_probability=count / reservoir.seen,
                )
                drawn.append((hash_to_unit(f"{self.seed} {rank}", _SALT), response_id, given))
        return [answer for _, _, answer in sorted(drawn, key=lambda item: item[:2])]

    def _coarsen(self) -> None:
        """Give up the last dimension; merge the strata that differ in it only."""
        self.by = self.by[:-1]
        merged: dict[_Stratum, _Reservoir] = {}
        for key, reservoir in self._strata.items():
            merged.setdefault(key[:-1], _Reservoir(self.size)).merge(reservoir)
        self._strata = merged


class _Reservoir:
    """The answers of a stratum with the least hashes. An id that comes twice counts once while it is kept."""

    def __init__(self, size: int) -> None:
        self.seen = 0
        self._size = size
        self._heap: list[tuple[float, str, Answer]] = []  # negative hash: the largest hash is first
        self._ids: set[str] = set()

    def offer(self, rank: float, response_id: str, make: Callable[[], Answer]) -> None:
        if response_id in self._ids:
            return
        self.seen += 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (-rank, response_id, make()))
        elif rank < -self._heap[0][0]:
            _, removed, _ = heapq.heapreplace(self._heap, (-rank, response_id, make()))
            self._ids.discard(removed)
        else:
            return
        self._ids.add(response_id)

    def merge(self, other: _Reservoir) -> None:
        total = self.seen + other.seen
        for rank, response_id, answer in other._heap:
            self.offer(-rank, response_id, lambda answer=answer: answer)  # type: ignore[misc]  # a bound default
        self.seen = total

    def least(self, count: int) -> list[tuple[float, str, Answer]]:
        return sorted(
            ((-rank, name, answer) for rank, name, answer in self._heap), key=lambda item: item[:2]
        )[:count]


def allocate(size: int, sizes: Sequence[int], is_failed: Sequence[bool]) -> list[int]:
    """Return how many answers to draw from each stratum.

    Half of them come from the strata that failed, as far as there are as many: the error of a judged rate is
    least if its failures are read as often as all else. Inside a half a stratum counts by the square root of
    its size, and has at least two answers, so that small ones are seen.

    Args:
        size: answers wanted.
        sizes: answers of each stratum.
        is_failed: whether each stratum is of answers that failed.

    >>> allocate(100, [30, 900, 9_000], [True, False, False])
    [30, 17, 53]
    """
    failed = [index for index, flag in enumerate(is_failed) if flag]
    others = [index for index, flag in enumerate(is_failed) if not flag]
    available_failed, available_others = sum(sizes[i] for i in failed), sum(sizes[i] for i in others)
    for_failed = min(available_failed, max((size + 1) // 2, size - available_others))
    for_others = min(available_others, size - for_failed)
    counts = [0] * len(sizes)
    for group, total in ((failed, for_failed), (others, for_others)):
        for index, count in zip(group, _share_out(total, [sizes[i] for i in group]), strict=True):
            counts[index] = count
    return counts


def _share_out(total: int, sizes: Sequence[int]) -> list[int]:
    """Give out a total by the square roots of sizes: at least ``_LEAST``, at most the size of each."""
    counts = [0] * len(sizes)
    for least in range(_LEAST):  # one each first, in the order of size
        for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
            if total and counts[index] == least and sizes[index] > least:
                counts[index] += 1
                total -= 1
    roots = [math.sqrt(size) for size in sizes]
    while total:
        # the stratum furthest below its share gets the next answer
        open_strata = [index for index, size in enumerate(sizes) if counts[index] < size]
        if not open_strata:
            break
        index = min(open_strata, key=lambda index: ((counts[index] + 1) / roots[index], index))
        counts[index] += 1
        total -= 1
    return counts
