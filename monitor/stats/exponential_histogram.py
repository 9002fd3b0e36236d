"""What has one probability: how many values, their integer sum, and how many lie in which bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import sub
from typing import Any, NamedTuple

from monitor.stats.exponential_buckets import CODE_OFFSET, MAX_BUCKETS, downscaled


class ExponentialHistogram:
    """Counts by bucket code, of whatever scale the owner says."""

    __slots__ = ("buckets", "n", "sum")

    def __init__(self) -> None:
        self.n = 0
        self.sum = 0
        self.buckets: dict[int, int] = {}

    def take(self, n: int, total: int, buckets: Mapping[int, int]) -> None:
        """Count ``n`` values with this sum and these buckets."""
        self.n += n
        self.sum += total
        mine = self.buckets
        if not mine:
            mine.update(buckets)
            return
        for code, count in buckets.items():
            mine[code] = mine.get(code, 0) + count

    def lower(self, steps: int) -> None:
        """Join buckets into those of a scale lower by ``steps``."""
        self.buckets = downscaled(self.buckets, steps)

    def packed(self) -> tuple[int, int, list[int], list[int]]:
        """n, sum, codes as steps from one to the next (which are small), and their counts."""
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
        """Back from ``packed``."""
        held, code = cls(), 0
        held.n, held.sum = n, total
        for step, count in zip(steps, counts, strict=True):
            code += step
            held.buckets[code] = count
        return held


class BucketRange(NamedTuple):
    """The outermost codes on either side, negative ones mirrored; with nothing on a side its highest is 0.

    Known without looking at every bucket, since it is asked for on the way of each event.
    """

    low: int
    high: int
    negative_low: int
    negative_high: int

    @classmethod
    def from_codes(cls, buckets: Mapping[int, Any]) -> BucketRange:
        """That of some buckets.

        >>> BucketRange.from_codes({5: 1, 9: 1, 0: 3})
        Reach(low=5, high=9, negative_low=4611686018427387904, negative_high=0)
        """
        if not buckets:
            return EMPTY_RANGE
        low, high = min(buckets), max(buckets)
        if low > 0:
            return cls(low, high, _FAR, 0)
        positive = min((code for code in buckets if code > 0), default=_FAR)
        negative = -max((code for code in buckets if code < 0), default=-_FAR)
        return cls(positive, max(0, high), negative, max(0, -low))

    @classmethod
    def from_packed(cls, steps: Sequence[int]) -> BucketRange:
        """That of codes as ``ExponentialHistogram.packed`` gives them.

        >>> BucketRange.from_packed([5, 1, 3]) == BucketRange.from_codes({5: 1, 6: 1, 9: 1})
        True
        """
        if steps and steps[0] > 0:
            return cls(steps[0], sum(steps), _FAR, 0)
        return cls.from_codes(dict.fromkeys(accumulate(steps)))

    def with_(self, other: BucketRange) -> BucketRange:
        """Both together."""
        return BucketRange(
            min(self.low, other.low), max(self.high, other.high),
            min(self.negative_low, other.negative_low), max(self.negative_high, other.negative_high),
        )  # fmt: skip

    def downscaled(self, steps: int) -> BucketRange:
        """The same at a scale lower by ``steps``."""
        return BucketRange(
            *(((code - CODE_OFFSET) >> steps) + CODE_OFFSET if 0 < code < _FAR else code for code in self)
        )

    @property
    def excess(self) -> int:
        """By how many steps the scale must fall for both sides to fit."""
        steps, left = 0, self
        while max(left.high - left.low, left.negative_high - left.negative_low) >= MAX_BUCKETS:
            steps += 1
            left = self.downscaled(steps)
        return steps


_FAR = 2**62
EMPTY_RANGE = BucketRange(_FAR, 0, _FAR, 0)
