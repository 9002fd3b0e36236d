"""What the labels of an event settle: the verdicts that a suite need not ask for again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, State, Verdict

REMEMBERED = 1024  # combinations of labels; a service that writes free text into one must not fill the memory


class Settled(NamedTuple):
    """What is known of every event with the same labels.

    ``verdicts``: one an evaluator, ``PASSED`` where it has yet to be asked; ``codes``: their states;
    ``notable``: index and verdict of what failed or broke; ``skips``: index and reason of what does not
    apply; ``open``: index and evaluator of those to ask.
    """

    verdicts: tuple[Verdict, ...]
    codes: bytes
    notable: tuple[tuple[int, Verdict], ...]
    skips: tuple[tuple[int, str], ...]
    open: tuple[tuple[int, Callable[[Any, Collection[str]], Verdict]], ...]


def labels_of(evaluators: Sequence[Evaluator]) -> Callable[[Any], Any]:
    """A function from an event to the values, as a tuple, of all labels that the evaluators name."""
    fields = {"error_type"}.union(*(evaluator.labels for evaluator in evaluators))
    return attrgetter("error_type", *sorted(fields))  # twice, for of a single name attrgetter gives no tuple


def settled(evaluators: Sequence[Evaluator], event: Any, marked: bool) -> Settled:
    """What an event's labels settle. ``marked``: some pattern occurs in its text; then whoever has patterns
    is to be asked each time.
    """
    verdicts, waiting = [PASSED] * len(evaluators), []
    for index, evaluator in enumerate(evaluators):
        try:
            if (marked and evaluator.patterns) or not evaluator.settled(event):
                waiting.append((index, evaluator.__call__))
            else:
                verdicts[index] = evaluator(event, ())
        except Exception as error:  # noqa: BLE001  # one broken evaluator must cost neither the event nor the others
            verdicts[index] = broken(error)
    notable = tuple(
        (index, verdict)
        for index, verdict in enumerate(verdicts)
        if verdict.state in (State.FAILED, State.ERROR)
    )
    skips = tuple(
        (index, verdict.reason) for index, verdict in enumerate(verdicts) if verdict.state == State.SKIPPED
    )
    return Settled(
        tuple(verdicts), bytes(verdict.state for verdict in verdicts), notable, skips, tuple(waiting)
    )


def broken(error: Exception) -> Verdict:
    """The verdict of an evaluator that raised."""
    return Verdict(State.ERROR, f"{type(error).__name__}: {error}")
