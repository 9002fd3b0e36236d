"""What the producers of a feature say they did, held against what arrived: cumulative meters, and holes in
the numbers of their events.

Every figure is a maximum, a minimum or a sum, so late, forwarded and differently bundled events make no
difference.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

MAX_PRODUCERS = 1000  # a feature: those that are followed
# one that was seen within ten minutes does not leave for another: two that push each other out would both
# look broken
QUIET_US = 600_000_000
# of a name in the state record, which must stay under 256 KB whatever producers call themselves
_NAME_BYTES = 64
_NO_METER = -1
_SEEN, _STARTED, _COUNTS, _FIRST, _HIGHEST, _RECEIVED = 0, 1, slice(2, 6), 6, 7, 8
_UNMETERED = [_NO_METER, 0, 0, 0, 0]
_UNNUMBERED = [0, 0, 0]


class ProducerTotals(NamedTuple):
    """Calls as producers count them, over all that were ever followed: seen ≥ sampled ≥ sent + dropped; the
    rest is under way.
    """

    seen: int = 0
    sampled: int = 0
    sent: int = 0
    dropped: int = 0


class ProducerTracker:
    """Those of one feature in one environment.

    At most ``MAX_PRODUCERS`` are followed; a further one takes the place of the least recently seen, if that was
    quiet for ten minutes, and is not followed otherwise. What one that leaves has counted and missed stays in
    the sums.
    """

    def __init__(self) -> None:
        self.entries: dict[str, list[int]] = {}
        """Name -> [last seen, started, seen, sampled, sent, dropped, first number, highest number, how many arrived]; times in µs."""
        # calls of those that left or started anew; less what those that may have come back say when they do
        self._gone = [0, 0, 0, 0]
        self._gone_missing = 0
        self._gone_us = -1  # when the last one to leave was last seen
        self._least_us = 0  # nobody was last seen before

    @property
    def missing(self) -> int:
        """Numbered events that have not arrived, although a later one of the same producer has. It falls when
        they come late.
        """
        return self._gone_missing + sum(map(_missing, self.entries.values()))

    def totals(self) -> ProducerTotals:
        """Sums over the last meters of all producers; they never fall."""
        return ProducerTotals(
            *map(sum, zip(self._gone, *(entry[_COUNTS] for entry in self.entries.values()), strict=True))
        )

    def last_seen_us(self) -> int:
        """When anything came of any of them, microseconds since 1970; 0 if nothing did."""
        return max((entry[_SEEN] for entry in self.entries.values()), default=0)

    def meter(self, name: str, time_us: int, started_us: int, counts: tuple[int, int, int, int]) -> None:
        """Take a meter: seen, sampled, sent and dropped since ``started_us``. One that is late, or of an
        earlier start, takes nothing back.
        """
        entry = self._entry(name, time_us)
        if entry is None or started_us < entry[_STARTED]:
            return
        if started_us == entry[_STARTED]:
            entry[_COUNTS] = map(max, entry[_COUNTS], counts)
            return
        if entry[_STARTED] != _NO_METER:
            self._gone = _sum(self._gone, entry[_COUNTS])
        elif started_us <= self._gone_us:  # it may be one that left: only what it counts from now on is new
            self._gone = _sum(self._gone, [-count for count in counts])
        entry[_STARTED], entry[_COUNTS] = started_us, counts

    def arrived(self, name: str, time_us: int, lowest: int, highest: int, received: int) -> None:
        """Numbered events have arrived, so many, with numbers from lowest to highest."""
        entry = self._entry(name, time_us)
        if entry is None:
            return
        if entry[_RECEIVED]:
            lowest, highest = min(lowest, entry[_FIRST]), max(highest, entry[_HIGHEST])
        entry[_FIRST], entry[_HIGHEST], entry[_RECEIVED] = lowest, highest, entry[_RECEIVED] + received

    def forget(self, until_us: int) -> None:
        """Those not seen since leave."""
        self._least_us = 0
        for name in [name for name, entry in self.entries.items() if entry[_SEEN] <= until_us]:
            self._leave(name)

    def merge_totals(self, other: ProducerTracker) -> None:
        """Add the calls that another feature's producers counted. What they missed is not news any more."""
        self._gone = _sum(self._gone, list(other.totals()))

    def state(self) -> list[Any]:
        """Plain values."""
        return [self.entries, self._gone, self._gone_missing, self._gone_us]

    @classmethod
    def from_state(
        cls, followed: dict[str, list[int]], gone: list[int], gone_missing: int, gone_us: int
    ) -> ProducerTracker:
        """Back from ``state``; names are cut that were not yet when it was written."""
        producers = cls()
        producers.entries = {_short(name): entry for name, entry in followed.items()}
        producers._gone, producers._gone_missing, producers._gone_us = gone, gone_missing, gone_us
        return producers

    def _entry(self, name: str, time_us: int) -> list[int] | None:
        entry = self.entries.get(name) or self.entries.get(name := _short(name))
        if entry is None:
            if len(self.entries) >= MAX_PRODUCERS and not self._made_room(time_us - QUIET_US):
                return None
            entry = self.entries[name] = [0, *_UNMETERED, *_UNNUMBERED]
        entry[_SEEN] = max(entry[_SEEN], time_us)
        return entry

    def _made_room(self, until_us: int) -> bool:
        if self._least_us > until_us:
            return False
        last = min(self.entries, key=lambda one: (self.entries[one][_SEEN], one))
        self._least_us = self.entries[last][_SEEN]
        if self._least_us > until_us:
            return False
        self._leave(last)
        return True

    def _leave(self, name: str) -> None:
        entry = self.entries.pop(name)
        self._gone = _sum(self._gone, entry[_COUNTS])
        self._gone_missing += _missing(entry)
        self._gone_us = max(self._gone_us, entry[_SEEN])


def _missing(entry: list[int]) -> int:
    return max(0, entry[_HIGHEST] - entry[_FIRST] + 1 - entry[_RECEIVED]) if entry[_RECEIVED] else 0


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _short(name: str) -> str:
    data = name.encode()
    return name if len(data) <= _NAME_BYTES else blake2b(data, digest_size=16).hexdigest()
