"""Suggest what to do next: one short line for each kind of finding, for the person on call."""

from __future__ import annotations

from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import READ_FAILURES
from monitor.windows.metric_definitions import evaluator_of_metric

_FIRST_CHOICE = (
    "Find out why the first choice is not used: its errors, its quota, or a switch that was not set back."
)
_NEXT_STEPS = (
    (
        "events",
        (
            "Check that the service runs and has traffic; if it has, its producer does not send:"
            " docs/producer.md."
        ),
    ),
    ("error_rate", EVALUATORS["error"].next_step),
    ("pass_rate", READ_FAILURES),
    ("duration_s", EVALUATORS["latency"].next_step),
    ("time_to_first_token_s", EVALUATORS["latency"].next_step),
    ("stage.", "Look at this stage in the service: its calls, and the last deployment."),
    (
        "tool_calls",
        "Look for a loop that calls the same tool again and again; a limit on calls stops the cost.",
    ),
    (
        "output_tokens",
        (
            "Read the longest answers: a loop or an injected instruction? max_tokens and a limit on tool"
            " calls stop the cost."
        ),
    ),
    ("output_chars", "Read the longest and the shortest answers; compare prompt versions and models."),
    ("input_", "See who sends this: a new customer, another kind of text, or an attack."),
    ("reasoning_tokens", "Read a few answers; compare prompt versions and the provider's model notes."),
    ("cost_usd", "See which model and which texts cost more; a limit on tokens and tool calls stops it."),
    (
        "response_model",
        "Compare answers of the old and the new model; ask for a dated model version, or tell the provider.",
    ),
    ("provider", "Find out why calls go to another provider: routing, quota, or an outage."),
    ("fallback", _FIRST_CHOICE),
    ("degradation_level", _FIRST_CHOICE),
    ("error_type", "Look at the provider's status page, and at what this error means there."),
    ("finish_reason", "Read answers that end this way; compare max_tokens, prompt versions and filters."),
    ("guardrail", "Read what the guardrail stopped: an attack, or a rule that is too strict?"),
    ("outcome", EVALUATORS["outcome"].next_step),
    (
        "output_format",
        (
            "Read a few answers: can the program that reads them still do so? Compare prompt versions and"
            " models, roll back a new one."
        ),
    ),
    ("output_language", "Read a few answers; compare prompt versions and models, roll back a new one."),
    (
        "output_text",
        "Read a few answers and compare them with older ones; compare prompt versions and models.",
    ),
    ("feedback.", "Read what people rejected or corrected; compare prompt versions and models."),
)
"""Prefix of a metric -> what to do; the first match applies. Evaluators define their own next step."""
_SELF_HEALTH_NEXT_STEPS = {
    "dead-letters": "See which records cannot be read, by reason: python -m agents deadletters.",
    "unreadable-feature": (
        "Look at what was deployed in that service, and see why: python -m agents deadletters."
    ),
    "evaluator-errors": (
        "Look for the evaluator's error in the worker's log; remove the evaluator from the configuration until"
        " it is fixed."
    ),
    "evaluator-silence": (
        "Check that the service still sends the fields that this evaluator reads, and look at its last"
        " deployment: docs/events.md."
    ),
    "evaluator-cut-off": (
        "Correct the evaluator, or give it a lower `sample`; to try it on events: python -m monitor evaluate"
        " (docs/own-evaluators.md)."
    ),
    "unrepeated-label": (
        "Send the label's value only where it names something that lasts, like a version; put an id of a request into"
        " trace_id or session_id: docs/events.md."
    ),
    "too-many-features": (
        "Send a name that lasts as service, feature and environment, and an id of a request as trace_id or"
        " session_id: docs/events.md. A deployment that has so many features needs more partitions."
    ),
    "lag": "See whether the workers run and have CPU to spare; start more of them.",
    "lost-records": (
        "Raise the retention of the events topic, and start more workers: what Kafka deleted is gone."
    ),
    "recovery": (
        "See what the worker logged while it read its state; fewer partitions a worker, or a faster broker:"
        " docs/operations.md."
    ),
    "no-heartbeat": "Check that the workers run, and read their last log lines: docs/operations.md, Exit codes.",
    "producer-drops": (
        "Check why producers cannot send: the broker may be unreachable, or their queue too small:"
        " docs/producer.md."
    ),
    "events-missing": "Look for producers that crash, or lose the broker: docs/producer.md.",
    "wrong-partition": "Configure producers to use the partitioner of softfail: docs/producer.md.",
    "channel-down": "See whether the channel's address answers: python -m agents test-alert.",
    "test-alert": "Nothing: this is a test.",
    "unexpected-answer": (
        "Correct the channel's address or login, or the proxy; then try it: python -m agents test-alert."
    ),
    "refused": "Mend the channel's key or address, then try it: python -m agents test-alert.",
}
_DEFAULT = "Read the failing answers, and look at what was deployed just before this began."


def next_step_for(metric: str, rule: str, of_softfail: bool = False) -> str:
    """Return what to do about a finding.

    Args:
        metric: metric of the finding.
        rule: name of the rule.
        of_softfail: whether the finding is about softfail itself.

    >>> next_step_for("evaluator.truncation.fail_rate", "failures-rose")
    'Compare max_tokens with the length of answers: raise it, or find out why answers grew.'
    >>> next_step_for("events", "lag", of_softfail=True)
    'See whether the workers run and have CPU to spare; start more of them.'
    """
    if of_softfail:
        return _SELF_HEALTH_NEXT_STEPS.get(
            rule, "Look at softfail's own health: its status page, and docs/operations.md."
        )
    if metric.startswith("evaluator."):
        evaluator = EVALUATORS.get(evaluator_of_metric(metric))
        return evaluator.next_step if evaluator is not None else READ_FAILURES
    return next((text for prefix, text in _NEXT_STEPS if metric.startswith(prefix)), _DEFAULT)
