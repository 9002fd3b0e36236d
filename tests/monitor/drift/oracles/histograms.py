"""The distribution of a number as the oracles read it: one value for each bucket."""

from __future__ import annotations

import numpy as np

from monitor.stats.exponential_buckets import bucket_codes, bucket_middle, downscaled
from monitor.stats.number_summary import NumberSummary


def distribution_of(number: NumberSummary, scale: int | None = None) -> dict[float, float]:
    """Return the weight of each bucket middle, ascending; at ``scale``, or by default at the number's own."""
    steps = 0 if scale is None else number.scale - scale
    out: dict[float, float] = {}
    for code, weight in number.weighted_buckets().items():
        value = bucket_middle(next(iter(downscaled({code: 1}, steps))), number.scale - steps)
        out[value] = out.get(value, 0.0) + weight
    return out


def number_of(values: list[int] | np.ndarray, ppm: int = 1_000_000) -> NumberSummary:
    """Count whole values of one sampling probability, in parts per million."""
    number, whole = NumberSummary(), np.array(values, np.int64)
    codes, counts = np.unique(bucket_codes(whole), return_counts=True)
    total = sum(whole.tolist())  # of exact integers
    number.add(ppm, len(whole), total, dict(zip(codes.tolist(), counts.tolist(), strict=True)))
    return number
