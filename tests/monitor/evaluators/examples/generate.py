"""Write the labelled examples: ``python -m tests.monitor.evaluators.examples.generate``."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.monitor.evaluators.examples import code_examples, text_examples

HERE = Path(__file__).parent
COUNT = 240
Example = dict[str, Any]


def budget(draw: random.Random) -> Iterator[Example]:
    """Calls with tokens and cost around their budgets."""
    fields = {
        "max_input_tokens": "input_tokens",
        "max_output_tokens": "output_tokens",
        "max_cost_usd": "cost_usd",
    }
    while True:
        limits: dict[str, Any] = {}
        event: Example = {}
        over = []
        for parameter, field in fields.items():
            limit = draw.choice([100, 1_000, 8_000]) if field != "cost_usd" else draw.choice([0.01, 0.25])
            if draw.random() < 0.6:
                limits[parameter] = limit
            if draw.random() < 0.8:
                value = limit * draw.choice([0.2, 0.9, 1, 1.01, 3])
                event[field] = round(value) if field != "cost_usd" else round(value, 6)
            if parameter in limits and field in event:
                over.append(event[field] > limit)
        yield {**event, "output": "Fine.", "parameters": limits, "fails": any(over) if over else None}


def stages(draw: random.Random) -> Iterator[Example]:
    """Calls with stages and cold starts around their budgets."""
    names = ("retrieval", "rerank", "model", "post")
    while True:
        budgets = {name: draw.choice([0.1, 0.5, 2.0]) for name in names if draw.random() < 0.5}
        measured = {
            name: round(budgets.get(name, 1.0) * draw.choice([0.1, 0.8, 1, 1.02, 4]), 4)
            for name in names
            if draw.random() < 0.7
        }
        parameters: Example = {"budgets_s": budgets} if budgets else {}
        event: Example = {"stages_s": measured, "duration_s": draw.choice([0.5, 2.9, 3.1, 9.0])}
        judged = [measured[name] > budgets[name] for name in budgets if name in measured]
        cold = draw.choice([True, False, None])
        if cold is not None:
            event["cold_start"] = cold
        if draw.random() < 0.4:
            parameters["cold_start_s"] = 3.0
            if cold:
                judged.append(event["duration_s"] > 3.0)
        yield {**event, "parameters": parameters, "fails": any(judged) if judged else None}


GENERATORS: dict[str, Callable[[random.Random], Iterator[Example]]] = {
    "budget": budget,
    "stages": stages,
    "code": code_examples.code,
    "language": text_examples.language,
    "prompt_leak": text_examples.prompt_leak,
    "echo": text_examples.echo,
    "pii": text_examples.pii,
    "injection": text_examples.injection,
    "non_answer": text_examples.non_answer,
    "grounding": text_examples.grounding,
}


def main() -> None:
    """Write all files; each has different examples."""
    for name, generator in GENERATORS.items():
        seen: dict[str, Example] = {}
        for example in itertools.islice(generator(random.Random(f"{name} 1")), 20_000):
            seen.setdefault(json.dumps(example, ensure_ascii=False, sort_keys=True), example)
            if len(seen) >= COUNT:
                break
        assert len(seen) >= 200, (name, len(seen))
        lines = (json.dumps(example, ensure_ascii=False) + "\n" for example in seen.values())
        (HERE / f"{name}.ndjson").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
