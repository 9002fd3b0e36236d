from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluators.verdict import State
from monitor.golden.checks import Answer, check_fault, judge_check, judge_checks
from monitor.golden.text_checks import edit_distance
from schemas.event_decoder import read_event
from schemas.golden import Check

PASSED, FAILED, ERROR = State.PASSED, State.FAILED, State.ERROR


def answer(output: str, judged: dict[str, tuple[bool, str]] | None = None, **fields: Any) -> Answer:
    event, _ = read_event(
        json.dumps(
            {
                "kind": "response",
                "event_id": "e",
                "time": "2026-11-30T00:00:00Z",
                "service": "s",
                "feature": "f",
                "model": "m",
                "output": output,
                **fields,
            }
        ).encode()
    )
    return Answer(event, judged or {})


SCHEMA = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}


@pytest.mark.parametrize(
    ("check", "passing", "failing"),
    [
        ({"type": "equals", "value": "yes"}, "yes", "Yes"),
        ({"type": "equals", "value": {"a": [1]}}, ' {"a": [1.0]}', '{"a": [2]}'),
        ({"type": "contains", "value": "Orders"}, "Open Orders.", "Open orders."),
        ({"type": "icontains", "value": "Orders"}, "open orders.", "open order"),
        ({"type": "contains_any", "value": ["a", "b"]}, "xb", "x"),
        ({"type": "contains_all", "value": ["a", "b"]}, "ab", "a"),
        ({"type": "icontains_any", "value": ["A"]}, "xa", "x"),
        ({"type": "icontains_all", "value": ["A", "b"]}, "aB", "a"),
        ({"type": "starts_with", "value": "Yes"}, "Yes, it is", "Oh yes"),
        ({"type": "ends_with", "value": "."}, "Yes.", "Yes"),
        ({"type": "regex", "value": r"\d{4}-\d\d"}, "on 2026-11", "on 26-11"),
        ({"type": "is_json", "value": SCHEMA}, '{"total": 3}', '{"total": "3"}'),
        ({"type": "is_json"}, "[]", "[] or so"),
        ({"type": "contains_json", "value": SCHEMA}, 'Here [1]: {"total": 3} ok', "[1] Here: {total: 3}"),
        ({"type": "is_xml"}, "<a><b/></a>", "<a><b></a>"),
        ({"type": "contains_xml"}, "so: <a>1</a>.", "so: <a>1"),
        ({"type": "is_html"}, "<p>Hi <b>you</b></p>", "Hi <b>you</b>"),
        ({"type": "contains_html"}, "Hi <b>you</b>", "1 < 2 and 3 > 2"),
        ({"type": "levenshtein", "value": "kitten", "threshold": 3}, "sitting", "sittings"),
        ({"type": "rouge_1", "value": "the cat sat down"}, "the cat sat", "a dog"),
        ({"type": "word_count", "value": {"min": 2, "max": 3}}, "one two", "one two three four"),
        ({"type": "char_count", "value": {"max": 5}}, "short", "longer"),
        ({"type": "word_count", "value": 2}, "one two", "one"),
        ({"type": "refusal"}, "I'm sorry, but I can't help with that.", "Here you are."),
    ],
)
def test_each_check_passes_fails_and_can_be_negated(
    check: dict[str, Any], passing: str, failing: str
) -> None:
    plain, negated = Check(**check), Check(**check, negate=True)
    assert not check_fault(plain)
    assert [judge_check(plain, answer(text)).state for text in (passing, failing)] == [PASSED, FAILED]
    assert [judge_check(negated, answer(text)).state for text in (passing, failing)] == [FAILED, PASSED]
    assert judge_check(plain, answer(failing)).reason


def test_limits_read_the_fields_of_the_answer_and_are_open_without_them() -> None:
    latency = Check(type="latency_s", threshold=1.0)
    states = [
        judge_check(latency, answer("", **fields)).state
        for fields in ({"duration_s": 0.5}, {"duration_s": 2.0}, {})
    ]
    assert states == [PASSED, FAILED, ERROR]
    finish = Check(type="finish_reason", value="stop")
    assert judge_check(finish, answer("", finish_reason="stop")).state is PASSED


def test_a_rubric_is_open_without_a_judge_also_if_negated() -> None:
    rubric = Check(type="rubric", value="is polite")
    assert judge_check(rubric, answer("x")).state is ERROR
    assert judge_check(rubric, answer("x", {"is polite": (False, "rude")})).reason == "rude"
    assert judge_check(Check(type="rubric", value="r", negate=True), answer("x")).state is ERROR


def test_a_threshold_weighs_checks_and_is_open_only_while_open_checks_can_decide() -> None:
    checks = [
        Check(type="contains", value="a", weight=3.0),
        Check(type="contains", value="b"),
        Check(type="rubric", value="r"),
    ]
    assert judge_checks(checks, answer("a"), 0.6)[1].state is PASSED
    assert judge_checks(checks, answer("a"), 0.8)[1].state is ERROR
    assert judge_checks(checks, answer("b"), 0.8)[1].state is FAILED
    assert judge_checks(checks, answer("b"), None)[1].state is FAILED


def test_a_transform_is_judged_in_place_of_the_answer() -> None:
    reply = answer('{"city": "Graz", "n": [1, 2]}')
    for check, state in (
        (Check(type="equals", value="Graz", transform="JSON.parse(output).city"), PASSED),
        (Check(type="is_json", value={"type": "array"}, transform="output.n"), PASSED),
        (Check(type="expression", value="output.includes(3)", transform="output.n"), FAILED),
        (Check(type="contains", value="x", transform="output.none.x"), FAILED),
        (Check(type="contains", value="x", transform="output.none.x", negate=True), FAILED),
    ):
        assert not check_fault(check)
        assert judge_check(check, reply).state is state, check
    assert check_fault(Check(type="contains", value="x", transform="fetch(1)")).startswith(
        "transform: the expression uses"
    )


def test_groups_pass_with_any_or_all_of_their_checks() -> None:
    parts = (Check(type="contains", value="a"), Check(type="contains", value="b"))
    any_of, all_of = Check(type="any_of", checks=parts), Check(type="all_of", checks=parts)
    assert judge_check(any_of, answer("a")).state is PASSED
    assert judge_check(any_of, answer("x")).state is FAILED
    assert judge_check(all_of, answer("a")).state is FAILED
    assert judge_check(Check(type="all_of", checks=parts, threshold=0.5), answer("a")).state is PASSED


@pytest.mark.parametrize(
    "text", ["[" * 190_000, "{" * 190_000, "<a>" * 60_000, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"]
)
@pytest.mark.parametrize("kind", ["is_json", "contains_json", "is_xml", "contains_xml", "is_html"])
def test_hostile_answers_have_a_verdict(text: str, kind: str) -> None:
    verdict = judge_check(Check(type=kind), answer(text))
    assert verdict.state in (PASSED, FAILED, ERROR)
    assert kind != "is_xml" or verdict.state is FAILED


def distance(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for index, mark in enumerate(first, 1):
        previous, row[0] = row[0], index
        for column, other in enumerate(second, 1):
            previous, row[column] = (
                row[column],
                min(previous + (mark != other), row[column] + 1, row[column - 1] + 1),
            )
    return row[-1]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12), st.integers(0, 12))
def test_the_edit_distance_in_a_band_equals_the_whole_table(first: str, second: str, most: int) -> None:
    assert edit_distance(first, second, most) == min(distance(first, second), most + 1)
