"""Kind of failure: what failed, by the metric that shows it.

A page rings again for another kind, and features share a page only by the same kind
(``docs/semantics.md``, "When does it ring?").
"""

from __future__ import annotations

SILENCE, ERRORS, ANSWERS = "silence", "errors", "answers"
"""Kinds of no events, of failed calls, and of a pass rate of which no evaluator is known to be the reason."""
_KINDS = {"events": SILENCE, "error_rate": ERRORS, "error_type": ERRORS, "pass_rate": ANSWERS}
_EVALUATORS = {"error": ERRORS}


def kind_of(metric: str) -> str:
    """Return the kind of failure that a metric shows.

    >>> [kind_of(metric) for metric in ("error_rate", "error_type=timeout", "evaluator.error.fail_rate")]
    ['errors', 'errors', 'errors']
    >>> [kind_of(metric) for metric in ("evaluator.refusal.fail_rate", "duration_s.p90", "events", "pass_rate")]
    ['refusal', 'duration_s', 'silence', 'answers']
    """
    name = metric.partition("=")[0]
    if name in _KINDS:
        return _KINDS[name]
    if name.startswith("evaluator."):
        evaluator = name.removeprefix("evaluator.").removesuffix(".fail_rate").removesuffix(".score")
        return _EVALUATORS.get(evaluator, evaluator)
    return name.rpartition(".")[0] or name
