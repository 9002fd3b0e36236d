"""Check a JSON Schema when the configuration is read, and make its validator."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import jsonschema_rs

from monitor.evaluators.json_schema_violation import OPTIONS, Violation, find_violation
from monitor.evaluators.json_schema_walk import Breadth, SchemaPath, anchors_in, pointer, resolve, subschemas

_ANNOTATIONS = frozenset(
    {
        *("$schema", "$id", "id", "$comment", "$anchor", "$vocabulary", "$defs", "definitions", "title"),
        *("description", "default", "examples", "deprecated", "readOnly", "writeOnly", "contentMediaType"),
        *("contentEncoding", "contentSchema", "format"),
    }
)
_CONSTRAINTS = frozenset(
    {
        *(
            "type",
            "enum",
            "const",
            "multipleOf",
            "maximum",
            "exclusiveMaximum",
            "minimum",
            "exclusiveMinimum",
        ),
        *("maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains"),
        *("minContains", "maxProperties", "minProperties", "required", "dependentRequired", "dependencies"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "prefixItems", "items"),
        *("additionalItems", "contains", "properties", "patternProperties", "additionalProperties"),
        *(
            "propertyNames",
            "unevaluatedItems",
            "unevaluatedProperties",
            "$ref",
            "$dynamicRef",
            "$recursiveRef",
        ),
    }
)
_WRAPPERS = (
    "schema",
    "json_schema",
    "parameters",
    "input_schema",
    "inputSchema",
    "responseSchema",
    "response_schema",
)
"""Keys under which providers put the schema of an answer or a tool."""


_MAX_BREADTH = 10_000
"""Most subschemas that may apply to one value."""
_MAX_SUBSCHEMAS = 10_000
_MAX_PATH = 200
_MAX_COMPILED = 250_000
"""Most subschemas times references of a schema whose violations have a place within the answer."""
_MAX_WORK = 5_000_000
"""Most subschemas to try on an answer: 9 to 50 ns each, measured."""
_MAX_PATTERN_CHARS = 2_000_000
"""Most characters of an answer times patterns of the schema: 1 ns to 4 µs each, measured."""
_MAX_LARGE_INTEGERS = 100
"""Most integers beyond 64 bits in an answer under ``uniqueItems``, which compares each pair of them."""
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": jsonschema_rs.Draft4Validator,
    "http://json-schema.org/draft-06/schema": jsonschema_rs.Draft6Validator,
    "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema_rs.Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema_rs.Draft202012Validator,
}
_NEWEST = "https://json-schema.org/draft/2020-12/schema"
_REMARKS = ("contentEncoding", "contentMediaType")
"""Keywords that some drafts let a validator check; here they say what a string holds, no more."""


class SchemaValidator:
    """Validate decoded answers against one JSON Schema, in time proportional to the answer.

    ``pattern`` is matched in linear time, ``format`` is not checked, and nothing is fetched.

    Raises:
        ValueError: it is no JSON Schema, it constrains nothing, a ``$ref`` points to nothing or out of the
            schema, a ``pattern`` cannot be matched in linear time, or too many subschemas apply to one value.
    """

    def __init__(self, schema: Any) -> None:
        _check_wrapper(schema)
        _check_size(schema)
        try:
            schema, kind = _with_known_draft(schema)
        except RecursionError:
            raise ValueError("schema: nested too deeply") from None
        parts = list(subschemas(schema))
        _check_patterns(parts)
        self._anchors = anchors_in(schema)
        _check_references(schema, parts, self._anchors)
        self._breadth = _breadth(schema, self._anchors)
        self._validator = _compiled(schema, kind)
        self._patterns = sum(len(_patterns(part)) for _, part in parts)
        self._unique = any(isinstance(part, dict) and part.get("uniqueItems") for _, part in parts)
        references = sum(isinstance(part, dict) and "$ref" in part for _, part in parts)
        # each subschema is compiled with all that it refers to
        self._has_places = references * len(parts) <= _MAX_COMPILED
        self._schema = schema
        self._map: Any = None

    def too_large(self, values: int, chars: int, large_integers: int) -> bool:
        """Return whether a validation could take too long.

        Args:
            values: how many values an answer has; an upper bound.
            chars: length of the answer.
            large_integers: how many of its integers exceed 64 bits; an upper bound.
        """
        return (
            values * self._breadth > _MAX_WORK
            or chars * self._patterns > _MAX_PATTERN_CHARS
            or (self._unique and large_integers > _MAX_LARGE_INTEGERS)
        )

    def is_valid(self, value: Any) -> bool:
        """Return whether a value follows the schema."""
        return bool(self._validator.is_valid(value))

    def violation(self, value: Any, chars: int) -> Violation:
        """Return the first violation of a value that is not valid.

        Args:
            value: the decoded answer.
            chars: its length as text; of a long one fewer parts are searched.
        """
        if self._map is None:  # made for the first failure: it takes several times as long as the validator
            self._map = jsonschema_rs.validator_map_for(self._schema, **OPTIONS) if self._has_places else {}
        return find_violation(self._schema, self._anchors, self._map, value, chars)


def _check_size(schema: Any) -> None:
    """Refuse a schema with too many subschemas, or nested too deeply to be copied and compiled."""
    for number, (path, _) in enumerate(subschemas(schema)):
        if number >= _MAX_SUBSCHEMAS:
            raise ValueError(f"schema: more than {_MAX_SUBSCHEMAS:,} subschemas")
        if len(path) > _MAX_PATH:
            raise ValueError(f"schema: nested too deeply: more than {_MAX_PATH} keys lead to a subschema")


def _with_known_draft(schema: Any) -> tuple[Any, Any]:
    """Return a copy that names a known draft, without remarks, and its validator class.

    An unknown dialect is read as the newest draft.
    """
    if not isinstance(schema, dict):
        return schema, _DRAFTS[_NEWEST]
    copy = deepcopy(schema)
    dialect = copy.get("$schema")
    if not isinstance(dialect, str) or dialect.rstrip("#") not in _DRAFTS:
        copy["$schema"] = _NEWEST
    for _, part in list(subschemas(copy)):
        if isinstance(part, dict):
            for name in _REMARKS:
                part.pop(name, None)
    return copy, _DRAFTS[copy["$schema"].rstrip("#")]


def _compiled(schema: Any, kind: Any) -> Any:
    try:
        return kind(schema, **OPTIONS)
    except jsonschema_rs.ValidationError as error:
        place = error.instance_path
        if not place and isinstance(schema, dict) and error.kind.name == "$ref":
            raise ValueError(f"schema: {error.message}") from None
        where = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
        raise ValueError(f"schema: not a JSON Schema at {where}: {error.message:.200}") from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(f"schema: not a JSON Schema: {error!s:.200}") from None


def _patterns(schema: Any) -> list[tuple[SchemaPath, str]]:
    """Return the regular expressions of one subschema with the keys that lead to them."""
    if not isinstance(schema, dict):
        return []
    patterns: list[tuple[SchemaPath, str]] = []
    if isinstance(pattern := schema.get("pattern"), str):
        patterns.append((("pattern",), pattern))
    if isinstance(by_pattern := schema.get("patternProperties"), dict):
        patterns.extend((("patternProperties", pattern), pattern) for pattern in by_pattern)
    return patterns


def _check_patterns(parts: list[tuple[SchemaPath, Any]]) -> None:
    """Refuse a pattern that cannot be matched in time proportional to the text."""
    for path, part in parts:
        for rest, pattern in _patterns(part):
            if _is_pattern(pattern, OPTIONS["pattern_options"]):
                continue
            place = f"schema: {pointer(path + rest[:1])}: pattern {pattern!r:.100}"
            if _is_pattern(pattern, jsonschema_rs.RegexOptions(size_limit=1 << 30)):
                raise ValueError(f"{place} is too large; use smaller repetitions, or [a-z] in place of \\p")
            if _is_pattern(pattern, jsonschema_rs.FancyRegexOptions()):
                raise ValueError(
                    f"{place} needs backtracking, which has no bound; write it without lookaround,"
                    " backreferences and possessive quantifiers, or leave it out"
                )
            raise ValueError(f"{place} is no regular expression of ECMA-262, which JSON Schema asks for")


def _is_pattern(pattern: str, options: Any) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options, offline=True)
    except (ValueError, jsonschema_rs.ValidationError):
        return False
    return True


def _breadth(schema: Any, anchors: Mapping[str, SchemaPath]) -> int:
    try:
        breadth = Breadth(schema, anchors).total()
    except RecursionError:
        raise ValueError("schema: nested too deeply") from None
    if breadth > _MAX_BREADTH:
        raise ValueError(
            f"schema: {breadth:,} subschemas and values can apply to one value of an answer; at most"
            f" {_MAX_BREADTH:,} may: repeat fewer references under allOf, anyOf and oneOf, or shorten an enum"
        )
    return breadth


def _check_wrapper(schema: Any) -> None:
    """Refuse an object that holds a schema, or no keyword of one: every answer would pass."""
    if not isinstance(schema, dict) or not schema or schema.keys() & _CONSTRAINTS - {"type"}:
        return
    for name in _WRAPPERS:
        if isinstance(schema.get(name), dict):
            raise ValueError(
                f"schema: the schema is under {name!r}, in a provider's wrapper; configure what is under it"
            )
    if not schema.keys() & (_CONSTRAINTS | _ANNOTATIONS):
        raise ValueError(
            f"schema: {', '.join(map(repr, sorted(schema)[:3]))}: no keyword of JSON Schema; every answer would pass"
        )


def _check_references(
    schema: Any, parts: list[tuple[SchemaPath, Any]], anchors: Mapping[str, SchemaPath]
) -> None:
    own_ids = any(
        isinstance(part, dict) and isinstance(part.get("$id", part.get("id")), str) for _, part in parts
    )
    for reference in (
        part[keyword]
        for _, part in parts
        if isinstance(part, dict)
        for keyword in ("$ref", "$dynamicRef")
        if isinstance(part.get(keyword), str)
    ):
        if not reference.startswith("#"):
            raise ValueError(
                f"schema: $ref {reference!r} points outside the schema; put what it names under $defs"
            )
        # with ids a pointer starts at the nearest one
        if not own_ids and resolve(schema, reference, anchors) is None:
            raise ValueError(f"schema: $ref {reference!r} points to nothing in the schema")
