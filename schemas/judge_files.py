"""Read the files that `judges:` names into the configuration: rubric, anchors and calibration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from schemas.config.yaml_text import read_yaml

REMEDY = "create it with: python -m monitor judge calibrate"


def inline_judges(tree: dict[str, Any], folder: Path, faults: list[str], *, with_calibration: bool) -> None:
    """Read the files that `judges:` names into the tree, so that the core reads no files.

    Args:
        tree: the configuration; changed in place. Values of a wrong type are left to the models.
        folder: the folder that relative paths start from.
        faults: faults are appended here.
        with_calibration: False, for the command that writes it.
    """
    judges = tree.get("judges")
    for index, judge in enumerate(judges if isinstance(judges, list) else ()):
        if not isinstance(judge, dict):
            continue
        if not with_calibration:
            judge.pop("calibration", None)
        for key, read, remedy in (
            ("rubric", _yaml, "write prompt and choice_scores into it"),
            ("anchors", _lines, "write one JSON object a line, with id and output"),
            ("calibration", json.loads, REMEDY),
        ):
            if isinstance(file := judge.get(key), str):
                place = f"judges[{index}].{key}: {file}"
                value = _read(folder / file, read, place, remedy, faults)
                if value is None:
                    del judge[key]
                else:
                    judge[key] = value


def _read(path: Path, read: Callable[[str], Any], place: str, remedy: str, faults: list[str]) -> Any:
    try:
        value = read(path.read_text("utf-8"))
    except OSError as error:
        faults.append(f"{place} cannot be read: {error.strerror}; {remedy}")
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        faults.append(f"{place} is not valid: {' '.join(str(error).split())}; {remedy}")
    else:
        if isinstance(value, dict | list) and value:
            return value
        faults.append(f"{place} is empty, or no mapping; {remedy}")
    return None


def _yaml(text: str) -> Any:
    return read_yaml(text)


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
