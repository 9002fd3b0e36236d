"""The counts of the whole hours that are a trailing reference, of all series of a feature at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.references.reference import MIN_REFERENCE_EVENTS, MIN_REFERENCE_US
from monitor.windows.count_columns import EVENTS, Before, CountColumns
from monitor.windows.count_tables import Counts, Entries, Sum
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import HOUR, HOUR_US, SegmentSeries


class HourlyReferences(NamedTuple):
    """References of whole hours; rows as in ``CountColumns``.

    Attributes:
        exists: whether the row has such a reference. is_sure: whether that is known.
        counts: of the hours; ``end_us``: where they end.
    """

    exists: npt.NDArray[np.bool_]
    is_sure: npt.NDArray[np.bool_]
    counts: Before


class HourlyCounts:
    """Sums of the hours in a span that moves on by whole hours. Initially of no hour.

    ``hours``: length of the span.
    """

    def __init__(self, hours: int) -> None:
        self._hours = hours
        self._end = 0  # number of the hour that follows the last one
        self._rates, self._others = Sum(), Sum()
        self._events: dict[int, Counts] = {}  # hour -> events of each row
        self._moved: HourlyReferences | None = None

    def move(
        self, columns: CountColumns, segments: Mapping[SegmentKey, SegmentSeries], end_us: int
    ) -> HourlyReferences:
        """Return the references of the span that ends at a whole hour, two hours ago or longer."""
        end = end_us // HOUR_US
        if self._end == end and self._moved is not None and len(self._moved.exists) == len(columns.rows):
            return self._moved
        if end == self._end + 1:
            for segment_key, row in columns.rows.items():
                hours = (
                    segments[segment_key].panes_by_resolution[HOUR]
                    if segment_key is not None and segment_key in segments
                    else {}
                )
                if (pane := hours.get((end - 1 - self._hours) * HOUR_US)) is not None:
                    self._add(*columns.entries_of(row, pane), -1)
            self._events.pop(end - 1 - self._hours, None)
            self._add_hour(columns, end - 1)
        elif self._end != end:
            self._make(columns, segments, end)
        self._end = end
        self._moved = self._references(columns, end)
        return self._moved

    def _make(self, columns: CountColumns, segments: Mapping[SegmentKey, SegmentSeries], end: int) -> None:
        """Add up all hours anew: at the beginning, or after a restart."""
        self._rates, self._others, self._events = Sum(), Sum(), {}
        first_us, end_us = (end - self._hours) * HOUR_US, end * HOUR_US
        for segment_key, row in columns.rows.items():
            segment = None if segment_key is None else segments.get(segment_key)
            for start_us, pane in (
                (*segment.panes.items(), *segment.panes_by_resolution[HOUR].items()) if segment else ()
            ):
                if first_us <= start_us < end_us:
                    rates, others = columns.entries_of(row, pane)
                    self._add(rates, others, 1)
                    self._count_events(columns, start_us // HOUR_US, [rates])

    def _add(self, rates: Entries, others: Entries, sign: int) -> None:
        self._rates.add(rates, sign)
        self._others.add(others, sign)

    def _add_hour(self, columns: CountColumns, hour: int) -> None:
        rates, others = columns.entries_of_hour(hour)
        for entries in rates:
            self._rates.add(entries, 1)
        for entries in others:
            self._others.add(entries, 1)
        self._count_events(columns, hour, rates)

    def _count_events(self, columns: CountColumns, hour: int, rates: Sequence[Entries]) -> None:
        rows, (n_rates, _) = len(columns.rows), columns.widths
        events = Sum.of(rates, rows, n_rates).shaped(rows, n_rates)[:, columns.rates[EVENTS][0]].copy()
        if (known := self._events.get(hour)) is not None:
            events[: len(known)] += known
        self._events[hour] = events

    def _references(self, columns: CountColumns, end: int) -> HourlyReferences:
        by_hour = np.zeros((len(self._events), len(columns.rows)))
        for index, events in enumerate(self._events.values()):
            by_hour[index, : len(events)] = events
        first_us = np.array(columns.first_us)
        # how long one hour alone is depends on its first pane, and on whether it was rolled up
        n_hours = (by_hour > 0).sum(axis=0)
        exists = by_hour.sum(axis=0) >= MIN_REFERENCE_EVENTS
        is_long = (first_us >= (end - self._hours) * HOUR_US) & (end * HOUR_US - first_us >= MIN_REFERENCE_US)
        is_sure = ~exists | (n_hours > 1) | is_long
        return HourlyReferences(exists, is_sure, Before(end * HOUR_US, self._rates, self._others))
