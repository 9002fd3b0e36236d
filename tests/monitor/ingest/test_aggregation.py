"""Laws of counts for any sampling and any bundles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.ingest.event_records import record_of


def metrics(records: list[FileRecord], bundle: int = 10_000) -> dict[str, Any]:
    watch = Watch(Config())
    for start in range(0, len(records), bundle):
        watch.apply(records[start : start + bundle])
    windows = [json.loads(message.value) for message in watch.finish().messages["windows"]]
    (values,) = [window["metrics"] for window in windows if window["level"] == "segment"]
    return values


@pytest.mark.parametrize(("sizes", "n"), [({}, 100), ({"output_tokens": 0}, None)])
def test_half_of_the_answers_empty_is_a_rate_of_one_half_with_and_without_stated_sizes(sizes, n):
    """One call in ten has text. Where no size is stated, only calls with text count; otherwise all do."""
    records = []
    for number in range(1000):
        empty = number // 10 % 2 == 0
        stated = {"output_tokens": 0 if empty else 9} if sizes else {}
        text = {"output": "" if empty else "It ships."} if number % 10 == 0 else {}
        records.append(record_of(number, content_probability=0.1, **text, **stated))
    values = metrics(records)
    assert values["evaluator.empty.fail_rate"]["value"] == pytest.approx(0.5)
    assert values["pass_rate"]["value"] == pytest.approx(0.5, abs=0.001)
    if n:
        assert values["evaluator.empty.fail_rate"]["n"] == pytest.approx(n)
    else:
        assert values["evaluator.empty.fail_rate"]["n"] == pytest.approx(1000)


def test_external_evaluators_are_capped_and_built_in_evaluators_are_not_counted():
    names = [f"e{number:02}" for number in range(62)] + ["refusal"] + [f"x{number}" for number in range(5)]
    records = [
        record_of(number, "evaluation", response_id="r", evaluator=name, passed=True)
        for number, name in enumerate(names)
    ]
    records.insert(40, record_of(99, output="It ships.", finish_reason="stop", duration_s=1.0))
    values = metrics(records)
    assert {
        "evaluator.x0.fail_rate",
        "evaluator.x1.fail_rate",
        "evaluator.refusal.fail_rate",
    } <= values.keys()
    assert "evaluator.x2.fail_rate" not in values
    assert values["evaluator.other.fail_rate"]["n"] == 3
    assert metrics(records, bundle=1) == values
    assert metrics(records, bundle=7) == values


def test_evaluators_with_scores_only_are_capped_too():
    values = metrics(
        [
            record_of(number, "evaluation", response_id="r", evaluator=f"e{number}", score=0.5)
            for number in range(200)
        ]
    )
    assert sum(name.endswith(".score.mean") for name in values) == 65
    assert values["evaluator.other.score.mean"]["n"] == 136
