"""The reference of evaluators, ``docs/evaluators.md``, from their classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.layers import layer_of_evaluator
from schemas.generate.configuration_page import field_rows
from schemas.generate.docstrings import as_markdown
from schemas.generate.markdown import generated_by, table

_HEAD = f"""\
# Evaluators

{generated_by("python -m monitor.documentation", "monitor/evaluators/")}

An evaluator judges one response: `passed`, `failed`, `skipped` (it does not apply) or `error` (it raised). A response
passes if no *gating* evaluator failed it; the others are *informative*. Failures of an evaluator NAME are the metric
`evaluator.NAME.fail_rate`; a score is `evaluator.NAME.score`.

Configure them for a feature in [softfail.yaml](configuration.md#features):

```yaml
features:
  - match: support-bot/*
    evaluators: [refusal, {{length: {{max_chars: 2000}}}}, {{json_schema: {{file: answer.schema.json}}}}]
    gating: {{length: true}}         # make an informative one gating, or a gating one informative (false)
```

Without `evaluators`, all are used but those marked *only where configured*; `defaults` in the list stands for these. `error`
is always used. See the verdicts on your own events with `python -m monitor evaluate events.ndjson`. What none of them
checks, [an evaluator of your own](own-evaluators.md) can.

Each evaluator belongs to a *layer* of quality: safety (what must never happen), correctness, usefulness, delight (ratings). The
[weekly report](review.md#what-to-read-this-week) shows a feature by layer. Judges, people and evaluators of users count as correctness.
"""


def evaluators_page() -> str:
    """Make the whole page, Markdown."""
    rows = [
        (
            f"[`{name}`](#{_anchor(name)})",
            layer_of_evaluator(name),
            _kind(evaluator),
            _reads(evaluator),
            f"... {_failure(evaluator)}",
        )
        for name, evaluator in EVALUATORS.items()
    ]
    lines = [_HEAD, *table(["evaluator", "layer", "counts as", "reads", "a finding says"], rows)]
    for name, evaluator in EVALUATORS.items():
        lines += ["", f"## {name}\n", *_section(name, evaluator)]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    """Return the anchor that Markdown viewers make of a heading without spaces."""
    return heading.replace(".", "")


def _section(name: str, evaluator: type[Evaluator]) -> Iterator[str]:
    yield as_markdown(evaluator.__doc__ or "")
    yield ""
    yield f"- Counts as: {_kind(evaluator)}."
    yield f"- Reads: {_reads(evaluator)}."
    yield f"- What to do when its failures rise: {evaluator.next_step}"
    yield ""
    yield "A response that fails:\n"
    yield f"```json\n{json.dumps(dict(evaluator.failing_example), ensure_ascii=False)}\n```"
    if evaluator.example_parameters:
        parameters = json.dumps(dict(evaluator.example_parameters), ensure_ascii=False)
        yield f"\nwith\n\n```yaml\nevaluators:\n  - {name}: {parameters}\n```"
    if rows := field_rows(evaluator.parameters_model):
        yield ""
        yield from table(["parameter", "type", "default", "meaning"], rows)


def _kind(evaluator: type[Evaluator]) -> str:
    gating = "gating" if evaluator.gating else "informative"
    return gating + (", only where configured" if evaluator.opt_in else "")


def _reads(evaluator: type[Evaluator]) -> str:
    fields: list[Any] = [*evaluator.sizes, *evaluator.labels]
    if evaluator.reads_text:
        fields.insert(0, "output")
    fields += [field for field in evaluator.failing_example if field not in fields]
    return ", ".join(f"`{field}`" for field in dict.fromkeys(fields))


def _failure(evaluator: type[Evaluator]) -> str:
    return evaluator.failure_text or f"answers failed the evaluator {evaluator.name}"
