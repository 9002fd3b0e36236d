"""The reference of metrics, ``docs/metrics.md``: names for rules, and Prometheus series."""

from __future__ import annotations

from monitor.evaluators import EVALUATORS
from monitor.exported_segments import MAX_EXPORTED_SEGMENTS
from monitor.ingest.text_format import FORMATS
from monitor.protocol.metrics import METRICS
from monitor.windows.metric_definitions import (
    CATEGORIES,
    FEEDBACK_QUANTITIES,
    QUANTILES,
    RESPONSE_QUANTITIES,
    TEXT_CATEGORIES,
)
from schemas.generate.events_page import split_description
from schemas.generate.markdown import generated_by, table
from softfail.events import KINDS

_RATES = {
    "pass_rate": "Share of responses that no gating evaluator failed",
    "error_rate": "Share of responses with an `error_type`",
    "feedback.acceptance_rate": "Share of feedback on acceptance that accepted the answer",
    "feedback.regeneration_rate": "Share of feedback that asked for another answer",
}
"""Rate -> meaning; a test holds that none is missing."""
_TEXTS = {
    "input_text": "Texts of inputs, compared by their character 3-grams",
    "output_text": "Texts of outputs, compared by their character 3-grams",
}

_TEXT_CATEGORIES = {
    "input_language": "Language of inputs, detected in the first texts of a segment and minute",
    "output_language": "Language of outputs, detected in the first texts of a segment and minute",
    "output_format": (
        "Format of outputs, of the first texts of a segment and minute: "
        + ", ".join(f"`{name}`" for name in FORMATS)
    ),
}

_HEAD = f"""\
# Metrics

{generated_by("python -m monitor.documentation", "monitor/windows/metric_definitions.py and monitor/protocol/metrics.py")}

The first part lists every name that [rules, objectives and drift](configuration.md#rules) may use, the second every
series that a worker exports at `/metrics`. What a number means exactly is said in [semantics](semantics.md).

## Names in rules

`rules[].on` takes a rate, or a number with a reading: `.mean` or a quantile ({", ".join(f"`.{name}`" for name in QUANTILES)},
any `.pNN`). `objectives[].on` takes a rate. `drift[].on` takes numbers without a reading, categories, texts, and rates.

```yaml
rules:
  - {{name: slow, on: duration_s.p90, above: 3, severity: warning}}
objectives:
  - {{name: good-answers, on: pass_rate, target: 0.97}}
drift:
  - {{name: shifted, on: [output_tokens, finish_reason, output_language, output_format]}}
```
"""
_PROMETHEUS = f"""\
## Prometheus series

Counters grow from the moment a process takes a partition. Gauges of quality are of the last 5 minutes of event time.
Example: the pass rate of every feature that is below its promise:

```promql
softfail_pass_rate{{level="feature"}} < 0.97
```

**Many segments.** Series of quality with `level="segment"` are exported for at most {MAX_EXPORTED_SEGMENTS} segments of each
partition: first those with a firing incident, then the busiest of the last 5 minutes. `softfail_segments_not_exported`
counts the others. They are measured and read by rules all the same, and their values are in the topic
`softfail.windows`. The series of a feature are always exported.
"""


def metrics_page() -> str:
    """Make the whole page, Markdown."""
    response = {name: field.description or "" for name, field in KINDS["response"].model_fields.items()}
    feedback = {name: field.description or "" for name, field in KINDS["feedback"].model_fields.items()}
    rates = [
        *((f"`{name}`", meaning) for name, meaning in _RATES.items()),
        (
            "`evaluator.NAME.fail_rate`",
            f"Share of verdicts of an evaluator that failed: {_evaluators()}, or one of your own",
        ),
    ]
    numbers = [
        *(
            (f"`{quantity.name}`", _meaning(response[quantity.field], quantity.name))
            for quantity in RESPONSE_QUANTITIES
        ),
        *(
            (f"`{quantity.name}`", _meaning(feedback[quantity.field], quantity.name))
            for quantity in FEEDBACK_QUANTITIES
        ),
        ("`stage.NAME_s`", "Seconds of a stage of a call, from `stages`"),
        ("`evaluator.NAME.score`", "Score of an evaluator"),
    ]
    categories = [
        (
            f"`{category.name}`",
            _meaning(response.get(category.name) or _TEXT_CATEGORIES[category.name], category.name),
        )
        for category in (*CATEGORIES, *TEXT_CATEGORIES)
    ]
    series = [
        (f"`{name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for name, metric in METRICS.items()
    ]
    return "\n".join(
        [
            _HEAD,
            "### Rates\n",
            *table(["name", "meaning"], rates),
            "\n### Numbers\n",
            *table(["name", "meaning"], numbers),
            "\n### Categories (drift only)\n",
            *table(["name", "meaning"], categories),
            "\n### Texts (drift only)\n",
            *table(["name", "meaning"], [(f"`{name}`", meaning) for name, meaning in _TEXTS.items()]),
            "",
            _PROMETHEUS,
            *table(["series", "kind", "labels", "meaning"], series),
            "",
        ]
    )


def _meaning(description: str, name: str) -> str:
    """Take the meaning from the description of an event's field; without one, spell out the name."""
    meaning = split_description(description)[0]
    return meaning or name.replace("_", " ").capitalize()


def _evaluators() -> str:
    return ", ".join(f"`{name}`" for name in EVALUATORS)
