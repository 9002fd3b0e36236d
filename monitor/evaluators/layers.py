"""The four layers of quality, and the layer of each evaluator and metric."""

from __future__ import annotations

from monitor.evaluators import EVALUATORS

SAFETY, CORRECTNESS, USEFULNESS, DELIGHT = "safety", "correctness", "usefulness", "delight"
LAYERS = (SAFETY, CORRECTNESS, USEFULNESS, DELIGHT)
"""From what must never happen to what is nice to have; in this order they are shown."""

_OF_EVALUATOR = {
    "content_filter": SAFETY,
    "prompt_leak": SAFETY,
    "pii": SAFETY,
    "injection": SAFETY,
    "error": CORRECTNESS,
    "outcome": CORRECTNESS,
    "empty": CORRECTNESS,
    "refusal": CORRECTNESS,
    "refusal.partial": CORRECTNESS,
    "truncation": CORRECTNESS,
    "known_failure": CORRECTNESS,
    "json": CORRECTNESS,
    "json_schema": CORRECTNESS,
    "code": CORRECTNESS,
    "language": CORRECTNESS,
    "grounding": CORRECTNESS,
    "echo": USEFULNESS,
    "non_answer": USEFULNESS,
    "length": USEFULNESS,
    "latency": USEFULNESS,
    "budget": USEFULNESS,
    "stages": USEFULNESS,
}
_OF_METRIC = {
    "error_rate": CORRECTNESS,
    "feedback.acceptance_rate": USEFULNESS,
    "feedback.regeneration_rate": USEFULNESS,
    "feedback.edit_distance": USEFULNESS,
    "feedback.task_s": USEFULNESS,
    "feedback.rating": DELIGHT,
}


def layer_of_evaluator(name: str) -> str:
    """Return the layer of an evaluator. Judges, people and users' own evaluators are of correctness.

    >>> layer_of_evaluator("pii"), layer_of_evaluator("human:correct")
    ('safety', 'correctness')
    """
    return _OF_EVALUATOR.get(name, CORRECTNESS)


def layer_of_metric(metric: str) -> str | None:
    """Return the layer of a metric without its reading; None if it is of no layer, like `pass_rate`.

    >>> layer_of_metric("evaluator.echo.fail_rate"), layer_of_metric("feedback.rating"), layer_of_metric("events")
    ('usefulness', 'delight', None)
    """
    if metric.startswith("evaluator.") and metric.endswith(".fail_rate"):
        return layer_of_evaluator(metric[len("evaluator.") : -len(".fail_rate")])
    return _OF_METRIC.get(metric)


def unlisted() -> set[str]:
    """Return the evaluators that have no line here; a test requires that there are none."""
    return set(EVALUATORS) ^ set(_OF_EVALUATOR)
