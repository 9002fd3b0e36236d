"""Values of one sampling probability: their number, their integer sum, and their counts by bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, NamedTuple

from monitor.stats.exponential_buckets import CODE_OFFSET, MAX_BUCKETS, downscaled


class ExponentialHistogram:
    """Counts by bucket code, at the scale that the owner keeps. Initially empty: all counts are 0."""

    __slots__ = ("buckets", "n", "sum")

    def __init__(self) -> None:
        self.n = 0
        self.sum = 0
        self.buckets: dict[int, int] = {}

    def add(self, n: int, total: int, buckets: Mapping[int, int]) -> None:
        """Count ``n`` values with this sum and these counts by bucket code."""
        self.n += n
        self.sum += total
        counts = self.buckets
        if not counts:
            counts.update(buckets)
            return
        for code, count in buckets.items():
            counts[code] = counts.get(code, 0) + count

    def downscale(self, steps: int) -> None:
        """Join buckets into those of a scale lower by ``steps``."""
        self.buckets = downscaled(self.buckets, steps)

    def packed(self) -> tuple[int, int, list[int], list[int]]:
        """Return n, sum, the differences of neighbouring codes (small numbers), and the counts."""
        codes = sorted(self.buckets)
        return (
            self.n,
            self.sum,
            list(map(sub, codes, [0, *codes])),
            list(map(self.buckets.__getitem__, codes)),
        )

    @classmethod
    def from_packed(
        cls, n: int, total: int, steps: Iterable[int], counts: Iterable[int]
    ) -> ExponentialHistogram:
        """Restore a histogram from ``packed``.

        Raises:
            ValueError: there are not as many codes as counts.
        """
        histogram, code = cls(), 0
        histogram.n, histogram.sum = n, total
        for step, count in zip(steps, counts, strict=True):
            code += step
            histogram.buckets[code] = count
        return histogram


class BucketRange(NamedTuple):
    """The outermost codes of either sign, negative ones mirrored; without codes of a sign its highest is 0.

    It is kept beside the buckets, because looking at every bucket for each event would be slow.
    """

    low: int
    high: int
    negative_low: int
    negative_high: int

    @classmethod
    def from_codes(cls, buckets: Mapping[int, Any]) -> BucketRange:
        """Return the range of some buckets, ``EMPTY_RANGE`` if there are none.

        >>> BucketRange.from_codes({5: 1, 9: 1, 0: 3})
        BucketRange(low=5, high=9, negative_low=4611686018427387904, negative_high=0)
        """
        if not buckets:
            return EMPTY_RANGE
        low, high = min(buckets), max(buckets)
        if low > 0:
            return cls(low, high, _NO_CODE, 0)
        positive = min((code for code in buckets if code > 0), default=_NO_CODE)
        negative = -max((code for code in buckets if code < 0), default=-_NO_CODE)
        return cls(positive, max(0, high), negative, max(0, -low))

    @classmethod
    def from_packed(cls, steps: Sequence[int]) -> BucketRange:
        """Return the range of codes in the form of ``ExponentialHistogram.packed``.

        >>> BucketRange.from_packed([5, 1, 3]) == BucketRange.from_codes({5: 1, 6: 1, 9: 1})
        True
        """
        if steps and steps[0] > 0:
            return cls(steps[0], sum(steps), _NO_CODE, 0)
        return cls.from_codes(dict.fromkeys(accumulate(steps)))

    def union(self, other: BucketRange) -> BucketRange:
        """Return the range that covers both."""
        return BucketRange(
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.negative_low, other.negative_low),
            max(self.negative_high, other.negative_high),
        )

    def downscaled(self, steps: int) -> BucketRange:
        """Return the same range at a scale lower by ``steps``."""
        return BucketRange(
            *(((code - CODE_OFFSET) >> steps) + CODE_OFFSET if 0 < code < _NO_CODE else code for code in self)
        )

    @property
    def excess_steps(self) -> int:
        """By how many steps the scale must fall until each sign spans at most ``MAX_BUCKETS``."""
        steps, scaled = 0, self
        while max(scaled.high - scaled.low, scaled.negative_high - scaled.negative_low) >= MAX_BUCKETS:
            steps += 1
            scaled = self.downscaled(steps)
        return steps


_NO_CODE = 2**62
EMPTY_RANGE = BucketRange(_NO_CODE, 0, _NO_CODE, 0)
