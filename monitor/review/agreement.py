"""How far several raters agree beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple


class Agreement(NamedTuple):
    """Agreement of raters.

    Attributes:
        alpha: Krippendorff's alpha, at most 1; 0: as by chance; None: it cannot be computed, because no answer
            has two labels, or all labels are the same.
        shared: answers with two labels or more.
        unanimous: those of them on which all raters agree.
    """

    alpha: float | None
    shared: int
    unanimous: int


def agreement(units: Iterable[Sequence[Hashable]]) -> Agreement:
    """Return Krippendorff's alpha for nominal labels.

    Args:
        units: the labels of each answer, one a rater; missing labels are left out.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C.

    >>> round(agreement([("a", "a"), ("b", "b"), ("a", "b"), ("b", "b")]).alpha, 3)
    0.533
    """
    shared = unanimous = 0
    totals: Counter[Hashable] = Counter()
    disagreement = 0.0  # sum over answers of ordered pairs that differ / (labels - 1)
    for labels in units:
        count = len(labels)
        if count < 2:
            continue
        of_unit = Counter(labels)
        shared += 1
        unanimous += len(of_unit) == 1
        totals.update(of_unit)
        equal_pairs = sum(n * (n - 1) for n in of_unit.values())
        disagreement += (count * (count - 1) - equal_pairs) / (count - 1)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return Agreement(None, shared, unanimous)
    return Agreement(1 - (n - 1) * disagreement / expected, shared, unanimous)
