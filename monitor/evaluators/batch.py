"""Events of a batch that share the verdicts which their labels decide, and the other verdicts on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.label_cache import LabelVerdicts, error_verdict
from monitor.evaluators.verdict import Verdict

NO_HITS: Collection[str] = ()


class Batch:
    """Events of one batch that share the verdicts which labels decide, and what is known of their calls.

    ``numbers``: of the events in the batch; ``events``: in normal form; ``hits``: their patterns, only if they
    have any.
    """

    __slots__ = ("decided", "events", "failed", "hits", "numbers")

    def __init__(self, decided: LabelVerdicts, *, failed: bool) -> None:
        self.decided = decided
        self.failed = failed
        self.numbers: list[int] = []
        self.events: list[Any] = []
        self.hits: list[dict[int, list[str]]] = []


def other_verdicts(batch: Batch) -> Iterator[tuple[int, int, Verdict]]:
    """Yield event number, evaluator index and verdict of the verdicts that labels do not decide, if not passed."""
    for index, evaluator in batch.decided.undecided:
        if batch.hits:
            calls = ((place, hits.get(index, NO_HITS)) for place, hits in enumerate(batch.hits))
        else:
            calls = ((place, NO_HITS) for place in _suspects(evaluator, batch.events))
        for place, hits in calls:
            verdict = ask(evaluator, batch.events[place], hits)
            if verdict[0]:  # PASSED is 0
                yield batch.numbers[place], index, verdict


def ask(evaluator: Evaluator, event: Any, hits: Collection[str]) -> Verdict:
    """Return the verdict of an evaluator; ``ERROR`` if it raises."""
    try:
        return evaluator(event, hits)
    except Exception as error:  # noqa: BLE001  # one faulty evaluator must not affect the others
        return error_verdict(error)


def _suspects(evaluator: Evaluator, events: Sequence[Any]) -> Sequence[int]:
    try:
        return evaluator.suspects(events)
    except Exception:  # noqa: BLE001  # the call of each event says which of them raises
        return range(len(events))
