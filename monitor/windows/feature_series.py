"""What is known about one feature in one environment: its segments with their panes, at three resolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.protocol.examples import Example
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.producer_counters import ProducerTotals, ProducerTracker
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.text_blocks import TextBlock

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
FINE_RETENTION_US = 2 * HOUR_US  # panes are kept this long, hours and days as below
HOUR_RETENTION_US = 8 * DAY_US
DAY_RETENTION_US = 90 * DAY_US
MAX_SEGMENTS = 200  # a feature; counted are those active in the last 24 h

FINE, HOUR, DAY = "pane", "hour", "day"


class SegmentSeries:
    """Panes of one segment by start. Each resolution holds what the finer one no longer does."""

    __slots__ = ("active_us", "key", "panes_by_resolution", "texts")

    def __init__(self, key: SegmentKey) -> None:
        self.key = key
        self.active_us = 0  # start of the latest pane that got an event
        self.panes_by_resolution: dict[str, dict[int, Pane]] = {FINE: {}, HOUR: {}, DAY: {}}
        self.texts: dict[str, dict[int, TextBlock]] = {FINE: {}, HOUR: {}}

    @property
    def panes(self) -> dict[int, Pane]:
        """Fine panes by start."""
        return self.panes_by_resolution[FINE]

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        """Panes that overlap [start, end): long windows snap outwards to coarse edges."""
        for resolution, length_us in ((FINE, 0), (HOUR, HOUR_US), (DAY, DAY_US)):
            held = self.panes_by_resolution[resolution]
            if held:
                yield from (
                    pane
                    for at, pane in held.items()
                    if at < end_us and (at >= start_us or at + length_us > start_us)
                )

    def is_empty(self) -> bool:
        """Whether nothing is held at any resolution."""
        return not any(self.panes_by_resolution.values()) and not any(self.texts.values())


class FeatureState:
    """Segments of a feature, and what rules and pages need to remember about it as a whole."""

    def __init__(self, key: FeatureKey) -> None:
        self.key = key
        self.segments: dict[SegmentKey, SegmentSeries] = {}
        self.first_us = 0  # start of the first pane
        self.active_us = 0
        self.received: dict[str, int] = {}  # kind -> events measured
        self.late = 0
        self.expired = 0
        self.overflowed = 0  # segments that left for `other`
        self.evaluator_errors: dict[str, int] = {}
        self.hourly_responses: dict[
            int, int
        ] = {}  # hour number -> responses, 8 days: what a silence is held against
        # hour number -> the two longest pauses that ended in it, microseconds: what a silence is held against
        # too
        self.longest_pauses: dict[int, list[int]] = {}
        self.healthy_rules: set[str] = set()  # rules that were seen to hold at feature level
        self.examples: dict[str, list[Example]] = {}  # evaluator -> the last failing responses
        # kind and name of what was new -> the edge at which it was told, or found to be no news
        self.decided_changes: dict[str, int] = {}
        self.resolved_edges: dict[
            str, int
        ] = {}  # rule and segment -> the edge at which its last incident ended
        self.producers = ProducerTracker()
        self.verdicts: dict[str, int] = {}  # evaluator -> responses that it passed or failed
        self.skipped: dict[str, dict[str, int]] = {}  # evaluator -> why it did not -> responses
        # [start, end) of the last incidents, end 0 while they last: they are no reference
        self.incident_spans: list[list[int]] = []
        self.accepted_since: dict[
            str, int
        ] = {}  # rule and segment -> since when the changed is taken for the normal
        self.reference_cache: dict[
            Any, Any
        ] = {}  # made by monitor.references.finder, from panes that begin before:
        self.references_until_us = 0
        self._merged: dict[int, Pane] = {}

    @property
    def missing(self) -> int:
        """Events that producers numbered, and that have not arrived although later ones have. It falls when
        they come late.
        """
        return self.producers.missing

    def producer_totals(self) -> ProducerTotals:
        """Calls seen, sampled, sent and dropped, as the producers' meters say; sums over all of them, and
        never falling.
        """
        return self.producers.totals()

    def count_arrivals(self, start_us: int, n: int, pane_us: int) -> None:
        """Note that ``n`` responses came in the pane from ``start_us`` on: what a silence is held against."""
        hour = start_us // HOUR_US
        if self.active_us and start_us > self.active_us + pane_us:
            pauses = [*self.longest_pauses.get(hour, ()), start_us - self.active_us - pane_us]
            self.longest_pauses[hour] = sorted(pauses, reverse=True)[:2]
        self.active_us = max(self.active_us, start_us)
        if self.hourly_responses.get(hour, 0) >= 0:
            self.hourly_responses[hour] = self.hourly_responses.get(hour, 0) + n

    def merge_totals(self, other: FeatureState) -> None:
        """Add what another feature counted, which is let go."""
        self.late += other.late
        self.expired += other.expired
        self.producers.merge_totals(other.producers)
        for mine, theirs in (
            (self.received, other.received),
            (self.verdicts, other.verdicts),
            (self.evaluator_errors, other.evaluator_errors),
        ):
            add_counts(mine, theirs)
        for evaluator, reasons in other.skipped.items():
            add_counts(self.skipped.setdefault(evaluator, {}), reasons)

    def pane(self, start_us: int) -> Pane | None:
        """All segments of one fine pane as one: the feature-level pane."""
        if (known := self._merged.get(start_us)) is not None:
            return known
        parts = [
            pane for segment in self.segments.values() if (pane := segment.panes.get(start_us)) is not None
        ]
        if not parts:
            return None
        whole = parts[0] if len(parts) == 1 else merge_panes(parts, start_us)
        self._merged[start_us] = whole
        return whole

    def invalidate_pane(self, start_us: int) -> None:
        """A pane has changed: its merged form is made anew when next asked for."""
        self._merged.pop(start_us, None)
        if start_us < self.references_until_us:
            self.clear_references()

    def clear_references(self) -> None:
        """What is known of references may be wrong."""
        self.reference_cache, self.references_until_us = {}, 0

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        """Panes of all segments that overlap [start, end); fine ones already merged."""
        starts = sorted(
            {at for segment in self.segments.values() for at in segment.panes if start_us <= at < end_us}
        )
        yield from (pane for at in starts if (pane := self.pane(at)) is not None)
        for segment in self.segments.values():
            for resolution, length_us in ((HOUR, HOUR_US), (DAY, DAY_US)):
                yield from (
                    pane
                    for at, pane in segment.panes_by_resolution[resolution].items()
                    if at < end_us and at + length_us > start_us
                )

    def least_active(self) -> SegmentSeries:
        """The segment that leaves first when there are too many."""
        return min(
            (one for one in self.segments.values() if one.key not in (OVERFLOW, UNLABELLED)),
            key=lambda one: (one.active_us // HOUR_US, one.key),
        )

    def is_full(self, now_us: int) -> bool:
        """Whether a further segment would exceed the cap on those active in the last 24 h."""
        # by the hour, as rolled-up panes know it: the same before and after a restart
        since = (now_us - DAY_US) // HOUR_US * HOUR_US
        return (
            len(self.segments) >= MAX_SEGMENTS
            and sum(one.active_us >= since for one in self.segments.values()) >= MAX_SEGMENTS
        )

    def state(self) -> list[Any]:
        """Plain values of all but the segments. The 11th was empty in releases that tell no changes."""
        return [
            self.first_us,
            self.active_us,
            self.received,
            self.late,
            self.expired,
            self.overflowed,
            self.evaluator_errors,
            self.hourly_responses,
            sorted(self.healthy_rules),
            self.examples,
            self.decided_changes,
            self.resolved_edges,
            self.producers.state(),
            self.verdicts,
            self.skipped,
            self.incident_spans,
            self.accepted_since,
            self.longest_pauses,
        ]

    def restore_state(self, state: list[Any]) -> None:
        """Back from ``state``."""
        (
            self.first_us,
            self.active_us,
            self.received,
            self.late,
            self.expired,
            self.overflowed,
            self.evaluator_errors,
            self.hourly_responses,
            well,
            self.examples,
            self.decided_changes,
            self.resolved_edges,
            producers,
            self.verdicts,
            self.skipped,
            self.incident_spans,
            self.accepted_since,
            self.longest_pauses,
        ) = state
        self.healthy_rules = set(well)
        self.producers = ProducerTracker.from_state(*producers)


def add_counts(totals: dict[str, int], more: dict[str, int]) -> None:
    """Add counts to counts, by name."""
    for name, n in more.items():
        totals[name] = totals.get(name, 0) + n
