"""Detect calls that failed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monitor.evaluators.interface import Evaluator
from monitor.evaluators.verdict import PASSED, Verdict, failed


class ErrorEvaluator(Evaluator):
    """Fails when ``error_type`` is set, or when the finish reason states an error of any provider, like
    ``insufficient_system_resource`` or ``MALFORMED_FUNCTION_CALL``. It is in every suite: a response with an
    error never passes.
    """

    name = "error"
    version = "2"
    labels = ("error_type",)
    failure_text = "calls failed"
    failing_example = {"error_type": "rate_limit"}
    next_step = (
        "Look at the provider's status page, and at which error has grown; if it is the provider, "
        "switch to the fallback."
    )
    signals_provider_fault = True

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return True: the error type is a label."""
        return True

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with the error type as reason."""
        return failed(event.error_type) if event.error_type else PASSED
