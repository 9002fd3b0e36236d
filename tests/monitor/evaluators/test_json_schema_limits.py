"""Whatever an answer says, its JSON and its schema take time in proportion to it; the rest is refused."""

from __future__ import annotations

import json
import random
import sys

import pytest

from monitor.evaluators.configured import parse_setting
from monitor.evaluators.json_answer import SKIPPED_TOO_LARGE
from monitor.evaluators.json_schema_check import SchemaValidator
from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State

P, F = State.PASSED, State.FAILED
_NODE = {"$ref": "#/$defs/node"}


def verdict(response, setting, output):
    return Suite.from_settings([setting]).judge(response(output=output))[1]


def schema(content, **parameters):
    return {"json_schema": {"schema": content, **parameters}}


def nested(depth, inner="null", key="l"):
    return f'{{"{key}": ' * depth + inner + "}" * depth


def tree(*alternatives):
    return {"$defs": {"node": {"anyOf": [*alternatives, {"type": "null"}]}}, **_NODE}


@pytest.mark.parametrize("pattern", [r"^(\w+\s?)*$", r"^(a|a)*$", r"^(a|aa)+$", r"^([a-z]+[._-]?)+@x\.com$"])
@pytest.mark.parametrize("place", ["pattern", "patternProperties", "propertyNames"])
def test_a_pattern_is_matched_in_linear_time(pattern, place, response):
    text = "a" * 100_000 + "!"
    content, output = {
        "pattern": ({"pattern": pattern}, json.dumps(text)),
        "patternProperties": ({"patternProperties": {pattern: False}}, json.dumps({text: 1})),
        "propertyNames": ({"propertyNames": {"pattern": pattern}}, json.dumps({text: 1})),
    }[place]
    assert verdict(response, schema(content), output).state is (P if place == "patternProperties" else F)


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ({"pattern": "^(?=a)b"}, "#/pattern", "backtracking"),
        ({"properties": {"x": {"pattern": r"(a)\1"}}}, "#/properties/x/pattern", "backtracking"),
        ({"items": {"patternProperties": {"(?!a)": {}}}}, "#/items/patternProperties", "backtracking"),
        ({"$defs": {"d": {"pattern": "(?<=a)b"}}}, "#/$defs/d/pattern", "backtracking"),
        ({"pattern": "["}, "#/pattern", "no regular expression"),
        ({"pattern": r"a\Z"}, "#/pattern", "no regular expression"),
        ({"anyOf": [{"pattern": r"(\p{L}{1,100}x){5}"}]}, "#/anyOf/0/pattern", "too large"),
    ],
)
def test_a_pattern_without_a_bound_is_refused_with_its_place(content, place, message):
    with pytest.raises(ValueError, match=message) as refused:
        parse_setting(schema(content))
    assert f"schema: {place}: " in str(refused.value)


def bomb(levels):
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**defs, f"d{levels}": {"type": "string"}}, "$ref": "#/$defs/d0"}


def deep(keyword):
    content = {"type": "string"}
    for _ in range(900):
        content = {keyword: content}
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb(30), "can apply to one value"),
        ({"enum": list(range(20_000))}, "can apply to one value"),
        ({"allOf": [{"$ref": "#"}]}, "refers to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "itself"),
        (deep("not"), "nested too deeply"),
        (deep("items"), "nested too deeply"),
        ({"const": json.loads("[" * 900 + "]" * 900)}, "deep"),
        ({"properties": {str(number): {} for number in range(10_001)}}, "more than 10,000 subschemas"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "points outside"),
        ({"$ref": "file:///etc/passwd"}, "points outside"),
        ({"$id": "http://127.0.0.1:9/a", "$ref": "b.json"}, "points outside"),
    ],
)
def test_a_schema_without_a_bound_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        parse_setting(schema(content))


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/meta", "file:///etc/hostname"])
def test_a_dialect_is_not_fetched(name):
    assert SchemaValidator({"$schema": name, "type": "string"}).is_valid("a")


@pytest.mark.parametrize(
    "content",
    [
        tree({"properties": {"l": _NODE, "v": {"const": 1}}, "required": ["l", "v"]}, {"properties": {"l": _NODE}, "required": ["l", "w"]}),
        {"$defs": {"node": {"allOf": [{"properties": {"l": _NODE}}, {"properties": {"l": _NODE}}], "type": "object"}}, **_NODE},
        {"$defs": {"node": {"oneOf": [{"properties": {"l": _NODE}, "required": ["l"]}, {"additionalProperties": _NODE, "required": ["l"]}]}}, **_NODE},
        {"$defs": {"node": {"type": "object", "properties": {"l": _NODE}, "patternProperties": {"^l": _NODE}}}, **_NODE},
        {"type": "object", "if": {"required": ["l"]}, "then": {"properties": {"l": {"$ref": "#"}}, "not": {"properties": {"l": {"not": {"$ref": "#"}}}}}},
    ],
)  # fmt: skip
def test_a_tree_that_forks_has_a_verdict_and_a_reason(content, response):
    result = verdict(response, schema(content), nested(200, "3"))
    assert result.state is F
    assert result.reason.startswith("$")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"id": number, "at": {"row": number}} for number in range(20_000)], P),
        ([[number] for number in range(20_000)] + [[7]], F),
        ([10**30 + number for number in range(90)], P),
    ],
)
def test_many_items_are_unique_at_once(values, expected, response):
    assert verdict(response, schema({"uniqueItems": True}), json.dumps(values)).state is expected


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ({"items": {"enum": list(range(1_000))}}, "[" + "1," * 10_000 + "1]"),
        ({"properties": {f"p{n}": {"pattern": f"^{n}"} for n in range(100)}}, json.dumps({"p1": "1" * 30_000})),
        ({"uniqueItems": True}, json.dumps([10**20 + number for number in range(200)])),
        ({}, nested(2_000)),
        (True, "[" * 1_001 + "]" * 1_001),
    ],
)  # fmt: skip
def test_more_than_the_limit_is_skipped_as_too_large(content, output, response):
    assert verdict(response, schema(content), output) is SKIPPED_TOO_LARGE


@pytest.mark.parametrize("depth", [90, 400, 900, 1_000])
def test_the_depth_of_an_answer_does_not_depend_on_the_stack(depth, response):
    def deeper(frames):
        return deeper(frames - 1) if frames else verdict(response, schema(tree_of_children), text).state

    tree_of_children = {"properties": {"l": {"$ref": "#"}}}
    text = nested(depth)
    limit = sys.getrecursionlimit()
    assert deeper(0) is deeper(500) is P
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("[" * 200_000, F),
        ('{"a": ' * 100_000, F),
        ("[" * 5_000 + "]" * 5_000, State.SKIPPED),
        ('["' + "[{" * 50_000 + '"]', P),
        ('["' + '\\"[' * 50_000 + "\\", F),
        ('["' + '\\"[' * 50_000 + '"]', P),
        ("9" * 100_000, P),
        ("[1e999, -1e999]", P),
        ("0." + "3" * 100_000, P),
        ('{"a": 1, "a": 2}', P),
        ('{"a": "\\u0000"}', P),
        ('"' + "\\ud800" * 50_000 + '"', P),
        ('{"a": NaN}', F),
        ("\\a" * 100_000, F),
    ],
)
def test_odd_json_has_a_verdict(output, expected, response):
    assert verdict(response, "json", output).state is expected
    if expected is P:
        assert verdict(response, schema({"type": ["array", "object", "number", "string"]}), output).state is P


@pytest.mark.parametrize(
    ("output", "expected"),
    [("9" * 400, P), ("1e999", P), ("-" + "9" * 5_000, F), ('"\\ud83d"', F), ("5", F)],
)
def test_numbers_of_any_length_are_compared(output, expected, response):
    assert verdict(response, schema({"type": "number", "minimum": 6}), output).state is expected


@pytest.mark.parametrize(
    ("content", "output", "reason"),
    [
        ({"properties": {"a": {"type": "number"}}}, '{"a": "x"}', "$.a: breaks type: 'number'"),
        ({"items": {"required": ["id"]}}, '[{"id": 1}, {}]', "$[1]: breaks required: ['id']"),
        ({"additionalProperties": False}, '{"z": 1}', "$: breaks additionalProperties: False"),
        ({"additionalProperties": {"maximum": 2}}, '{"a b": 3}', "$['a b']: breaks maximum: 2"),
        ({"allOf": [{"minLength": 1}, {"pattern": "^x"}]}, '"y"', "$: breaks pattern: '^x'"),
        ({"anyOf": [{"type": "null"}]}, "1", "$: breaks anyOf: [{'type': 'null'}]"),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, "3", "$: breaks oneOf"),
        ({"not": {"type": "string"}}, '"a"', "$: breaks not: {'type': 'string'}"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a": 1}', "$: breaks required: ['b']"),
        ({"contains": {"const": 3}}, "[1]", "$: breaks contains: {'const': 3}"),
        ({"patternProperties": {"^a": {"type": "null"}}}, '{"ab": 1}', "$: breaks patternProperties"),
        ({"patternProperties": {"^a": {}}, "additionalProperties": False}, '{"b": 1}', "$: breaks additionalProp"),
        ({"$defs": {"x": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/x"}}}, '{"a": 1}', "$.a: breaks type: 'null'"),
        ({"prefixItems": [{"type": "string"}], "items": False}, '["a", 1]', "$: breaks items: False"),
        ({"properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}}, nested(3, '{"n": 0.5}', "child"), "$.child.child.child.n: breaks type: 'integer'"),
        (False, "1", "$: breaks the schema: False"),
    ],
)  # fmt: skip
def test_the_reason_names_the_place_and_the_keyword(content, output, reason, response):
    assert verdict(response, schema(content), output).reason.startswith(reason)


def test_the_reason_of_a_long_answer_is_found_in_few_steps(response):
    output = json.dumps({"rows": [{"id": number} for number in range(50_000)] + [{}]})
    content = {"properties": {"rows": {"items": {"required": ["id"]}}}}
    assert verdict(response, schema(content), output).reason.startswith("$.rows: breaks items")


def test_a_random_text_of_an_ambiguous_pattern_is_matched(response):
    random_text = "".join(random.Random(3).choice("ab") for _ in range(20_000))
    content = {"pattern": "[ab]*a[ab]{100}c"}
    assert verdict(response, schema(content), json.dumps(random_text)).state is F


@pytest.mark.parametrize(
    ("count", "reason"), [(200, "$.l.l: breaks type: 'string'"), (3_000, "$: breaks the schema")]
)
def test_the_places_of_a_schema_with_many_references_are_not_compiled(count, reason, response):
    defs = {f"a{n}": {"$anchor": f"x{n}", "properties": {"l": {"$ref": f"#x{n + 1}"}}} for n in range(count)}
    defs["end"] = {"$anchor": f"x{count}", "type": "string"}
    content = {"$defs": defs, "$ref": f"#x{count - 2}"}
    assert verdict(response, schema(content), '{"l": {"l": 3}}').reason.startswith(reason)


def test_the_place_of_a_violation_is_read_to_a_hundred_levels_and_no_further_in_a_long_answer(response):
    content = {**_NODE, "$defs": {"node": {"properties": {"l": _NODE}, "type": ["object", "null"]}}}
    deep, short = nested(300, "1"), nested(5, "1")
    assert verdict(response, schema(content), short).reason.startswith("$.l.l.l.l.l:")
    assert verdict(response, schema(content), deep).reason.partition(":")[0].count(".l") < 110
    long = f'{{"text": "{"x" * 1_900_000}", "l": {short}}}'
    assert verdict(response, schema(content), long).reason.partition(":")[0].count(".l") < 5


def test_a_path_of_more_than_two_hundred_keys_is_refused():
    content = {}
    for _ in range(101):
        content = {"properties": {"a": content}}
    with pytest.raises(ValueError, match="nested too deeply: more than 200 keys"):
        SchemaValidator(content)
    SchemaValidator(content["properties"]["a"])
