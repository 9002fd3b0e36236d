"""Cache verdicts that depend only on an event's labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, State, Verdict

MAX_COMBINATIONS = 1024  # of labels: free text in a label must not fill the memory


class LabelVerdicts(NamedTuple):
    """Verdicts shared by every event with the same labels.

    ``verdicts``: one for each evaluator, ``PASSED`` where it must still be called; ``codes``: their states;
    ``notable``: index and verdict of those that failed or raised; ``skips``: index and reason of those that
    do not apply; ``undecided``: index and evaluator of those to call for each event.
    """

    verdicts: tuple[Verdict, ...]
    codes: bytes
    notable: tuple[tuple[int, Verdict], ...]
    skips: tuple[tuple[int, str], ...]
    undecided: tuple[tuple[int, Callable[[Any, Collection[str]], Verdict]], ...]


def label_getter(evaluators: Sequence[Evaluator]) -> Callable[[Any], Any]:
    """Make a function that returns the values of all labels of the evaluators as a tuple."""
    fields = {"error_type"}.union(*(evaluator.labels for evaluator in evaluators))
    return attrgetter("error_type", *sorted(fields))  # twice: for a single name attrgetter returns no tuple


def judge_labels(evaluators: Sequence[Evaluator], event: Any, *, has_match: bool) -> LabelVerdicts:
    """Compute the verdicts that depend only on the labels of an event.

    Args:
        evaluators: of the suite, in its order.
        event: any event with these labels.
        has_match: whether a pattern occurs in the text of such events; evaluators with patterns are then
            undecided.
    """
    verdicts, undecided = [PASSED] * len(evaluators), []
    for index, evaluator in enumerate(evaluators):
        try:
            if (has_match and evaluator.patterns) or not evaluator.depends_only_on_labels(event):
                undecided.append((index, evaluator.__call__))
            else:
                verdicts[index] = evaluator(event, ())
        except Exception as error:  # noqa: BLE001  # one faulty evaluator must not affect the others
            verdicts[index] = error_verdict(error)
    notable = tuple(
        (index, verdict)
        for index, verdict in enumerate(verdicts)
        if verdict.state in (State.FAILED, State.ERROR)
    )
    skips = tuple(
        (index, verdict.reason) for index, verdict in enumerate(verdicts) if verdict.state == State.SKIPPED
    )
    return LabelVerdicts(
        tuple(verdicts), bytes(verdict.state for verdict in verdicts), notable, skips, tuple(undecided)
    )


def error_verdict(error: Exception) -> Verdict:
    """Return the verdict of an evaluator that raised."""
    return Verdict(State.ERROR, f"{type(error).__name__}: {error}")
