"""The clock of a file without append times: find events whose own clock runs ahead of the events around them.

Time in a file advances, with gaps (a night, a weekend) and slightly out of order. A step forward of over five
minutes is a gap if the file goes on there. It is a wrong clock if the file goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from monitor.protocol.limits import MAX_AHEAD_US
from monitor.protocol.messages import FileRecord
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds
from softfail.bounded_lines import too_long

LOOK_AHEAD = 1000
"""Records that are read after a step forward before it is decided."""
LOOK_AHEAD_BYTES = 64 << 20
"""Bytes after which no further record is read for that."""
BACK_US = 2 * 3_600_000_000
"""How far before the latest event the file may go on: later events are not counted anyhow."""
LONGEST_GAP_US = 8 * 86_400_000_000
"""A longer gap than this, and than twice any gap before, needs ``SUPPORT`` events after it."""
SUPPORT = 10
NEAR = 100
"""Following records that decide alone."""
OTHER_RUN = 3
"""Records in a row before ``BACK_US`` that begin another run, like the next feature of a sorted file."""


class FileClock:
    """Marks the records whose time lies ahead of their neighbours, with the time that the file had reached as
    their append time. So they become dead letters as in a worker.

    At most ``look_ahead`` records are kept, and about ``LOOK_AHEAD_BYTES``.
    """

    def __init__(self, look_ahead: int = LOOK_AHEAD) -> None:
        self._look_ahead = look_ahead
        self._reached_us: int | None = None
        self._longest_gap_us = LONGEST_GAP_US // 2
        self._following: deque[tuple[FileRecord, int | None]] = deque()
        # positions and times of following records, both rising: the first is the least time that follows
        self._least: deque[tuple[int, int]] = deque()
        self._position = 0  # of the first of `_following`
        self._bytes = 0  # of the records of `_following`

    def mark(self, records: Iterable[FileRecord]) -> Iterator[FileRecord]:
        """Yield the records of one file in their order, those ahead of their neighbours with a timestamp."""
        remaining = iter(records)
        for record in remaining:
            self._append(record)
            yield from self._pass_on(remaining)
        while self._following:
            yield from self._pass_on(remaining)

    def _pass_on(self, remaining: Iterator[FileRecord]) -> Iterator[FileRecord]:
        """Yield the first record that waits; before a step forward is decided, read what follows."""
        reached_us, (record, time_us) = self._reached_us, self._following[0]
        if time_us is not None and (reached_us is None or time_us > reached_us + MAX_AHEAD_US):
            while (
                len(self._following) <= self._look_ahead
                and self._bytes < LOOK_AHEAD_BYTES
                and (more := next(remaining, None)) is not None
            ):
                self._append(more)
        self._following.popleft()
        self._bytes -= len(record.value or b"")
        if self._least and self._least[0][0] == self._position:
            self._least.popleft()
        self._position += 1
        if time_us is None:
            yield record
        elif (ahead_of_us := self._ahead_of(time_us)) is not None:
            yield record._replace(timestamp=ahead_of_us // 1000)
        else:
            if reached_us is not None:
                self._longest_gap_us = max(self._longest_gap_us, time_us - reached_us)
            self._reached_us = time_us if reached_us is None else max(reached_us, time_us)
            yield record

    def _append(self, record: FileRecord) -> None:
        time_us = _time_us(record.value)
        if time_us is not None:
            while self._least and self._least[-1][1] >= time_us:
                self._least.pop()
            self._least.append((self._position + len(self._following), time_us))
        self._following.append((record, time_us))
        self._bytes += len(record.value or b"")

    def _ahead_of(self, time_us: int) -> int | None:
        """Return the time of the file, if an event at ``time_us`` is ahead of it and of what follows."""
        reached_us = self._reached_us
        if reached_us is not None and time_us <= reached_us + MAX_AHEAD_US:
            return None
        goes_back = bool(self._least) and self._least[0][1] < time_us - MAX_AHEAD_US
        is_long = reached_us is not None and time_us - reached_us > 2 * self._longest_gap_us
        if not goes_back and not is_long:
            return None
        following = [follower_us for _, follower_us in self._following if follower_us is not None]
        if reached_us is None:
            if _falls(following):  # newest first: each is ahead of what follows
                return None
            return max(min(following), 0) if _goes_on(time_us, None, following) else None
        beside = sum(follower_us >= time_us - MAX_AHEAD_US for follower_us in following)
        is_ahead = _goes_on(time_us, reached_us, following) or (is_long and beside < SUPPORT)
        return reached_us if is_ahead else None


def _goes_on(time_us: int, reached_us: int | None, following: list[int]) -> bool:
    """Return whether a file goes on at ``reached_us`` instead of at ``time_us``: whether at least half of the
    following events lie before ``time_us``, or lead up to it in steps of at most five minutes.

    The next ``NEAR`` events decide, or all of them if they do not lead up to it.
    """
    clock_us = since_us = -1 if reached_us is None else reached_us
    before = beside = earlier = 0
    for number, follower_us in enumerate(following, 1):
        if reached_us is not None and follower_us < since_us - BACK_US:
            earlier += 1
            if earlier == OTHER_RUN:
                break
            continue
        earlier = 0
        if follower_us < time_us - MAX_AHEAD_US or follower_us <= clock_us + MAX_AHEAD_US:
            before += 1
            clock_us = max(clock_us, follower_us)
        else:
            beside += 1
        if number == NEAR and before and before >= beside:
            return True
    leads_up = clock_us >= time_us - MAX_AHEAD_US and before + beside > NEAR
    return before > 0 and before >= beside and not leads_up


def _falls(times_us: list[int]) -> bool:
    """Return whether most steps lead back in time."""
    return 2 * sum(later < earlier for earlier, later in pairwise(times_us)) > len(times_us) - 1 > 0


def _time_us(value: bytes | None) -> int | None:
    """Return the time of an event, microseconds since 1970; None if it cannot be read."""
    if value is None or too_long(value):
        return None
    try:
        return microseconds(decode(value).time)
    except InvalidEvent:
        return None
