"""Find the subschemas of a JSON Schema, and how many of them can apply to one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

SchemaPath = tuple[str | int, ...]
"""Keys from the root of a schema to a part of it."""

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLE = (
    *("items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties"),
    *("unevaluatedProperties", "propertyNames", "not", "if", "then", "else"),
)
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
"""Keywords whose subschemas apply to the value itself, not to a part of it."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def subschemas(schema: Any) -> Iterator[tuple[SchemaPath, Any]]:
    """Yield a schema and all subschemas in it with their paths, references not followed."""
    waiting: list[tuple[SchemaPath, Any]] = [((), schema)]
    while waiting:
        path, part = waiting.pop()
        yield path, part
        if isinstance(part, dict):
            waiting.extend((path + rest, inner) for rest, inner in _children(part))


def _children(schema: dict[str, Any]) -> Iterator[tuple[SchemaPath, Any]]:
    for keyword in _MAPS:
        if isinstance(inner := schema.get(keyword), dict):
            for name, value in inner.items():
                if isinstance(value, dict | bool):
                    yield (keyword, name), value
    for keyword in _LISTS:
        if isinstance(inner := schema.get(keyword), list):
            yield from (((keyword, number), value) for number, value in enumerate(inner))
    for keyword in _SINGLE:
        if isinstance(inner := schema.get(keyword), dict | bool):
            yield (keyword,), inner


def anchors_in(schema: Any) -> dict[str, SchemaPath]:
    """Return the names that subschemas give themselves, with their paths."""
    anchors: dict[str, SchemaPath] = {}
    for path, part in subschemas(schema):
        if isinstance(part, dict):
            ids = (str(part.get(keyword)) for keyword in ("$id", "id"))
            names = [part.get("$anchor"), part.get("$dynamicAnchor")]
            names += [name[1:] for name in ids if name.startswith("#")]
            anchors |= {name: path for name in names if isinstance(name, str)}
    return anchors


def resolve(schema: Any, reference: str, anchors: Mapping[str, SchemaPath]) -> SchemaPath | None:
    """Return where a local reference points to, ``#/a/0`` or ``#name``; None if nowhere.

    ``anchors``: those of the schema.
    """
    fragment = unquote(reference.removeprefix("#"))
    if not fragment:
        return ()
    if not fragment.startswith("/"):
        return anchors.get(fragment)
    path: SchemaPath = ()
    for step in fragment[1:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and key in schema:
            schema, path = schema[key], (*path, key)
        elif isinstance(schema, list) and key.isdecimal() and int(key) < len(schema):
            schema, path = schema[int(key)], (*path, int(key))
        else:
            return None
    return path


def part_at(schema: Any, path: SchemaPath) -> Any:
    """Return the part of a schema at a path."""
    for key in path:
        schema = schema[key]
    return schema


class Breadth:
    """Count how many subschemas, enumerated values and patterns can be tried on one value of an answer.

    Cost of a validation is at most the breadth times the number of values. A reference that leads back to a
    schema around it counts as one: the validator remembers its result for each value.
    """

    def __init__(self, schema: Any, anchors: Mapping[str, SchemaPath]) -> None:
        self._schema = schema
        self._anchors = anchors
        self._on_value: dict[SchemaPath, int] = {}
        self._anywhere: dict[SchemaPath, int] = {}

    def total(self) -> int:
        """Return the greatest number for any one value.

        Raises:
            ValueError: a schema refers to itself without going into the value.
        """
        self._same_value((), ())
        return self._greatest(())

    def _targets(self, path: SchemaPath, schema: dict[str, Any]) -> list[SchemaPath]:
        """Return the paths of the subschemas that apply to the same value."""
        targets = [
            path + rest for rest, inner in _children(schema) if rest[0] in _SAME_VALUE and inner is not True
        ]
        for keyword in _REFERENCES:
            if isinstance(reference := schema.get(keyword), str):
                target = resolve(self._schema, reference, self._anchors)
                if target is not None and (keyword == "$ref" or target != path):
                    targets.append(target)
        return targets

    def _same_value(self, path: SchemaPath, around: tuple[SchemaPath, ...]) -> int:
        if path in around:
            raise ValueError(f"schema: the schema at {pointer(path)} refers to itself without end")
        if (known := self._on_value.get(path)) is not None:
            return known
        schema = part_at(self._schema, path)
        count = 1
        if isinstance(schema, dict):
            enum = schema.get("enum")
            count += len(enum) if isinstance(enum, list) else 0
            for target in self._targets(path, schema):
                count += self._same_value(target, (*around, path))
        self._on_value[path] = count
        return count

    def _greatest(self, path: SchemaPath) -> int:
        """Return the greatest number for the value of this schema or any part of the value."""
        if (known := self._anywhere.get(path)) is not None:
            return known
        self._anywhere[path] = 1  # what leads back here is remembered by the validator
        schema = part_at(self._schema, path)
        greatest = self._same_value(path, ())
        if isinstance(schema, dict):
            parts: dict[str, list[int]] = {}
            for rest, _ in _children(schema):
                if rest[0] not in _SAME_VALUE and rest[0] not in ("$defs", "definitions"):
                    parts.setdefault(str(rest[0]), []).append(self._greatest(path + rest))
            inside = sum(
                max(counts) if keyword in ("properties", "prefixItems") else sum(counts)
                for keyword, counts in parts.items()
            )
            inside += sum(self._greatest(target) for target in self._targets(path, schema))
            greatest = max(greatest, inside)
        self._anywhere[path] = greatest
        return greatest


def pointer(path: SchemaPath) -> str:
    """Return a path as JSON Pointer in a fragment.

    >>> pointer(("properties", "a/b", "anyOf", 0))
    '#/properties/a~1b/anyOf/0'
    """
    return "#" + "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in path)
