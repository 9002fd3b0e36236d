"""Readings of quiet series, kept until an event arrives or a pane leaves one of the windows.

Where an event comes every few minutes, a rate rule tries windows of up to a week at each edge, and at most
edges they hold the same panes as at the edge before. A kept reading is exactly the one that
``monitor.rules.threshold.read`` would return: it is used only while each window holds the same panes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from monitor.rules.reading import Reading
from monitor.rules.threshold import LADDER_S, WEEK_S
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR_US
from schemas.config.rules import Rule


class QuietReading(NamedTuple):
    """A reading with what it depends on.

    Attributes:
        revision: of the series, when the rule was read.
        arguments: of the reading beside series and edge.
        until_us: the last edge at which all windows hold the same panes, microseconds since 1970.
    """

    reading: Reading
    revision: int
    arguments: tuple[object, ...]
    until_us: int

    def holds(self, revision: int, arguments: tuple[object, ...], edge_us: int) -> bool:
        """Return whether the rule would be read the same at this edge, which is not before the first."""
        return self.revision == revision and edge_us <= self.until_us and self.arguments == arguments


def unchanged_until_us(
    rule: Rule, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int, cleared_us: int | None
) -> int:
    """Return the last edge at which each window of a rule holds the panes that it holds now, if none changes.

    Args:
        rule: a threshold; ``cleared_us``: as ``threshold.read`` takes it.
        segment_key: the series; None for the feature as a whole.
        edge_us: the pane edge, microseconds since 1970.

    >>> rule = Rule(name="errors", on="error_rate", above=0.5, severity="error")
    >>> from monitor.windows.segment_keys import FeatureKey
    >>> feature = FeatureState(FeatureKey("shop-bot", "answer", "production"))
    >>> unchanged_until_us(rule, feature, None, 90_000_000, None)  # then a window of hours begins later
    299999999
    """
    segments = feature.segments.values() if segment_key is None else (feature.segments[segment_key],)
    starts = sorted({start_us for segment in segments for start_us in segment.panes})
    limits = []
    for window_s in {rule.window, *LADDER_S}:
        length_us = round(window_s * 1e6)
        since_us = edge_us - length_us
        # panes of an hour or a day belong to each window that they overlap
        limits.append((since_us // HOUR_US + 1) * HOUR_US - 1 + length_us)
        limits.append(_first_from(starts, since_us, edge_us) + length_us)
    limits.append(_first_from(starts, edge_us, 2**62))
    week_old_us = feature.first_us + round(WEEK_S * 1e6)
    if edge_us < week_old_us:  # then few events may decide
        limits.append(week_old_us - 1)
    if cleared_us is not None:
        oldest_us = cleared_us - round(rule.window * 1e6)
        if edge_us - oldest_us <= FINE_RETENTION_US:
            limits.append(oldest_us + FINE_RETENTION_US)
    return min(limits)


def _first_from(starts: Iterable[int], start_us: int, end_us: int) -> int:
    """Return the first start in [start, end), else a time that never comes."""
    return next((pane_us for pane_us in starts if start_us <= pane_us < end_us), 2**62)
