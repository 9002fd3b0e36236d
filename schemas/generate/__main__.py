"""Writes what is derived from the models: ``schemas/json/*.json``, ``docs/events.md``
and ``docs/configuration.md``.

python -m schemas.generate           writes the files
python -m schemas.generate --check   says which are stale, and exits 1 if any is
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.config.monitor_config import Config
from schemas.generate.configuration_page import configuration_page
from schemas.generate.docstrings import unwrap
from schemas.generate.events_page import events_page
from schemas.generate.files import ROOT, run, stale_files
from schemas.records import RECORDS
from softfail.events import KINDS, SCHEMA_VERSION, Event

MODELS: dict[str, type[BaseModel]] = {**KINDS, **RECORDS, "config": Config}
"""Name of the JSON Schema file -> model."""


class _Plain(GenerateJsonSchema):
    """Without a title on every field: it would only repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one of ``MODELS``.

    >>> json_schema("response")["required"]
    ['event_id', 'time', 'service', 'feature', 'model']
    """
    model = MODELS[name]
    schema = model.model_json_schema(schema_generator=_Plain)
    if issubclass(model, Event):
        _null_is_absent(schema)
    _unwrap_descriptions(schema)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:softfail:schema:{name}:{SCHEMA_VERSION}",
        **schema,
    }


def _unwrap_descriptions(schema: Any) -> None:
    """Undo the line breaks of docstrings in every description below ``schema``, in place."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "description" and isinstance(value, str):
                schema[key] = unwrap(value)
            else:
                _unwrap_descriptions(value)
    elif isinstance(schema, list):
        for value in schema:
            _unwrap_descriptions(value)


def _null_is_absent(schema: dict[str, Any]) -> None:
    """The models read ``null`` in an optional field as absent; so does the schema."""
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        if name in required or {"type": "null"} in field.get("anyOf", ()):
            continue
        kept = {key: field.pop(key) for key in ("description", "default") if key in field}
        schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **kept}


def generated() -> dict[Path, str]:
    """Path relative to the repository -> text of every generated file."""
    files = {
        Path("schemas/json") / f"{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False)
        + "\n"
        for name in MODELS
    }
    files[Path("docs/events.md")] = events_page()
    files[Path("docs/configuration.md")] = configuration_page()
    return files


def stale(root: Path = ROOT) -> list[Path]:
    """List files that differ from what the models say, are missing, or belong to no model any more."""
    return stale_files(generated(), _leftover(root), root)


def _leftover(root: Path) -> list[Path]:
    files = generated()
    paths = (path.relative_to(root) for path in (root / "schemas/json").glob("*.json"))
    return [path for path in paths if path not in files]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; return the exit code."""
    return run(
        "python -m schemas.generate",
        "Write schemas/json/*.json, docs/events.md and docs/configuration.md from the models.",
        generated(),
        _leftover(ROOT),
        arguments,
    )


if __name__ == "__main__":
    raise SystemExit(main())
