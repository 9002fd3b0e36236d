"""Read the prompts and tests of a promptfoo configuration, also where they are in files of their own."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from monitor.golden.importers.imported import Imported, read_tree

MAX_COMBINATIONS = 500
"""Cases that one test or scenario becomes, at most."""
Read = Callable[[str], str]
"""Returns the content of a file that a configuration names; raises ``ValueError`` if it may not be read."""


def prompts_of(raw: Any, imported: Imported, read: Read) -> Iterator[tuple[str, Any]]:
    """Yield (label, template) of the prompts; a template is a text or messages."""
    for number, prompt in enumerate(raw if isinstance(raw, list) else [raw], 1):
        label, text = str(number), prompt
        if isinstance(prompt, dict):
            label = str(prompt.get("label") or prompt.get("id") or number)
            text = prompt.get("raw") or prompt.get("id")
        if not isinstance(text, str):
            imported.note(f"prompt {label}", "is no text")
            continue
        if text.startswith("file://") or re.fullmatch(r"[\w./-]+\.(txt|json|yaml|yml|md)", text):
            path = text.removeprefix("file://")
            if not path.endswith((".txt", ".json", ".yaml", ".yml", ".md", ".j2")):
                imported.note(f"prompt {label}", f"{path}: code, or a pattern of files, is not read")
                continue
            try:
                content = read(path)
            except ValueError as error:
                imported.note(f"prompt {label}", f"{path}: {error}")
                continue
            for part_number, part in enumerate(_parts(path, content), 1):
                yield (f"{label}.{part_number}" if part_number > 1 else label), _messages(part)
        else:
            yield label, _messages(text)


def _parts(path: str, content: str) -> list[str]:
    parts = re.split(r"^---\s*$", content, flags=re.MULTILINE) if path.endswith(".txt") else [content]
    return [part.strip() for part in parts if part.strip()]


def _messages(text: str) -> Any:
    """Return the messages of a chat prompt in JSON or YAML, else the text."""
    if text.lstrip().startswith(("[", "- role")):
        try:
            tree = read_tree(text)
        except ValueError:
            return text
        if (
            isinstance(tree, list)
            and tree
            and all(isinstance(m, dict) and {"role", "content"} <= set(m) for m in tree)
        ):
            return [{"role": str(m["role"]), "content": m["content"]} for m in tree]
    return text


def tests_of(tree: Mapping[str, Any], imported: Imported, read: Read) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, test) of the tests and scenarios; what cannot be read is noted in ``imported``."""
    raw = tree.get("tests", [])
    for number, item in enumerate(raw if isinstance(raw, list) else [raw], 1):
        if isinstance(item, str):
            yield from _file_tests(item, imported, read)
        else:
            place = f"test {number}"
            yield place, test_of(item, place, imported, read)
    for number, scenario in enumerate(tree.get("scenarios") or [], 1):
        if not isinstance(scenario, dict):
            imported.note(f"scenario {number}", "a scenario in a file is not read")
            continue
        pairs = itertools.product(scenario.get("config") or [{}], scenario.get("tests") or [{}])
        for index, (config, test) in enumerate(itertools.islice(pairs, MAX_COMBINATIONS), 1):
            place = f"scenario {number}.{index}"
            first, second = (test_of(part, place, imported, read) for part in (config, test))
            yield (
                place,
                {
                    **first,
                    **second,
                    "vars": {**first.get("vars", {}), **second.get("vars", {})},
                    "assert": [*first.get("assert", []), *second.get("assert", [])],
                },
            )
    if not raw and not tree.get("scenarios"):
        yield "defaultTest", {}


def _file_tests(path: str, imported: Imported, read: Read) -> Iterator[tuple[str, dict[str, Any]]]:
    path = path.removeprefix("file://")
    try:
        content = read(path)
        if path.endswith(".csv"):
            rows: list[Any] = [_csv_test(row) for row in csv.DictReader(io.StringIO(content))]
        elif path.endswith((".yaml", ".yml", ".json")):
            rows = read_tree(content)
        elif path.endswith(".jsonl"):
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
        else:
            raise ValueError("code, a sheet or a pattern of files is not read")
    except (ValueError, csv.Error) as error:
        imported.note(f"tests {path}", str(error))
        return
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        place = f"{path} {number}"
        yield place, test_of(row, place, imported, read)


def _csv_test(row: Mapping[str, Any]) -> dict[str, Any]:
    expected = [value for key, value in row.items() if re.fullmatch(r"__expected\d*", key or "") and value]
    plain = {key: value for key, value in row.items() if key and not key.startswith("__")}
    return {"vars": plain, "assert": expected, "description": row.get("__description") or ""}


def test_of(raw: Any, place: str, imported: Imported, read: Read) -> dict[str, Any]:
    """Return a test with ``vars``, ``options`` and ``assert`` of the right types."""
    if isinstance(raw, str) and raw.startswith("file://"):
        try:
            raw = read_tree(read(raw.removeprefix("file://")))
        except ValueError as error:
            imported.note(place, f"{raw}: {error}")
            return {}
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        imported.note(place, "is no test")
        return {}
    variables = raw.get("vars", {})
    if isinstance(variables, str | list):
        imported.note(place, "vars in files are not read")
        variables = {}
    return {
        **raw,
        "vars": variables if isinstance(variables, dict) else {},
        "options": raw.get("options") if isinstance(raw.get("options"), dict) else {},
        "assert": raw["assert"] if isinstance(raw.get("assert"), list) else [],
    }
