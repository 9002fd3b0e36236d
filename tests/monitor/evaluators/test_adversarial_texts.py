"""No text breaks an evaluator: answers that are long repetitions of tags, marks and phrases have verdicts."""

from __future__ import annotations

import pytest

from benchmarks.evaluator_cost import FRAMES, REPEATED
from monitor.evaluators import EVALUATORS
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from monitor.normal_form.reasoning import answer_of

SCHEMA = {
    "json_schema": {"schema": {"items": {"type": "object", "properties": {"x": {"pattern": r"^(\w+\s?)*$"}}}}}
}


@pytest.fixture(scope="module")
def suite():
    return Suite.from_settings([SCHEMA if name == "json_schema" else name for name in EVALUATORS])


@pytest.mark.parametrize("piece", REPEATED, ids=range(len(REPEATED)))
def test_no_evaluator_raises_on_a_repetition(piece, suite, response):
    for before, after in FRAMES:
        verdicts = suite.judge(response(output=before + piece * (20_000 // len(piece)) + after))
        assert [verdict for verdict in verdicts if verdict.state is State.ERROR] == []


def test_a_million_brackets_that_open_no_tag_are_the_answer():
    text = "<" * 1_000_000
    assert answer_of(text) == text
    assert answer_of(f"<think>Which city?</think>{text}") == text
