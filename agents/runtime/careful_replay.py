"""Find the record that ends the process whenever it is applied, in ranges that shrink with each death.

An owner that releases a partition in order notes that in the state topic. After any other end, the next owner
applies the next records in *attempts*: a range of offsets is noted in the state topic, applied, and made durable
before the next one. If the process dies meanwhile, whoever restores the partition finds the note, and tries a
sixteenth of the range. A single record that was tried twice and ended the process twice is *poison*: it is set
aside as a dead letter.

The note is the value of a barrier record, which every release ignores as state. Nothing else is noted while no
process dies.
"""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

FIRST = 256  # offsets of the first attempt
LAST = 20_000  # an attempt above it ends the search: as many records lie between two checkpoints at most
SHRINK = 16  # a range is this many times smaller after a death in it
DEATHS = 2  # of the process while it applied one and the same record alone


class Attempt(NamedTuple):
    """A range of source offsets that is about to be applied; ``deaths``: how often it ended the process."""

    start: int
    stop: int
    deaths: int = 0

    def is_unfinished(self, position: int) -> bool:
        """Return whether it was noted, and nothing of it is durable.

        >>> Attempt(5, 6).is_unfinished(5), Attempt(5, 6).is_unfinished(6), RELEASED.is_unfinished(0)
        (True, False, False)
        """
        return self.start == position < self.stop

    def encode(self) -> bytes:
        """Return the value of the barrier record that notes the attempt.

        >>> Attempt(5, 6, 1).encode()
        b'{"start": 5, "stop": 6, "deaths": 1}'
        """
        return json.dumps(self._asdict()).encode()


def decode_attempt(value: bytes | None) -> Attempt | None:
    """Return the attempt that a barrier record notes; None for any other value.

    >>> decode_attempt(b'{"start": 5, "stop": 6, "deaths": 1}'), decode_attempt(b"{}")
    (Attempt(start=5, stop=6, deaths=1), None)
    """
    try:
        fields = json.loads(value or b"{}")
        return Attempt(int(fields["start"]), int(fields["stop"]), int(fields["deaths"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


RELEASED = Attempt(-1, -1)
"""Noted by an owner that releases its partition in order."""
UNSEARCHED = Attempt(-2, -2)
"""Noted by an owner that releases its partition before its search was over."""


class CarefulReplay:
    """The attempts of one partition.

    Args:
        position: the durable position.
        noted: the last attempt in the state topic.
        turn: one for all partitions of the process, so that a death belongs to one attempt only.
    """

    def __init__(self, position: int, noted: Attempt | None, turn: asyncio.Lock) -> None:
        self.turn, self._noted = turn, noted
        self._size, self._suspect_until, self._deaths = FIRST, position, 0
        if noted is not None and noted.is_unfinished(position):
            length = noted.stop - noted.start
            self._size, self._suspect_until = max(1, length // SHRINK), noted.stop
            self._deaths = noted.deaths + 1 if length == 1 else 0

    def release_note(self, position: int) -> Attempt:
        """Return the note of an owner that releases the partition: what is still suspect, so that the next owner
        continues the search. An attempt that was noted and not begun has ended no process, so it is not the note.

        >>> noted, turn = Attempt(5, 261), asyncio.Lock()
        >>> CarefulReplay(5, noted, turn).release_note(5) == noted
        True
        >>> CarefulReplay(5, noted, turn).release_note(21)
        Attempt(start=21, stop=261, deaths=0)
        >>> CarefulReplay(5, noted, turn).release_note(261) == UNSEARCHED
        True
        """
        if self._noted is None or not self.is_suspect(position):
            return UNSEARCHED
        if self._noted.start == position:
            return self._noted
        # the last record of the range was not tried alone: the next owner adds the death that it finds noted
        is_single = self._suspect_until - position == 1
        return Attempt(position, self._suspect_until, -1 if is_single else 0)

    def is_suspect(self, position: int) -> bool:
        """Return whether the record that ended the process may be the next one."""
        return position < self._suspect_until

    @property
    def is_poison_next(self) -> bool:
        """Whether the next offset is poison."""
        return self._deaths >= DEATHS

    @property
    def is_over(self) -> bool:
        """Whether everything is applied that can have ended the process."""
        return self._size > LAST

    def attempt(self, position: int, stop: int) -> Attempt:
        """Return the next attempt: from a position on, and at most up to ``stop``."""
        return Attempt(position, min(position + self._size, stop), self._deaths)

    def survived(self, position: int) -> None:
        """Note that everything below a position is durable."""
        self._deaths = 0
        if position >= self._suspect_until:
            self._size *= 2
