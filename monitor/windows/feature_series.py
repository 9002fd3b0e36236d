"""The series of one feature in one environment: its segments with their panes, at three resolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.protocol.examples import Example
from monitor.stats.rate import Rate
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.producer_counters import ProducerTotals, ProducerTracker
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY, DAY_US, FINE, HOUR, HOUR_US, SegmentSeries
from monitor.windows.series_cache import FeatureCache
from monitor.windows.series_weights import SeriesWeights
from monitor.windows.unrepeated_labels import UnrepeatedLabels

MAX_SEGMENTS = 200
"""Segments of a feature that were active in the last 24 hours."""


class FeatureState:
    """The segments of a feature, and what rules and pages keep about the feature as a whole.

    A new feature has no segments and all counts are 0.

    Attributes:
        first_us: start of the first pane; ``active_us``: of the latest pane with an event.
        received: kind -> events measured.
        late, expired: events counted after their pane had closed, and events too old to be counted.
        overflowed: segments that were merged into ``other``.
        hourly_responses: hour number -> responses, for 8 days; -1 for an hour in an outage. The expected
            traffic, by which ``no_data`` judges a silence.
        longest_pauses: hour number -> the two longest pauses that ended in it, microseconds.
        healthy_rules: rules that were satisfied at feature level at least once.
        examples: evaluator -> the last failing responses.
        decided_changes: kind and name of a new label value -> the edge at which it was reported or dismissed.
        resolved_edges: rule and segment -> the edge at which its last incident ended.
        verdicts, evaluator_errors: evaluator -> responses that it passed or failed, or raised an error for.
        skipped: evaluator -> reason -> responses that it did not judge.
        incident_spans: [start, end) of the last episodes, end 0 while they last.
        reference_gaps: rule and segment -> [start, end) of its last incidents, end 0 while they last; they
            are no reference of that rule on that segment (``monitor.references.gaps``).
        accepted_since: rule and segment -> since when the changed state counts as normal.
        unrepeated: labels whose values never repeat.
        weights: the heaviest weights of its events.
        cache: what references and rules keep of the panes.
        revision: how often panes that rules read have changed since this process knows the feature.
        quiet_readings: rule and segment -> a reading that is the same for some edges
            (``monitor.rules.quiet_reading``).
        text_quota: start of a minute, and how many texts of each segment are read in it
            (``monitor.ingest.text_sampling``); computed from the text blocks.
    """

    def __init__(self, key: FeatureKey) -> None:
        self.key = key
        self.segments: dict[SegmentKey, SegmentSeries] = {}
        self.first_us = 0
        self.active_us = 0
        self.received: dict[str, int] = {}
        self.late = 0
        self.expired = 0
        self.overflowed = 0
        self.evaluator_errors: dict[str, int] = {}
        self.hourly_responses: dict[int, int] = {}
        self.longest_pauses: dict[int, list[int]] = {}
        self.healthy_rules: set[str] = set()
        self.examples: dict[str, list[Example]] = {}
        self.decided_changes: dict[str, int] = {}
        self.resolved_edges: dict[str, int] = {}
        self.producers = ProducerTracker()
        self.verdicts: dict[str, int] = {}
        self.skipped: dict[str, dict[str, int]] = {}
        self.incident_spans: list[list[int]] = []
        self.reference_gaps: dict[str, list[list[int]]] = {}
        self.accepted_since: dict[str, int] = {}
        self.unrepeated = UnrepeatedLabels()
        self.weights = SeriesWeights()
        self.cache = FeatureCache()
        self.revision = 0
        self.quiet_readings: dict[str, Any] = {}
        self.text_quota = 0, 0.0

    @property
    def missing(self) -> int:
        """Numbered events that have not arrived although later ones have; it falls when they arrive late."""
        return self.producers.missing

    def producer_totals(self) -> ProducerTotals:
        """Return calls seen, sampled, sent and dropped: the sums over all producers, which never fall."""
        return self.producers.totals()

    def count_arrivals(self, start_us: int, n: int, pane_us: int) -> None:
        """Count ``n`` responses in the pane from ``start_us`` on, for the expected traffic and the pauses."""
        hour = start_us // HOUR_US
        if self.active_us and start_us > self.active_us + pane_us:
            pauses = [*self.longest_pauses.get(hour, ()), start_us - self.active_us - pane_us]
            self.longest_pauses[hour] = sorted(pauses, reverse=True)[:2]
        self.active_us = max(self.active_us, start_us)
        if self.hourly_responses.get(hour, 0) >= 0:
            self.hourly_responses[hour] = self.hourly_responses.get(hour, 0) + n

    def observe_panes(self) -> list[SegmentKey | None]:
        """Note the weights of all events of the last day, in state of a release that did not remember
        weights.

        Return the series whose weights have changed.
        """
        since_us = self.active_us - DAY_US
        return self.weights.observe(
            (segment_key, pane.unpacked().rates)
            for segment_key, segment in sorted(self.segments.items())
            for pane in segment.window(since_us, self.active_us + DAY_US)
        )

    def merge_totals(self, other: FeatureState) -> None:
        """Add the counts of a feature that is dropped."""
        self.late += other.late
        self.expired += other.expired
        self.producers.merge_totals(other.producers)
        add_counts(self.received, other.received)
        add_counts(self.verdicts, other.verdicts)
        add_counts(self.evaluator_errors, other.evaluator_errors)
        for evaluator, reasons in other.skipped.items():
            add_counts(self.skipped.setdefault(evaluator, {}), reasons)

    def pane(self, start_us: int) -> Pane | None:
        """Return the feature-level pane: all segments of one fine pane merged; None if there are none."""
        if self.cache.has_late_counts:
            self.cache.add_late_counts(self.segments)
        if (merged := self.cache.merged_panes.get(start_us)) is not None:
            return merged
        panes = [
            pane for segment in self.segments.values() if (pane := segment.panes.get(start_us)) is not None
        ]
        if not panes:
            return None
        merged = panes[0] if len(panes) == 1 else merge_panes(panes, start_us)
        self.cache.merged_panes[start_us] = merged
        return merged

    def pack(self, start_us: int) -> None:
        """Pack the fine panes from ``start_us`` on, of all segments and merged."""
        for segment in self.segments.values():
            if (pane := segment.panes.get(start_us)) is not None:
                pane.shrink()
        self.cache.pack_merged(self.segments, start_us)

    def pack_texts(self, start_us: int) -> None:
        """Pack the text blocks of all segments from ``start_us`` on."""
        for segment in self.segments.values():
            if (block := segment.texts[FINE].get(start_us)) is not None:
                block.pack()

    def late_panes(self, start_us: int) -> list[Pane]:
        """Return the late events of the fine pane from ``start_us`` on, of each segment that has some."""
        return [
            pane
            for segment in self.segments.values()
            if (pane := segment.late_panes.get(start_us)) is not None
        ]

    def invalidate_pane(self, segment: SegmentSeries, start_us: int, *, is_moved: bool = False) -> None:
        """Drop what was computed from a pane that has changed; ``is_moved``: only to another resolution."""
        self._note_change(segment)
        self.cache.drop(segment.key, start_us, is_moved=is_moved)

    def expect_counts(self, segment: SegmentSeries, start_us: int) -> None:
        """Prepare for events that will be counted into a fine pane, which may not exist yet."""
        self._note_change(segment)
        self.cache.expect_counts(segment.key, start_us, segment.panes.get(start_us))

    def _note_change(self, segment: SegmentSeries) -> None:
        segment.revision += 1
        self.revision += 1

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        """Yield the panes of all segments that overlap [start, end); fine panes are merged by start."""
        starts = sorted(
            {
                pane_us
                for segment in self.segments.values()
                for pane_us in segment.panes
                if start_us <= pane_us < end_us
            }
        )
        yield from (pane for pane_us in starts if (pane := self.pane(pane_us)) is not None)
        for segment in self.segments.values():
            for resolution, length_us in ((HOUR, HOUR_US), (DAY, DAY_US)):
                yield from (
                    pane
                    for pane_us, pane in segment.panes_by_resolution[resolution].items()
                    if pane_us < end_us and pane_us + length_us > start_us
                )

    def rate_of_hours(self, segment_key: SegmentKey | None, metric: str, start_us: int, end_us: int) -> Rate:
        """Return a rate over the panes of whole hours in [start, end); ``segment_key`` None: of all segments.

        It is cached, since rules read it at each edge, and leaves the panes packed.
        """
        results, key = self.cache.for_series(segment_key).results, ("hours", metric, start_us, end_us)
        if key not in results:
            self.cache.extend(end_us)
            segments = self.segments.values() if segment_key is None else (self.segments[segment_key],)
            panes = [
                pane
                for segment in segments
                for pane_us, pane in segment.panes_by_resolution[HOUR].items()
                if start_us <= pane_us < end_us
            ]
            total = Rate()
            total.merge_all([rate for pane in panes if (rate := pane.find_rate(metric)) is not None])
            results[key] = end_us, total
        rate_of_hours: Rate = results[key][1]
        return rate_of_hours

    def least_active(self) -> SegmentSeries:
        """Return the segment that is merged into ``other`` first when there are too many."""
        return min(
            (segment for segment in self.segments.values() if segment.key not in (OVERFLOW, UNLABELLED)),
            key=lambda segment: (segment.active_us // HOUR_US, segment.key),
        )

    def is_full(self, now_us: int) -> bool:
        """Return whether a further segment would exceed ``MAX_SEGMENTS``."""
        # By the hour, as rolled-up panes state it: so the answer is the same before and after a restart.
        since_us = (now_us - DAY_US) // HOUR_US * HOUR_US
        return (
            len(self.segments) >= MAX_SEGMENTS
            and sum(segment.active_us >= since_us for segment in self.segments.values()) >= MAX_SEGMENTS
        )

    def state(self) -> list[Any]:
        """Return plain values of all but the segments.

        The 11th value is empty in the records of releases without ``decided_changes``.
        """
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
            self.reference_gaps,
            self.unrepeated.state(),
        ]

    def restore_state(self, state: list[Any]) -> None:
        """Restore what ``state`` returned."""
        (
            self.first_us,
            self.active_us,
            self.received,
            self.late,
            self.expired,
            self.overflowed,
            self.evaluator_errors,
            self.hourly_responses,
            healthy_rules,
            self.examples,
            self.decided_changes,
            self.resolved_edges,
            producers,
            self.verdicts,
            self.skipped,
            self.incident_spans,
            self.accepted_since,
            self.longest_pauses,
            self.reference_gaps,
            unrepeated,
        ) = state
        self.healthy_rules = set(healthy_rules)
        self.producers = ProducerTracker.from_state(*producers)
        self.unrepeated = UnrepeatedLabels.from_state(unrepeated)


def add_counts(totals: dict[str, int], added: dict[str, int]) -> None:
    """Add counts by name to ``totals``.

    >>> totals = {"a": 1}
    >>> add_counts(totals, {"a": 2, "b": 3})
    >>> totals
    {'a': 3, 'b': 3}
    """
    for name, n in added.items():
        totals[name] = totals.get(name, 0) + n
