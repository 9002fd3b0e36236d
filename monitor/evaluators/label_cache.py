"""Cache verdicts that depend only on an event's labels, and whether its call failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, State, Verdict
from monitor.normal_form.response import call_failed

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
    undecided: tuple[tuple[int, Evaluator], ...]


class LabelFacts:
    """What the labels of an event say.

    Attributes:
        failed: whether the call failed.
        is_renamed: whether the normal form has another error type, which the finish reason states.
        without_text, without_match, with_match: verdicts on events without output text, with a text in which no
            pattern occurs, and with one in which a pattern occurs; None until they are needed.
    """

    __slots__ = ("failed", "is_renamed", "with_match", "without_match", "without_text")

    def __init__(self, event: Any) -> None:
        self.failed = call_failed(event)
        self.is_renamed = self.failed and not event.error_type
        self.without_text: LabelVerdicts | None = None
        self.without_match: LabelVerdicts | None = None
        self.with_match: LabelVerdicts | None = None


class LabelCache:
    """Facts by labels, at most ``MAX_COMBINATIONS``."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self.labels_of = label_getter(evaluators)
        self._facts: dict[Any, LabelFacts] = {}
        self.get = self._facts.get

    def add(self, labels: Any, event: Any) -> LabelFacts:
        """Return the facts of labels that were not seen before; ``event`` is any event with these labels."""
        if len(self._facts) >= MAX_COMBINATIONS:
            self._facts.clear()
        facts = self._facts[labels] = LabelFacts(event)
        return facts


def label_getter(evaluators: Sequence[Evaluator]) -> Callable[[Any], Any]:
    """Make a function that returns the values of all labels of the evaluators, and of the normal form, as a tuple."""
    fields = {"error_type", "finish_reason"}.union(*(evaluator.labels for evaluator in evaluators))
    return attrgetter(*sorted(fields))


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
                undecided.append((index, evaluator))
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
