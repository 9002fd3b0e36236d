"""The distribution of a number as the oracles read it: one value for each bucket."""

from __future__ import annotations

from monitor.stats.exponential_buckets import lowered, middle
from monitor.stats.number_summary import Number


def distribution_of(number: Number, scale: int | None = None) -> dict[float, float]:
    """Return the weight of each bucket middle, ascending; at ``scale``, or by default at the number's own."""
    steps = 0 if scale is None else number.scale - scale
    out: dict[float, float] = {}
    for code, weight in number.weighted_buckets().items():
        value = middle(next(iter(lowered({code: 1}, steps))), number.scale - steps)
        out[value] = out.get(value, 0.0) + weight
    return out
