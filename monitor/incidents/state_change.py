"""Changes of an incident's state, and the reasons for them."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol


class StateChange(NamedTuple):
    """A change of an incident's state, and its reason."""

    state: Literal["pending", "firing", "resolved"]
    reason: str


# reasons of an incident that fires already, and whose state stays as it is
AGAIN = "fails again after it had been well"
UNSEEN = "a value that was never seen before"
ALSO = "also "  # and the statistics that moved since
CHANGED = "by a factor of two"  # at the end of a reason: the present figure against that of the last record
# reasons of an incident that goes on in another episode
REOPENED = "its episode is gone from the state"
GOES_ON = "what paged beside it is over"


class Timing(Protocol):
    """Durations of a breach before its incident fires, and of good values before it resolves, seconds."""

    @property
    def for_(self) -> float: ...  # noqa: D102

    @property
    def keep_firing_for(self) -> float: ...  # noqa: D102


def duration_text(microseconds: int) -> str:
    """Write a duration for people.

    >>> duration_text(90_000_000), duration_text(120_000_000), duration_text(7_200_000_000)
    ('90 s', '2 min', '2 h')
    """
    seconds = round(microseconds / 1e6)
    if seconds and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds and seconds % 60 == 0 else f"{seconds} s"
