"""Check a JSON Schema when the configuration is read, and make its validator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import isfinite
from typing import Any

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


def schema_errors(schema: Any) -> Callable[[Any], Iterator[Any]]:
    """Return a function from a value to the violations of a schema, as jsonschema reports them.

    Raises:
        ValueError: it is no JSON Schema, a ``$ref`` points to nothing, or it constrains nothing.
    """
    import jsonschema  # imported late: it takes half a second, and few configurations need it
    from jsonschema.validators import extend, validator_for

    _check_wrapper(schema)
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"schema: not a JSON Schema at {error.json_path}: {error.message}") from None
    _check_references(schema)
    exact = extend(kind, {"multipleOf": _multiple_of})
    errors: Callable[[Any], Iterator[Any]] = exact(schema).iter_errors
    return errors


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


def _check_references(schema: Any) -> None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, specification_with

    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    try:
        specification = specification_with(dialect) if isinstance(dialect, str) else DRAFT202012
    except Exception:  # noqa: BLE001  # an unknown dialect: jsonschema takes the newest one
        specification = DRAFT202012
    resource = specification.create_resource(schema)
    resolver = Registry().with_resource("", resource).crawl().resolver()
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(
                f"schema: $ref {reference!r} points outside the schema; put what it names under $defs"
            )
        if _has_own_ids(schema):
            continue  # then a pointer starts at the nearest id
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise ValueError(f"schema: $ref {reference!r} points to nothing in the schema") from None


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif key not in ("const", "enum", "default", "examples"):
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _has_own_ids(schema: Any) -> bool:
    if isinstance(schema, dict):
        return isinstance(schema.get("$id", schema.get("id")), str) or any(map(_has_own_ids, schema.values()))
    return isinstance(schema, list) and any(map(_has_own_ids, schema))


def _multiple_of(validator: Any, divisor: Any, value: Any, schema: Any) -> Iterator[Any]:
    """Check ``multipleOf`` with the decimal numbers as written: 19.99 is a multiple of 0.01."""
    from jsonschema import ValidationError

    if not validator.is_type(value, "number") or (isinstance(value, float) and not isfinite(value)):
        return
    if Fraction(str(value)) % Fraction(str(divisor)):
        yield ValidationError(f"{value!r} is not a multiple of {divisor}")
