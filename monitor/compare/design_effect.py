"""The design effect of sessions: calls of one session are alike, so many of them say less than as many sessions.

Sessions are hashed into groups. The sums of a group vary by as much as its sessions do, however large each is, so the
groups are a sketch of bounded size that needs no list of sessions.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from monitor.compare.arm import Statistic, weighted_size
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.exponential_buckets import bucket_middle
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION

SESSION_GROUPS = 128
"""Groups of an arm. The standard error of the design effect, over both arms, is 9 %."""


def session_group(session: str) -> int:
    """Return the group of a session.

    >>> session_group("s-1") == session_group("s-1"), 0 <= session_group("s-2") < SESSION_GROUPS
    (True, True)
    """
    return zlib.crc32(session.encode("utf-8", "surrogatepass")) % SESSION_GROUPS


def design_effect(*arms: Sequence[Statistic]) -> float:
    """Return how many calls say as much as one independent call, at least 1.

    It is the variance of the sums of the groups over that of independent events, averaged over the arms. Of
    categories, both variances are summed over their values.

    Args:
        arms: for each arm the statistics of a metric by group of sessions; empty if sessions are not known.

    Source: Wolter, Introduction to Variance Estimation (2007), 2, random groups; Kish, Survey Sampling (1965), 8.2.
    """
    weight = total = 0.0
    for groups in arms:
        if len(groups) < 2:
            continue
        between, independent = _variances(groups)
        if independent > 0:
            weight += len(groups) - 1
            total += (len(groups) - 1) * between / independent
    return max(1.0, total / weight) if weight else 1.0


def _variances(groups: Sequence[Statistic]) -> tuple[float, float]:
    """Return the variance of the sums by their differences, and as if events were independent."""
    n = sum(weighted_size(group) for group in groups)
    if n <= 0:
        return 0.0, 0.0
    between = independent = 0.0
    for value in _values(groups):
        sums = [_sum(group, value) for group in groups]
        mean = sum(sums) / n
        between += sum(
            (part - mean * weighted_size(group)) ** 2 for part, group in zip(sums, groups, strict=True)
        )
        independent += sum(_spread(group, value, mean) for group in groups)
    return between * len(groups) / (len(groups) - 1), independent


def _values(groups: Sequence[Statistic]) -> Sequence[str]:
    """Return the values whose sums are compared: those of categories, else one without a name."""
    names = {
        name
        for group in groups
        if isinstance(group, CategoryCounts)
        for counts in group.classes.values()
        for name in counts
    }
    return sorted(names) or [""]


def _sum(group: Statistic, value: str) -> float:
    if isinstance(group, CategoryCounts):
        return group.weighted_counts().get(value, 0.0)
    return group.weighted_counts()[0] if isinstance(group, Rate) else group.weighted_sum()


def _spread(group: Statistic, value: str, mean: float) -> float:
    """Return the sum over events of (w (v - mean))^2."""
    total = 0.0
    if isinstance(group, Rate):
        for ppm, (n, failures) in sorted(group.classes.items()):
            total += (MILLION / ppm) ** 2 * (failures * (1 - mean) ** 2 + (n - failures) * mean**2)
    elif isinstance(group, CategoryCounts):
        for ppm, counts in sorted(group.classes.items()):
            n, of_value = sum(counts.values()), counts.get(value, 0)
            total += (MILLION / ppm) ** 2 * (of_value * (1 - mean) ** 2 + (n - of_value) * mean**2)
    else:
        for ppm, histogram in sorted(group.classes.items()):
            squares = sum(
                count * (bucket_middle(code, group.scale) - mean) ** 2
                for code, count in histogram.buckets.items()
            )
            total += (MILLION / ppm) ** 2 * squares
    return total
