"""Check whether the service could use the answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, Verdict, failed, skipped

NO_OUTCOME = "no outcome reported"
"""Reason of a skipped verdict."""
_UNKNOWN = skipped(NO_OUTCOME)


class OutcomeEvaluator(Evaluator):
    """Fails when the service could not use the answer (``outcome`` other than ``ok``); skipped without
    outcome.

    Where a feature reports outcomes of failures only, its calls without an outcome count as passed.
    """

    name = "outcome"
    labels = ("outcome",)
    failure_text = "answers were of no use to the service"
    failing_example = {"outcome": "parse_error"}
    next_step = "Look in the service at why it could not use these answers; read the failing ones."

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: the outcome is a label."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the outcome as reason."""
        outcome = event.outcome
        if outcome == "ok":
            return PASSED
        return failed(outcome) if outcome else _UNKNOWN
