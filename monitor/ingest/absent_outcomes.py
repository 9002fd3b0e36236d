"""Count calls without an outcome as passed, in features that report outcomes of failures only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.evaluators.outcome import NO_OUTCOME, OutcomeEvaluator
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from monitor.ingest.batch import CountGroup

_NAME = OutcomeEvaluator.name


def pass_absent_outcomes(
    codes: npt.NDArray[np.int8],
    errors: npt.NDArray[np.bool_],
    group: npt.NDArray[np.int64],
    groups: Sequence[CountGroup],
    suite: Suite,
) -> npt.NDArray[np.int8]:
    """Return the states with those of absent outcomes passed; note which groups reported ``ok``.

    A failed call without an outcome stays skipped. Its skips must be counted already: those of calls that
    pass are taken back.

    Args:
        codes: states of verdicts, shape (events, evaluators); stays as it is.
        errors: whether each call failed.
        group: index into ``groups`` of each event.
    """
    if _NAME not in suite.names:
        return codes
    column, size = suite.names.index(_NAME), len(groups)
    reported_ok = np.bincount(group[codes[:, column] == State.PASSED], minlength=size).tolist()
    for target, n in zip(groups, reported_ok, strict=True):
        target.reported_ok |= n > 0
    absent_is_ok = np.array([target.absent_is_ok for target in groups], bool)[group]
    absent = absent_is_ok & (codes[:, column] == State.SKIPPED) & ~errors
    if not absent.any():
        return codes
    codes = codes.copy()
    codes[absent, column] = State.PASSED
    for target, n in zip(groups, np.bincount(group[absent], minlength=size).tolist(), strict=True):
        if n:
            target.feature.skipped[_NAME][NO_OUTCOME] -= n
    return codes
