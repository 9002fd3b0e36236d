"""The verdict of an evaluator on one response."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """State of a verdict. ``SKIPPED``: does not apply. ``ERROR``: the evaluator raised; in no metric."""

    PASSED = 0
    FAILED = 1
    SKIPPED = 2
    ERROR = 3


class Verdict(NamedTuple):
    """The verdict of one evaluator. ``reason``: why it did not pass; ``score``: the measured value, if any.

    >>> Verdict(State.FAILED, "refuses").passed
    False
    """

    state: State
    reason: str = ""
    score: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether the response passed; None if the evaluator was skipped or raised."""
        return _PASSED.get(self.state)


_PASSED = {State.PASSED: True, State.FAILED: False}

# Nearly every verdict is one of these constants, which saves allocations.
PASSED = Verdict(State.PASSED)
SKIPPED_ERROR = Verdict(State.SKIPPED, "the call failed")
SKIPPED_NO_TEXT = Verdict(State.SKIPPED, "no output text")
SKIPPED_CANCELLED = Verdict(State.SKIPPED, "the call was cancelled")
SKIPPED_UNKNOWN_FINISH = Verdict(State.SKIPPED, "unknown finish reason")


def failed(reason: str, score: float | None = None) -> Verdict:
    """Make a failed verdict."""
    return Verdict(State.FAILED, reason, score)


def skipped(reason: str) -> Verdict:
    """Make a skipped verdict; meant for module constants."""
    return Verdict(State.SKIPPED, reason)
