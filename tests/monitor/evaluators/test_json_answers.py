"""JSON in fences, with odd characters, under schemas with decimals; schemas that are none are refused."""

from __future__ import annotations

import pytest

from monitor.evaluators.configured import parse_setting
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

P, F, S = State.PASSED, State.FAILED, State.SKIPPED


def state(response, setting, **fields):
    return Suite.from_settings([setting]).judge(response(**fields))[1].state


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('```JSON\n{"a": 1}\n```', P),
        ('~~~json\n{"a": 1}\n~~~', P),
        ('`````json5\n{"a": 1}\n`````', P),
        ('```\r\n{"a": 1}\r\n```\r\n', P),
        ('``` application/json title="x"\n[1]\n```', P),
        ('```json\n{"a": "~~~ and ``` here"}\n```', P),
        ('```json\n{"a": 1}```', P),
        ('   ```json\n{"a": 1}\n   ```', P),
        ('```json\n{"a": 1}\n``````', P),
        ('<think>Which city?</think>\n```json\n{"a": 1}\n```', P),
        ('{"a": 1}', P),
        ('```json\n{"a": 1}\n~~~', F),
        ('````json\n{"a": 1}\n```', F),
        ('```json\n{"a": 1}\n```\n```json\n{"b": 1}\n```', F),
        ('Here:\n```json\n{"a": 1}\n```', F),
        ("```json\n```", F),
        ("```json\n" + " " * 200_000, F),
        ("```json\n" + "\n```" * 50_000 + "{", F),
    ],
)
def test_one_fence_of_any_length_and_label_passes_if_configured(output, expected, response):
    assert state(response, {"json": {"fenced": True}}, output=output) is expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"a": "\\udc4d"}', P),
        ('\ufeff{"a": 1}', P),
        ('{"a": Infinity}', F),
        ('{"a": "\\ud83d", "b": NaN}', F),
        ("<think>I need braces.</think>", F),
        ('I think.\n</think>\n{"a": 1}', P),
    ],
)
def test_json_is_read_as_usual_parsers_read_it(output, expected, response):
    assert state(response, "json", output=output) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output": "I will look that up.", "finish_reason": "toolUse"}, S),
        ({"output": "\n", "finish_reason": "TOOL_CALL"}, S),
        ({"output": "", "tool_calls": 2, "finish_reason": "STOP"}, S),
        ({"output": '{"a": 1}', "finish_reason": "tool_use"}, P),
        ({"output": '{"a": ', "finish_reason": "tool_use"}, F),
        ({"output": "", "finish_reason": "USER_CANCEL"}, S),
        ({"output": "", "finish_reason": "stop"}, F),
    ],
)
def test_a_turn_that_calls_a_tool_is_judged_only_if_its_text_is_json(fields, expected, response):
    assert state(response, "json", **fields) is expected


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    [
        ("0.07", 0.01, P),
        ("1.15", 0.05, P),
        ("4.35", 0.01, P),
        ("1e-3", 0.001, P),
        ("12", 0.5, P),
        ("1e30", 0.1, P),
        ("0.075", 0.01, F),
        ("7", 2, F),
        ("-0.3", 0.1, P),
        ("0", 0.1, P),
        ('"no number"', 0.1, P),
    ],
)
def test_multiples_are_those_of_decimal_numbers(value, divisor, expected, response):
    assert state(response, {"json_schema": {"schema": {"multipleOf": divisor}}}, output=value) is expected


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, "wrapper"),
        ({"name": "order", "schema": {"type": "object"}}, "wrapper"),
        ({"name": "f", "description": "d", "input_schema": {"type": "object"}}, "wrapper"),
        ({"type": "function", "parameters": {"type": "object"}}, "wrapper"),
        ({"propertes": {"id": {}}}, "no keyword"),
        ({"$ref": "#/$defs/missing"}, "points to nothing"),
        ({"items": {"$ref": "#missing"}, "type": "array"}, "points to nothing"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/x"},
            "points to nothing",
        ),
        ({"$ref": "other.json"}, "outside"),
        ({"type": "text"}, "not a JSON Schema"),
    ],
)
def test_a_schema_that_cannot_judge_is_refused_with_the_configuration(schema, message):
    with pytest.raises(ValueError, match=message):
        parse_setting({"json_schema": {"schema": schema}})


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"title": "Anything"},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"properties": {"schema": {"type": "object"}, "parameters": {"type": "object"}}},
        {"definitions": {"t": {}}, "properties": {"a": {"$ref": "#/definitions/t"}}},
        {"properties": {"child": {"$ref": "#"}}},
        {"$id": "https://example.com/s", "$defs": {"x": {}}, "$ref": "#/$defs/x"},
    ],
)
def test_other_schemas_are_accepted(schema):
    assert parse_setting({"json_schema": {"schema": schema}}).name == "json_schema"


def test_a_deep_answer_has_a_verdict(response):
    schema = {"properties": {"child": {"$ref": "#"}}}
    deep = '{"child": ' * 900 + "1" + "}" * 900
    assert state(response, {"json_schema": {"schema": schema}}, output=deep) in (P, F)
