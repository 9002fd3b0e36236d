"""Loss accounting: what the producers of a feature report that they sent, against the events that arrived.

Producers report cumulative counters (meters) and number their events. Every figure here is a maximum, a
minimum or a sum, so late, forwarded or differently bundled events make no difference. Only the calls by pane
depend on the order of the log: a meter that arrives after a later one leaves its panes unknown.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from monitor.stats.known_calls import Calls
from monitor.windows.metered_calls import MeteredCalls

MAX_PRODUCERS = 1000
"""Producers of one feature that are tracked."""
QUIET_US = 600_000_000
"""A producer seen within this time is not evicted: two that evict each other would both look broken."""
_NAME_BYTES = 64  # of a name in the state record, which must stay under 256 KB whatever the names are
_NO_METER = -1
_SEEN, _STARTED, _COUNTS, _FIRST, _HIGHEST, _RECEIVED = 0, 1, slice(2, 6), 6, 7, 8
_UNMETERED = [_NO_METER, 0, 0, 0, 0]
_UNNUMBERED = [0, 0, 0]
_FIRST_METER, _LAST_METER, _METERS, _CLOSED, _DELAYED = 9, 10, 11, 12, 13
_WITHOUT_METERS = [0, 0, 0, 0, 0]
DELAY_US = 30_000_000
"""A meter that arrives later than this after it was written was delayed: records of others may be, too."""
VANISHED_US = 80_000_000
"""Producers that have sent nothing for this long, and for four of their intervals, are gone."""
RECENT_US = 600_000_000  # before the last meter: producers that were seen since then count
MAX_INTERVAL_US = 3_600_000_000
"""The longest time between two meters of a producer that is believed."""


class ProducerTotals(NamedTuple):
    """Calls as producers count them, over all that were ever tracked.

    seen ≥ sampled ≥ sent + dropped; the difference is in flight.
    """

    seen: int = 0
    sampled: int = 0
    sent: int = 0
    dropped: int = 0


class ProducerTracker:
    """The producers of one feature in one environment, initially none.

    At most ``MAX_PRODUCERS`` are tracked. A further one evicts the least recently seen, if that was quiet for
    ten minutes, and is not tracked otherwise. The counts and missing events of an evicted producer stay in
    the totals.

    >>> producers = ProducerTracker()
    >>> producers.count_events("worker-1", time_us=0, lowest=1, highest=5, received=3)
    >>> producers.missing
    2
    """

    def __init__(self) -> None:
        self.entries: dict[str, list[int]] = {}
        """Name -> [last seen, started, seen, sampled, sent, dropped, lowest, highest, received, first meter,
        last meter, number of meters, closing meter, arrival of the last delayed meter].

        Times are microseconds since 1970, 0 if never; lowest and highest are numbers of events that were
        received.
        """
        # Counts of evicted and restarted producers, less what an evicted one may report again.
        self._evicted = [0, 0, 0, 0]
        self._evicted_missing = 0
        self._evicted_us = -1  # when the last evicted producer was last seen
        self._oldest_us = 0  # no tracked producer was last seen before
        self.calls = MeteredCalls()

    @property
    def missing(self) -> int:
        """Numbered events that have not arrived, although a later one of the same producer has.

        It falls when they arrive late.
        """
        return self._evicted_missing + sum(map(_missing, self.entries.values()))

    def totals(self) -> ProducerTotals:
        """Return the sums over the last meters of all producers; they never fall."""
        return ProducerTotals(
            *map(sum, zip(self._evicted, *(entry[_COUNTS] for entry in self.entries.values()), strict=True))
        )

    def is_alive(self, time_us: int, within_us: int) -> bool:
        """Return whether any of them was seen within this time, or within twice the usual time between its
        meters, and has not closed.
        """
        return any(
            entry[_SEEN] >= time_us - max(within_us, 2 * _interval_us(entry)) and not _is_closed(entry)
            for entry in self.entries.values()
        )

    def last_meter_us(self) -> int:
        """Return when the last meter of any of them was written, microseconds since 1970; 0 without meters."""
        return max((entry[_LAST_METER] for entry in self.entries.values()), default=0)

    def has_closed(self, since_us: int) -> bool:
        """Return whether those that sent meters and were seen since then, at least one, have all closed."""
        seen = [entry for entry in self.entries.values() if entry[_METERS] and entry[_SEEN] >= since_us]
        return bool(seen) and all(map(_is_closed, seen))

    def have_vanished(self, time_us: int) -> bool:
        """Return whether all of them stopped at about the same time without a last meter.

        That is not known, so False, if one that was seen in the last ten minutes before has closed or sends no
        meters, or if no time between two meters is known.
        """
        last_us = self.last_meter_us()
        recent = [entry for entry in self.entries.values() if entry[_SEEN] >= last_us - RECENT_US]
        interval_us = max(map(_interval_us, recent), default=0)
        if not interval_us or any(not entry[_METERS] or entry[_CLOSED] for entry in recent):
            return False
        return time_us - last_us >= max(VANISHED_US, 4 * interval_us)

    def closed_us(self) -> int:
        """Return when the last closing meter was written, microseconds since 1970; 0 without any."""
        return max((entry[_CLOSED] for entry in self.entries.values()), default=0)

    def delayed_us(self) -> int:
        """Return when the last delayed meter arrived, microseconds since 1970; 0 without any."""
        return max((entry[_DELAYED] for entry in self.entries.values()), default=0)

    def calls_within(self, start_us: int, end_us: int) -> Calls | None:
        """Return how many calls the feature had in [start, end), both pane edges, microseconds since 1970.

        None if that is not known for all of them: a producer that was active sends no meters, has not sent
        one since the end, or stopped without a last one; or there are too many producers.
        """
        for entry in self.entries.values():
            if entry[_SEEN] >= start_us and not _is_closed(entry) and entry[_LAST_METER] < end_us:
                return None
        return self.calls.within(start_us, end_us)

    def apply_meter(
        self,
        name: str,
        time_us: int,
        started_us: int,
        counts: tuple[int, int, int, int],
        *,
        closing: bool = False,
        pane_us: int = 60_000_000,
        arrival_us: int = 0,
    ) -> None:
        """Apply a meter of a producer; a late one, or one of an earlier start, changes nothing.

        Args:
            name: of the producer.
            time_us: when it was written, microseconds since 1970.
            started_us: since when the producer counts; a later start adds to the totals.
            counts: seen, sampled, sent and dropped since then.
            closing: it is the producer's last meter.
            pane_us: length of a pane, microseconds.
            arrival_us: when the broker took it, microseconds since 1970; 0 in a file.
        """
        entry = self._entry(name, time_us)
        if entry is None:
            self.calls.lose(time_us)
            return
        if arrival_us - time_us > DELAY_US:
            entry[_DELAYED] = max(entry[_DELAYED], arrival_us)
        self._count_calls(entry, time_us, started_us, counts[0], pane_us)
        entry[_FIRST_METER] = min(entry[_FIRST_METER] or time_us, time_us)
        entry[_LAST_METER] = max(entry[_LAST_METER], time_us)
        entry[_METERS] += 1
        if closing:
            entry[_CLOSED] = max(entry[_CLOSED], time_us)
        if started_us < entry[_STARTED]:
            return
        if started_us == entry[_STARTED]:
            entry[_COUNTS] = map(max, entry[_COUNTS], counts)
            return
        if entry[_STARTED] != _NO_METER:
            self._evicted = _sum(self._evicted, entry[_COUNTS])
        elif (
            started_us <= self._evicted_us
        ):  # it may have been evicted: only what it counts from now on is new
            self._evicted = _sum(self._evicted, [-count for count in counts])
        entry[_STARTED], entry[_COUNTS] = started_us, counts

    def _count_calls(self, entry: list[int], time_us: int, started_us: int, seen: int, pane_us: int) -> None:
        """Count the calls since the producer's last meter, ``entry`` being as that left it."""
        last_us = entry[_LAST_METER]
        if started_us < entry[_STARTED] or time_us < last_us:
            self.calls.lose(max(time_us, last_us))
        elif started_us > entry[_STARTED]:
            if entry[_METERS]:  # what it counted after its last meter, before it started anew
                self.calls.lose(started_us)
            self.calls.add(started_us, time_us, seen, pane_us)
        else:
            self.calls.add(last_us or started_us, time_us, seen - entry[_COUNTS][0], pane_us)

    def count_events(self, name: str, time_us: int, lowest: int, highest: int, received: int) -> None:
        """Count ``received`` numbered events, whose numbers lie between ``lowest`` and ``highest``."""
        entry = self._entry(name, time_us)
        if entry is None:
            self.calls.lose(time_us + 1)
            return
        if entry[_RECEIVED]:
            lowest, highest = min(lowest, entry[_FIRST]), max(highest, entry[_HIGHEST])
        entry[_FIRST], entry[_HIGHEST], entry[_RECEIVED] = lowest, highest, entry[_RECEIVED] + received

    def evict_until(self, until_us: int) -> None:
        """Evict the producers that were not seen after ``until_us``."""
        self._oldest_us = 0
        for name in [name for name, entry in self.entries.items() if entry[_SEEN] <= until_us]:
            self._evict(name)

    def merge_totals(self, other: ProducerTracker) -> None:
        """Add the calls that the producers of another feature counted, but not their missing events."""
        self._evicted = _sum(self._evicted, list(other.totals()))

    def state(self) -> list[Any]:
        """Return plain values."""
        return [
            self.entries,
            self._evicted,
            self._evicted_missing,
            self._evicted_us,
            self.calls.state(),
        ]

    @classmethod
    def from_state(
        cls,
        entries: dict[str, list[int]],
        evicted: list[int],
        evicted_missing: int,
        evicted_us: int,
        calls: tuple[dict[int, list[int]], int],
    ) -> ProducerTracker:
        """Restore the producers from ``state``; shorten names that an older release stored in full, and add
        the times that it did not have.
        """
        producers = cls()
        producers.entries = {
            _short(name): entry + [0] * (_DELAYED + 1 - len(entry)) for name, entry in entries.items()
        }
        producers._evicted, producers._evicted_missing, producers._evicted_us = (
            evicted,
            evicted_missing,
            evicted_us,
        )
        producers.calls = MeteredCalls.from_state(*calls)
        return producers

    def _entry(self, name: str, time_us: int) -> list[int] | None:
        entry = self.entries.get(name) or self.entries.get(name := _short(name))
        if entry is None:
            if len(self.entries) >= MAX_PRODUCERS and not self._evict_oldest(time_us - QUIET_US):
                return None
            entry = self.entries[name] = [0, *_UNMETERED, *_UNNUMBERED, *_WITHOUT_METERS]
        entry[_SEEN] = max(entry[_SEEN], time_us)
        return entry

    def _evict_oldest(self, until_us: int) -> bool:
        """Evict the least recently seen producer unless it was seen after ``until_us``; return whether."""
        if self._oldest_us > until_us:
            return False
        oldest = min(self.entries, key=lambda name: (self.entries[name][_SEEN], name))
        self._oldest_us = self.entries[oldest][_SEEN]
        if self._oldest_us > until_us:
            return False
        self._evict(oldest)
        return True

    def _evict(self, name: str) -> None:
        entry = self.entries.pop(name)
        self._evicted = _sum(self._evicted, entry[_COUNTS])
        self._evicted_missing += _missing(entry)
        self._evicted_us = max(self._evicted_us, entry[_SEEN])


def _is_closed(entry: list[int]) -> bool:
    return entry[_CLOSED] >= max(1, entry[_LAST_METER])


def _interval_us(entry: list[int]) -> int:
    """Return the mean time between the meters of a producer; 0 if there are not two."""
    if entry[_METERS] < 2:
        return 0
    return min(MAX_INTERVAL_US, (entry[_LAST_METER] - entry[_FIRST_METER]) // (entry[_METERS] - 1))


def _missing(entry: list[int]) -> int:
    return max(0, entry[_HIGHEST] - entry[_FIRST] + 1 - entry[_RECEIVED]) if entry[_RECEIVED] else 0


def _sum(counts: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(counts, other, strict=True)]


def _short(name: str) -> str:
    data = name.encode()
    return name if len(data) <= _NAME_BYTES else blake2b(data, digest_size=16).hexdigest()
