"""The distribution of a number as the oracles read it: one value for each bucket."""

from __future__ import annotations

from monitor.stats.exponential_buckets import bucket_middle, downscaled
from monitor.stats.number_summary import NumberSummary


def distribution_of(number: NumberSummary, scale: int | None = None) -> dict[float, float]:
    """Return the weight of each bucket middle, ascending; at ``scale``, or by default at the number's own."""
    steps = 0 if scale is None else number.scale - scale
    out: dict[float, float] = {}
    for code, weight in number.weighted_buckets().items():
        value = bucket_middle(next(iter(downscaled({code: 1}, steps))), number.scale - steps)
        out[value] = out.get(value, 0.0) + weight
    return out
