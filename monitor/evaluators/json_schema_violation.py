"""Find the place where a value violates a JSON Schema, in few steps.

A validator that collects errors tries all alternatives of all levels, which takes exponential time on trees.
Here each step asks a compiled subschema for yes or no, and goes into the first part that fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jsonschema_rs

from monitor.evaluators.json_schema_walk import SchemaPath, part_at, pointer, resolve

OPTIONS: dict[str, Any] = {
    "pattern_options": jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=1_000_000),
    "validate_formats": False,
    "offline": True,
}
"""Patterns in linear time, of at most so many bytes; ``format`` says what a string means; nothing is fetched."""
_MAX_ASKED = 1_000
_MAX_CHARS = 4_000_000
"""How many parts are asked at most, and how many characters of text they may stand for in all."""
_MAX_LEVELS = 100
_ASSERTIONS = frozenset(
    {
        *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum"),
        *("exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems"),
        *("maxProperties", "minProperties", "required", "dependentRequired"),
    }
)
"""Keywords that need no other keyword and no subschema."""
_TOGETHER = {"maximum": "exclusiveMaximum", "minimum": "exclusiveMinimum"}
"""Draft 4 has a flag beside the limit."""
_BY_EXCLUSION = (
    ("contains", "unevaluatedItems"),
    ("patternProperties", "additionalProperties", "dependencies", "unevaluatedProperties"),
)
"""Keywords of arrays and of objects that remain when all others hold."""
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Violation(NamedTuple):
    """The first violation: where in the value, and by which keyword with which value."""

    place: str
    keyword: str
    expected: Any


class _Step(NamedTuple):
    schema_path: SchemaPath
    value: Any
    place: str


def find_violation(
    schema: Any, anchors: Mapping[str, SchemaPath], validators: Any, value: Any, chars: int
) -> Violation:
    """Return the first violation of a value that is not valid.

    Args:
        schema: the root schema.
        anchors: of the schema.
        validators: ``jsonschema_rs.ValidatorMap`` of it.
        value: the decoded answer.
        chars: length of the answer as text.
    """
    step = _Step((), value, "$")
    asked = 0
    levels = max(1, min(_MAX_LEVELS, _MAX_CHARS // (chars + 1)))
    keyword = ""
    for _ in range(levels):
        part = part_at(schema, step.schema_path)
        if not isinstance(part, dict):
            break
        following = None
        for keyword in part:
            if keyword in _ASSERTIONS:
                if not _assertion_holds(schema, part, keyword, step.value):
                    return Violation(step.place, keyword, part[keyword])
                continue
            for inner in _parts(schema, anchors, validators, keyword, step):
                asked += 1
                if asked > _MAX_ASKED:
                    return Violation(step.place, keyword, part[keyword])
                validator = validators.get(pointer(inner.schema_path))
                if validator is not None and not validator.is_valid(inner.value):
                    following = inner
                    break
            if following is not None:
                break
        if following is None:
            keyword = _remaining(schema, validators, part, step)
            return Violation(step.place, keyword, part.get(keyword))
        if part_at(schema, following.schema_path) is False:
            # nothing may stand there: the keyword around says so
            return Violation(step.place, keyword, part[keyword])
        step = following
    part = part_at(schema, step.schema_path)
    if not isinstance(part, dict):
        return Violation(step.place, "the schema", part)
    return Violation(step.place, keyword or "the schema", part.get(keyword))


def _assertion_holds(schema: Any, part: dict[str, Any], keyword: str, value: Any) -> bool:
    alone = {keyword: part[keyword]}
    together = _TOGETHER.get(keyword, keyword)
    if together in part:
        alone[together] = part[together]
    return _holds(schema, alone, value)


def _holds(schema: Any, alone: dict[str, Any], value: Any) -> bool:
    """Return whether a value follows a few keywords, read in the draft of the schema."""
    try:
        validator = jsonschema_rs.validator_for({"$schema": schema["$schema"], **alone}, **OPTIONS)
    except (ValueError, jsonschema_rs.ValidationError):  # such as the flag of draft 4 without its limit
        return True
    return bool(validator.is_valid(value))


def _parts(
    schema: Any, anchors: Mapping[str, SchemaPath], validators: Any, keyword: str, step: _Step
) -> Iterator[_Step]:
    """Yield the subschemas under a keyword that the value must follow, with the parts of the value."""
    part, value, path = part_at(schema, step.schema_path), step.value, step.schema_path
    inner = part[keyword]
    if isinstance(value, dict) and isinstance(inner, dict | bool):
        yield from _parts_of_object(part, keyword, step)
    elif isinstance(value, list):
        yield from _parts_of_array(part, keyword, step)
    if keyword in ("$ref", "$dynamicRef") and isinstance(inner, str):
        target = resolve(schema, inner, anchors)
        if target is not None:
            yield _Step(target, value, step.place)
    elif keyword == "allOf" and isinstance(inner, list):
        for number in range(len(inner)):
            yield _Step((*path, keyword, number), value, step.place)
    elif keyword in ("then", "else") and "if" in part:
        condition = validators.get(pointer((*path, "if")))
        if condition is not None and condition.is_valid(value) is (keyword == "then"):
            yield _Step((*path, keyword), value, step.place)


def _parts_of_object(part: dict[str, Any], keyword: str, step: _Step) -> Iterator[_Step]:
    inner, value, path = part[keyword], step.value, step.schema_path
    if keyword == "properties":
        for name in (name for name in inner if name in value):
            yield _Step((*path, keyword, name), value[name], _inside(step.place, name))
    elif keyword == "additionalProperties" and not part.get("patternProperties"):
        named = part.get("properties", {})
        for name in (name for name in value if name not in named):
            yield _Step((*path, keyword), value[name], _inside(step.place, name))
    elif keyword in ("dependentSchemas", "dependencies"):
        for name in (name for name in inner if name in value and not isinstance(inner[name], list)):
            yield _Step((*path, keyword, name), value, step.place)
    elif keyword == "propertyNames":
        for name in value:
            yield _Step((*path, keyword), name, step.place)


def _parts_of_array(part: dict[str, Any], keyword: str, step: _Step) -> Iterator[_Step]:
    inner, value, path = part[keyword], step.value, step.schema_path
    if keyword in ("prefixItems", "items") and isinstance(inner, list):
        for number in range(min(len(inner), len(value))):
            yield _Step((*path, keyword, number), value[number], f"{step.place}[{number}]")
    elif keyword == "items" or (keyword == "additionalItems" and isinstance(part.get("items"), list)):
        first = part.get("prefixItems" if keyword == "items" else "items", ())
        for number in range(len(first), len(value)):
            yield _Step((*path, keyword), value[number], f"{step.place}[{number}]")


def _remaining(schema: Any, validators: Any, part: dict[str, Any], step: _Step) -> str:
    """Return the keyword that fails although no part under it does by itself, such as ``anyOf``."""
    value, path = step.value, step.schema_path

    def count(keyword: str) -> int:
        alternatives = (
            validators.get(pointer((*path, keyword, number))) for number in range(len(part[keyword]))
        )
        return sum(validator is not None and validator.is_valid(value) for validator in alternatives)

    others = []
    for keyword in part:
        if keyword == "anyOf":
            if not count(keyword):
                return keyword
        elif keyword == "oneOf":
            if count(keyword) != 1:
                return keyword
        elif keyword == "not":
            validator = validators.get(pointer((*path, keyword)))
            if validator is not None and validator.is_valid(value):
                return keyword
        elif keyword == "additionalProperties" and part[keyword] is False:
            if not _closed_object_holds(schema, part, value):
                return keyword
        elif keyword in _BY_EXCLUSION[type(value) is dict]:
            others.append(keyword)
    for limit in ("maxContains", "minContains"):
        if "contains" in others and limit in part:
            return limit
    return others[0] if others else "the schema"


def _closed_object_holds(schema: Any, part: dict[str, Any], value: Any) -> bool:
    """Return whether an object has only the keys that its schema names."""
    closed: dict[str, Any] = {"additionalProperties": False}
    for keyword in ("properties", "patternProperties"):
        closed[keyword] = {name: {} for name in part.get(keyword, {})}
    return _holds(schema, closed, value)


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if _PLAIN_NAME.match(name) else f"{place}[{name!r}]"
