"""Writes what is derived from the models: ``schemas/json/*.json`` and ``docs/events.md``.

python -m schemas.generate           writes the files
python -m schemas.generate --check   says which are stale, and exits 1 if any is
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.config.monitor_config import Config
from schemas.generate.docstrings import unwrap
from schemas.generate.events_page import events_page
from schemas.records import RECORDS
from softfail.events import KINDS, SCHEMA_VERSION, Event

ROOT = Path(__file__).resolve().parents[2]
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
    for name, one in schema["properties"].items():
        if name in required or {"type": "null"} in one.get("anyOf", ()):
            continue
        kept = {key: one.pop(key) for key in ("description", "default") if key in one}
        schema["properties"][name] = {"anyOf": [one, {"type": "null"}], **kept}


def generated() -> dict[Path, str]:
    """Path relative to the repository -> text of every generated file."""
    files = {
        Path("schemas/json") / f"{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False)
        + "\n"
        for name in MODELS
    }
    files[Path("docs/events.md")] = events_page()
    return files


def stale(root: Path = ROOT) -> list[Path]:
    """Files that differ from what the models say, are missing, or belong to no model any more."""
    files = generated()
    differing = [
        path
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != text
    ]
    leftover = [
        path.relative_to(root)
        for path in (root / "schemas/json").glob("*.json")
        if path.relative_to(root) not in files
    ]
    return sorted(differing + leftover)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m schemas.generate",
        description="Write schemas/json/*.json and docs/events.md from the models.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    options = parser.parse_args(arguments)
    old = stale()
    for path in old:
        if options.check:
            print(f"{path}: stale; run python -m schemas.generate")
            continue
        text = generated().get(path)
        if text is None:
            (ROOT / path).unlink()
            print(f"{path}: removed")
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, "utf-8")
            print(f"{path}: written")
    return 1 if options.check and old else 0


if __name__ == "__main__":
    raise SystemExit(main())
