"""The score of a case in one run: the share of its answers that failed, by a rule that both runs follow."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

CONFIRMED_BY = 3
"""A case that fails is asked until it has this many answers."""


def answers_wanted(passed: Sequence[bool], repeat: int) -> int:
    """Return how many answers a case needs: ``repeat``; ``CONFIRMED_BY`` if one of these failed.

    Args:
        passed: whether each answer passed, in the order in which they were asked.
        repeat: how often every case is asked, at least 1.

    >>> answers_wanted([True], 1), answers_wanted([False], 1), answers_wanted([], 2)
    (1, 3, 2)
    """
    return max(repeat, CONFIRMED_BY) if not all(passed[:repeat]) else repeat


def case_score(passed: Sequence[bool], repeat: int) -> tuple[int, int] | None:
    """Return how many of its answers failed, and of how many; None if an answer is missing.

    If a run asked more often, its first answers are used, as if it had asked ``repeat`` times.

    >>> case_score([True, False, True], 1), case_score([False, False, True], 1), case_score([False], 1)
    ((0, 1), (2, 3), None)
    """
    wanted = answers_wanted(passed, repeat)
    if len(passed) < wanted:
        return None
    return wanted - sum(passed[:wanted]), wanted


def score_unit(repeat: int) -> int:
    """Return the common denominator of all scores.

    >>> score_unit(1), score_unit(2), score_unit(5)
    (3, 6, 5)
    """
    return lcm(repeat, max(repeat, CONFIRMED_BY))
