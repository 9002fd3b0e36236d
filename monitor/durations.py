"""How long things took, or how large they were: counts in buckets of fixed bounds, as Prometheus' histograms
have them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from monitor.protocol.metrics import SUM, Measure

CHECKPOINT_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
APPLY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LOOP_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES = tuple(float(4**power) for power in range(5, 14))  # 1 KiB to 64 MiB


class Durations:
    """Counts of values by bucket, and their sum. Nothing observed: all zero.

    Args:
        bounds: upper ends of the buckets, rising, each inclusive; one more bucket takes what is above.

    >>> seen = Durations((0.1, 1.0))
    >>> for seconds in (0.1, 0.3, 7.0):
    ...     seen.observe(seconds)
    >>> [(measure.labels, round(measure.value, 6)) for measure in seen.measures("softfail_checkpoint_duration_seconds")]
    [(('0.1',), 1), (('1.0',), 2), (('+Inf',), 3), (('sum',), 7.4)]
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, of the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def measures(self, name: str) -> Iterator[Measure]:
        """As a histogram of ``METRICS`` is measured: cumulative counts by upper bound, and the sum."""
        so_far = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += count
            yield Measure(name, ("+Inf" if bound == float("inf") else str(bound),), so_far)
        yield Measure(name, (SUM,), self.total)
