"""Map promptfoo's assertions to checks; name those that cannot be mapped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from monitor.golden.expression_checks import expression_fault
from monitor.golden.importers.imported import Imported, read_tree

_PLAIN = {
    "equals": "equals",
    "contains": "contains",
    "icontains": "icontains",
    "starts-with": "starts_with",
    "regex": "regex",
    "is-json": "is_json",
    "contains-json": "contains_json",
    "is-xml": "is_xml",
    "contains-xml": "contains_xml",
    "is-html": "is_html",
    "contains-html": "contains_html",
    "levenshtein": "levenshtein",
    "word-count": "word_count",
    "is-refusal": "refusal",
    "finish-reason": "finish_reason",
    "contains-any": "contains_any",
    "contains-all": "contains_all",
    "icontains-any": "icontains_any",
    "icontains-all": "icontains_all",
    "rouge-n": "rouge_1",
}
_RUBRICS: dict[str, str] = {
    "llm-rubric": "{value}",
    "g-eval": "{value}",
    "model-graded-closedqa": "The answer meets this criterion: {value}",
    "factuality": "The answer states no fact that contradicts this one: {value}",
    "model-graded-factuality": "The answer states no fact that contradicts this one: {value}",
    "answer-relevance": "The answer is relevant to the question.",
    "context-faithfulness": "The context supports every statement of the answer.",
    "context-recall": "The context contains this: {value}",
    "context-relevance": "The context is relevant to the question.",
    "conversation-relevance": "The answer is relevant to the conversation.",
}
_UNMAPPED = {
    "similar": "needs an embedding model; write a rubric",
    "python": "runs code; write an evaluator of your own (docs/own-evaluators.md)",
    "ruby": "runs code; write an evaluator of your own (docs/own-evaluators.md)",
    "webhook": "calls an address; write an evaluator of your own (docs/own-evaluators.md)",
    "select-best": "compares targets with each other",
    "max-score": "compares targets with each other",
}
_LISTS = ("contains-any", "contains-all", "icontains-any", "icontains-all")
_SCHEMAS = ("is-json", "contains-json")
_COMPACT = re.compile(r"(?:(not-)?([a-z][a-z0-9:-]*))(?:\(([\d.]+)\))?:\s*(.*)", re.DOTALL)
Read = Callable[[str], str]


def parse_compact(text: str) -> dict[str, Any]:
    """Return the assertion of an ``__expected`` column.

    >>> parse_compact("not-contains: a"), parse_compact("levenshtein(3): a"), parse_compact("Paris")
    ({'type': 'not-contains', 'value': 'a'}, {'type': 'levenshtein', 'value': 'a', 'threshold': 3.0}, {'type': 'equals', 'value': 'Paris'})
    """
    text = text.strip()
    for prefix, kind in (("grade:", "llm-rubric"), ("fn:", "javascript"), ("eval:", "javascript")):
        if text.startswith(prefix):
            return {"type": kind, "value": text.removeprefix(prefix).strip()}
    match = _COMPACT.fullmatch(text)
    known = {*_PLAIN, *_RUBRICS, *_UNMAPPED, "javascript", "latency", "cost"}
    if match is None or match[2] not in known:
        bare = text.removeprefix("not-")
        if bare in ("is-json", "contains-json", "is-refusal", "is-xml", "is-html"):
            return {"type": text}
        return {"type": "equals", "value": text}
    assertion: dict[str, Any] = {"type": (match[1] or "") + match[2], "value": match[4]}
    if match[2] in _LISTS:
        assertion["value"] = [part.strip() for part in match[4].split(",")]
    if match[3]:
        assertion["threshold"] = float(match[3])
    return assertion


def map_assertion(
    assertion: Any, variables: Mapping[str, Any], imported: Imported, place: str, read: Read
) -> dict[str, Any] | None:
    """Return the check of an assertion; None, with a note, if there is none."""
    if not isinstance(assertion, dict) or not isinstance(assertion.get("type"), str):
        imported.note(place, "an assertion without a type")
        return None
    kind = assertion["type"]
    plain = kind.removeprefix("not-")
    if fault := _fault(assertion, plain):
        imported.note(place, f"{kind}: {fault}")
        return None
    if plain == "assert-set":
        return _group(assertion, variables, imported, place, read)
    try:
        tree = _mapped(plain, assertion, variables, read)
    except ValueError as error:
        imported.note(place, f"{kind}: {error}")
        return None
    if kind != plain:
        tree["negate"] = True
    if isinstance(transform := assertion.get("transform"), str):
        if fault := expression_fault(transform):
            imported.note(place, f"{kind}: transform: {fault}")
            return None
        tree["transform"] = transform
    weight = assertion.get("weight")
    if isinstance(weight, int | float) and not isinstance(weight, bool) and weight != 1:
        if not weight:
            imported.note(place, f"{kind}: weight 0 decides nothing in promptfoo, so it was left out")
            return None
        tree["weight"] = float(weight)
    return imported.check(place, tree)


def _fault(assertion: Mapping[str, Any], plain: str) -> str:
    if plain in _UNMAPPED:
        return _UNMAPPED[plain]
    if (
        plain not in _PLAIN
        and plain not in _RUBRICS
        and plain not in ("latency", "cost", "assert-set", "javascript")
    ):
        return "there is no such check"
    if "contextTransform" in assertion:
        return "contextTransform reads what the provider returned beside the answer"
    if "rubricPrompt" in assertion:
        return "has a grading prompt of its own; write what it asks for as a rubric"
    return ""


def _mapped(
    plain: str, assertion: Mapping[str, Any], variables: Mapping[str, Any], read: Read
) -> dict[str, Any]:
    value, threshold = _value(assertion.get("value"), variables, read), assertion.get("threshold")
    if plain == "javascript":
        return _javascript(value, variables, threshold)
    if plain in ("latency", "cost"):
        if not isinstance(threshold, int | float):
            raise ValueError("has no threshold")
        return {"type": f"{plain}_s", "threshold": threshold / 1000} if plain == "latency" else {"type": "cost_usd", "threshold": float(threshold)}  # fmt: skip
    if plain in _RUBRICS:
        text = "\n".join(map(str, value)) if isinstance(value, list) else value
        if "{value}" in _RUBRICS[plain] and not isinstance(text, str):
            raise ValueError("has no text")
        return {"type": "rubric", "value": _RUBRICS[plain].replace("{value}", str(text))}
    tree: dict[str, Any] = {"type": _PLAIN[plain]}
    if plain in _LISTS:
        parts = value if isinstance(value, list) else str(value).split(",") if value is not None else []
        tree["value"] = [_scalar(part).strip() for part in parts]
    elif plain in _SCHEMAS:
        tree["value"] = _schema(value)
    elif plain == "equals":
        tree["value"] = value if isinstance(value, dict | list | str) else _scalar(value)
    elif plain == "word-count":
        tree["value"] = value
    elif plain in ("is-xml", "contains-xml") and value is not None:
        raise ValueError("required elements are not checked")
    elif plain in ("is-refusal", "is-html", "contains-html", "is-xml", "contains-xml"):
        pass
    elif value is not None:
        tree["value"] = _scalar(value)
    if plain in ("levenshtein", "rouge-n") and isinstance(threshold, int | float):
        tree["threshold"] = float(threshold)
    return {key: item for key, item in tree.items() if item is not None}


def _scalar(value: Any) -> str:
    """Return a value as promptfoo compares it: numbers and booleans as JavaScript writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    raise ValueError("the value is no text")


def _value(value: Any, variables: Mapping[str, Any], read: Read) -> Any:
    from monitor.golden.importers.promptfoo import render

    if isinstance(value, str) and value.startswith("file://"):
        path = value.removeprefix("file://")
        if not path.endswith((".json", ".yaml", ".yml", ".txt", ".md")):
            raise ValueError(f"{path} is code, which is not run")
        content = read(path)
        return content if path.endswith((".txt", ".md")) else read_tree(content)
    filled, remaining = render(value, variables)
    if remaining:
        raise ValueError(f"the template {remaining[0]} is not filled in; only {{{{variable}}}} is")
    return filled


def _schema(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = read_tree(value)
        except ValueError:
            raise ValueError("the schema is no YAML") from None
    return json.loads(json.dumps(value))


def _javascript(value: Any, variables: Mapping[str, Any], threshold: Any) -> dict[str, Any]:
    """Return code as a check if all of it is supported."""
    code = value if isinstance(value, str) else json.dumps(value)
    if fault := expression_fault(code):
        raise ValueError(f"{fault}; write an evaluator of your own (docs/own-evaluators.md)")
    used = {name: item for name, item in variables.items() if re.search(rf"\b{re.escape(name)}\b", code)}
    tree: dict[str, Any] = {"type": "expression", "value": {"code": code, "vars": used} if used else code}
    if isinstance(threshold, int | float):
        tree["threshold"] = float(threshold)
    return tree


def _group(
    assertion: Mapping[str, Any], variables: Mapping[str, Any], imported: Imported, place: str, read: Read
) -> dict[str, Any] | None:
    """Return a set of assertions as a group. All of its parts must be mapped, or it would decide otherwise."""
    parts = assertion.get("assert") if isinstance(assertion.get("assert"), list) else []
    mapped = [map_assertion(part, variables, imported, place, read) for part in parts or []]
    if not mapped or None in mapped:
        imported.note(place, "assert-set: a part of it cannot be imported, so the set is not")
        return None
    tree: dict[str, Any] = {"type": "all_of", "checks": mapped}
    if isinstance(assertion.get("threshold"), int | float):
        tree["threshold"] = float(assertion["threshold"])
    if isinstance(assertion.get("weight"), int | float) and assertion["weight"] != 1:
        tree["weight"] = float(assertion["weight"])
    return imported.check(place, tree)
