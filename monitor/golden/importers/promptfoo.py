"""Read promptfoo configurations: prompts times tests become cases, assertions become checks.

Source: promptfoo's documentation, "Test cases", "Assertions & metrics" and "Deterministic metrics".
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from monitor.golden.importers.imported import Imported, read_tree
from monitor.golden.importers.promptfoo_assertions import map_assertion, parse_compact

_VARIABLE = re.compile(r"\{\{-?\s*([\w.\[\]]+)\s*-?\}\}")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
MAX_COMBINATIONS = 500
Read = Callable[[str], str]


def import_promptfoo(tree: Any, name: str, read: Read) -> Imported:
    """Read a configuration.

    Args:
        tree: the decoded YAML or JSON.
        name: for the ids of the cases.
        read: returns the content of a file that the configuration names; raises ``ValueError`` if it may not.
    """
    imported = Imported(name)
    if not isinstance(tree, dict):
        imported.note("file", "not a promptfoo configuration: it has no prompts and tests")
        return imported
    prompts = list(_prompts(tree.get("prompts", []), imported, read))
    default = _test(tree.get("defaultTest"), "defaultTest", imported, read)
    number = 0
    for place, test in _tests(tree, imported, read):
        for variables in _combinations(
            _variables({**default.get("vars", {}), **test.get("vars", {})}, read, place, imported),
            place,
            imported,
        ):
            for label, prompt in prompts:
                number += 1
                where = f"{place}, prompt {label}" if len(prompts) > 1 else place
                _add_case(imported, where, prompt, variables, default, test, tree, read)
    if not number:
        imported.note("file", "no case: it has no prompts, or no tests")
    return imported


def _add_case(
    imported: Imported,
    place: str,
    prompt: Any,
    variables: Mapping[str, Any],
    default: Mapping[str, Any],
    test: Mapping[str, Any],
    tree: Mapping[str, Any],
    read: Read,
) -> None:
    left_out: list[str] = []
    value, open_parts = render(prompt, variables)
    if open_parts:
        left_out.append(f"template: {', '.join(open_parts[:3])} is not filled in; only {{{{variable}}}} is")
    checks = []
    options = {**default.get("options", {}), **test.get("options", {})}
    transform = options.get("transform") or options.get("postprocess")
    before, counted = len(imported.notes), imported.checks
    for raw in [*default.get("assert", []), *test.get("assert", [])]:
        for assertion in _resolved(raw, tree):
            imported.checks += 1
            if transform and isinstance(assertion, dict):
                if "transform" in assertion:
                    imported.note(
                        place, f"{_type_of(assertion)}: transforms of the test and of the assertion"
                    )
                    continue
                assertion = {**assertion, "transform": transform}
            mapped = map_assertion(assertion, variables, imported, place, read)
            if mapped is not None:
                imported.mapped += 1
                checks.append(mapped)
    unread = ("assertScoringFunction", "provider", "providers")
    left_out += [f"{key} is not imported" for key in unread if key in test or key in default]
    if imported.checks > counted and not checks:
        left_out.append(
            "none of its expectations was imported, so it is a candidate; write some and confirm it"
        )
    for text in left_out:
        imported.note(place, text)
    threshold = test.get("threshold", default.get("threshold"))
    imported.add(
        place,
        input=value,
        context=variables.get("context") if isinstance(variables.get("context"), str) else None,
        evaluators=["error"],
        checks=checks,
        status="active" if checks or imported.checks == counted else "candidate",
        threshold=threshold if isinstance(threshold, int | float) else None,
        note=str(test.get("description") or "")[:4000],
        origin={"source": imported.name, "source_id": place, "not_imported": [text for _, text in imported.notes[before:]]},
    )  # fmt: skip


def _type_of(assertion: Any) -> str:
    return str(assertion.get("type", "assertion")) if isinstance(assertion, dict) else "assertion"


def _resolved(raw: Any, tree: Mapping[str, Any]) -> Iterator[Any]:
    """Yield an assertion with its ``$ref`` resolved and its compact form parsed."""
    if isinstance(raw, dict) and isinstance(raw.get("$ref"), str):
        target: Any = tree
        for key in raw["$ref"].removeprefix("#/").split("/"):
            target = target.get(key) if isinstance(target, dict) else None
        yield {
            **(target if isinstance(target, dict) else {"type": raw["$ref"]}),
            **{k: v for k, v in raw.items() if k != "$ref"},
        }
    elif isinstance(raw, str):
        yield parse_compact(raw)
    else:
        yield raw


def render(template: Any, variables: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Fill variables in; return the result, and the parts of templates that remain.

    >>> render("{{ names[0] }}, {{ day.name }}, {{ day | upper }}", {"names": ["Ann"], "day": {"name": "Monday"}})
    ('Ann, Monday, {{ day | upper }}', ['{{ day | upper }}'])
    """
    if isinstance(template, list):
        parts = [render(item, variables) for item in template]
        return [value for value, _ in parts], [text for _, found in parts for text in found]
    if isinstance(template, dict):
        pairs = {key: render(item, variables) for key, item in template.items()}
        return {key: value for key, (value, _) in pairs.items()}, [
            text for _, found in pairs.values() for text in found
        ]
    if not isinstance(template, str):
        return template, []
    spans: list[str] = []
    marked = _VARIABLE.sub(lambda match: _filled(match, variables, spans), template)
    remaining = (
        []
        if not _TEMPLATE.search(_without(marked, spans))
        else re.findall(r"\{\{.*?\}\}|\{%.*?%\}", _without(marked, spans))
    )
    for index, value in enumerate(spans):
        marked = marked.replace(f"\ue000{index}\ue001", value)
    return marked, remaining


def _without(marked: str, spans: list[str]) -> str:
    return re.sub(r"\ue000\d+\ue001", "", marked)


def _filled(match: re.Match[str], variables: Mapping[str, Any], spans: list[str]) -> str:
    value: Any = variables
    for key in re.findall(r"\w+", match[1]):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        else:
            return match[0]
    spans.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return f"\ue000{len(spans) - 1}\ue001"


def _prompts(raw: Any, imported: Imported, read: Read) -> Iterator[tuple[str, Any]]:
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


def _tests(tree: Mapping[str, Any], imported: Imported, read: Read) -> Iterator[tuple[str, dict[str, Any]]]:
    raw = tree.get("tests", [])
    for number, item in enumerate(raw if isinstance(raw, list) else [raw], 1):
        if isinstance(item, str):
            yield from _file_tests(item, imported, read)
        else:
            place = f"test {number}"
            yield place, _test(item, place, imported, read)
    for number, scenario in enumerate(tree.get("scenarios") or [], 1):
        if not isinstance(scenario, dict):
            imported.note(f"scenario {number}", "a scenario in a file is not read")
            continue
        pairs = itertools.product(scenario.get("config") or [{}], scenario.get("tests") or [{}])
        for index, (config, test) in enumerate(itertools.islice(pairs, MAX_COMBINATIONS), 1):
            place = f"scenario {number}.{index}"
            first, second = (_test(part, place, imported, read) for part in (config, test))
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
        yield place, _test(row, place, imported, read)


def _csv_test(row: Mapping[str, Any]) -> dict[str, Any]:
    expected = [value for key, value in row.items() if re.fullmatch(r"__expected\d*", key or "") and value]
    plain = {key: value for key, value in row.items() if key and not key.startswith("__")}
    return {"vars": plain, "assert": expected, "description": row.get("__description") or ""}


def _test(raw: Any, place: str, imported: Imported, read: Read) -> dict[str, Any]:
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


def _variables(variables: Mapping[str, Any], read: Read, place: str, imported: Imported) -> dict[str, Any]:
    """Return variables with the content of their files."""
    filled = {}
    for name, value in variables.items():
        if isinstance(value, str) and value.startswith("file://"):
            try:
                value = read(value.removeprefix("file://"))
            except ValueError as error:
                imported.note(place, f"variable {name}: {value}: {error}")
        filled[str(name)] = value
    return filled


def _combinations(variables: Mapping[str, Any], place: str, imported: Imported) -> Iterator[dict[str, Any]]:
    """Yield the variables, one choice of each list at a time, as promptfoo does."""
    names = [
        name
        for name, value in variables.items()
        if isinstance(value, list) and value and not isinstance(value[0], dict)
    ]
    choices = itertools.product(*(variables[name] for name in names))
    for number, choice in enumerate(choices):
        if number == MAX_COMBINATIONS:
            imported.note(place, f"only the first {MAX_COMBINATIONS} combinations of its lists are imported")
            return
        yield {**variables, **dict(zip(names, choice, strict=True))}
