"""What an evaluator says of one response."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """The four answers. ``SKIPPED``: does not apply. ``ERROR``: the evaluator broke; it counts in no quality
    figure.
    """

    PASSED = 0
    FAILED = 1
    SKIPPED = 2
    ERROR = 3


class Verdict(NamedTuple):
    """One evaluator's answer. ``reason`` says why it is not a plain pass; ``score`` is what was measured, if
    anything.

    >>> Verdict(State.FAILED, "refuses").passed
    False
    """

    state: State
    reason: str = ""
    score: float | None = None

    @property
    def passed(self) -> bool | None:
        """True or False; None when it was skipped or broke."""
        return _PASSED.get(self.state)


_PASSED = {State.PASSED: True, State.FAILED: False}

# Nearly every verdict is one of these: sharing them keeps the hot path free of allocations.
PASSED = Verdict(State.PASSED)
SKIPPED_ERROR = Verdict(State.SKIPPED, "the call failed")
SKIPPED_NO_TEXT = Verdict(State.SKIPPED, "no output text")


def failed(reason: str, score: float | None = None) -> Verdict:
    """A failed verdict."""
    return Verdict(State.FAILED, reason, score)


def skipped(reason: str) -> Verdict:
    """A skipped verdict; keep the result as a constant."""
    return Verdict(State.SKIPPED, reason)
