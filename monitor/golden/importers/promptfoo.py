"""Read promptfoo configurations: prompts times tests become cases, assertions become checks.

Source: promptfoo's documentation, "Test cases", "Assertions & metrics" and "Deterministic metrics".
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from monitor.golden.importers.imported import Imported
from monitor.golden.importers.promptfoo_assertions import map_assertion, parse_compact
from monitor.golden.importers.promptfoo_files import MAX_COMBINATIONS, Read, prompts_of, test_of, tests_of

_VARIABLE = re.compile(r"\{\{-?\s*([\w.\[\]]+)\s*-?\}\}")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")


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
    prompts = list(prompts_of(tree.get("prompts", []), imported, read))
    default = test_of(tree.get("defaultTest"), "defaultTest", imported, read)
    number = 0
    for place, test in tests_of(tree, imported, read):
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
