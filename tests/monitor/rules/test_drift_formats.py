"""Drift of the format of answers, from events to findings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from monitor.wording.finding_text import measure
from schemas.evidence_record import Evidence
from tests.monitor.event_values import event
from tests.monitor.restarted_watch import firing_transitions, run_watch

CODE = ("def add(a, b):\n    return a + b", "total = sum(values)", "for row in rows:\n    print(row)")
LIST, TABLE, PROSE = "- tea\n- milk", "| a | b |\n|---|---|\n| 1 | 2 |", "It ships on Tuesday."
JSON, HEADINGS = '{"total": 3}', "# Order\n\nIt ships on Tuesday."
Answer = Callable[[random.Random, float], dict[str, Any]]


def measured(
    answer: Answer, minutes: float, a_minute: float, seed: int = 1
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the firing transitions and the windows. ``answer`` returns fields by the minute."""
    rng = random.Random(seed)
    values = [
        event(60 * nth / a_minute, **{"finish_reason": "stop", "output": None, **answer(rng, nth / a_minute)})
        for nth in range(round(minutes * a_minute))
    ]
    outputs = run_watch(values)
    alerts, windows = (
        [json.loads(value) for topic, value in outputs if topic == name] for name in ("alerts", "windows")
    )
    return firing_transitions(alerts), windows


def fenced(share: float, before: float, since: float) -> Answer:
    """Code that is fenced with one probability until a minute, and with another one from then on."""

    def answer(rng: random.Random, minute: float) -> dict[str, Any]:
        code = rng.choice(CODE)
        is_fenced = rng.random() < (share if minute >= since else before)
        return {"output": f"```python\n{code}\n```" if is_fenced else code}

    return answer


def mixed(weights: tuple[float, ...]) -> Answer:
    texts = (PROSE, LIST, TABLE, HEADINGS, JSON)
    return lambda rng, _: {"output": rng.choices(texts, weights)[0]}


@pytest.mark.parametrize(
    ("a_minute", "healthy", "before", "share"),
    [(60, 18, 0.0, 0.98), (60, 40, 0.0, 0.8), (12, 60, 0.0, 0.8), (8, 80, 0.05, 0.9), (300, 18, 0.3, 0.95)],
)
def test_fences_that_appear_are_a_ticket_within_100_answers_or_a_minute(
    a_minute: float, healthy: float, before: float, share: float
) -> None:
    minutes = healthy + max(2, 100 / a_minute)
    firing, _ = measured(fenced(share, before, healthy), minutes, a_minute)
    assert {item["level"] for item in firing} == {"feature", "segment"}
    assert {item["severity"] for item in firing} == {"warning"}
    findings = {item["metric"]: item for item in firing[0]["evidence"]["findings"]}
    finding = findings["output_format=code_fence"]
    assert finding["usual_label"] == "code"
    text = measure(Evidence.model_validate(finding))
    assert "in code fences" in text
    assert "bare code" in text


@pytest.mark.parametrize(("a_minute", "minutes"), [(4, 240), (60, 40)], ids=["few answers", "many answers"])
def test_a_stable_mix_of_formats_is_not_a_finding(a_minute: float, minutes: float) -> None:
    for weights in ((5, 2, 1, 1, 1), (1, 1, 1, 1, 1), (99, 1, 0, 0, 0)):
        assert measured(mixed(weights), minutes, a_minute)[0] == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [(JSON, PROSE, "prose"), (PROSE, LIST, "list"), (LIST, TABLE, "table"), (PROSE, HEADINGS, "headings")],
)
def test_every_change_of_format_is_named(old: str, new: str, name: str) -> None:
    firing, _ = measured(lambda _, minute: {"output": old if minute < 40 else new}, 43, 30)
    metrics = {item["metric"] for transition in firing for item in transition["evidence"]["findings"]}
    assert f"output_format={name}" in metrics


def test_a_window_counts_the_formats_of_answers() -> None:
    texts = [PROSE] * 8 + [CODE[0]] * 4
    _, windows = measured(lambda rng, minute: {"output": texts[round(minute * 12)]}, 1, 12)
    assert {window["level"]: window["metrics"]["output_format"]["counts"] for window in windows} == {
        "segment": {"code": 4.0, "prose": 8.0},
        "feature": {"code": 4.0, "prose": 8.0},
    }


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"output": "", "finish_reason": "tool_calls"}, None),
        ({"output": "", "tool_calls": 2}, None),
        ({"output": "", "error_type": "Timeout"}, None),
        ({"output_chars": 12}, None),
        ({"output": ""}, {"empty": 1.0}),
        ({"output": LIST, "tool_calls": 2}, {"list": 1.0}),
    ],
)
def test_calls_without_an_answer_have_no_format(
    fields: dict[str, Any], counts: dict[str, float] | None
) -> None:
    _, windows = measured(lambda rng, minute: fields, 1, 1)
    assert windows[0]["metrics"].get("output_format", {}).get("counts") == counts
