"""Data sets of other tools: OpenAI evals, Langfuse, LangSmith, DeepEval, Braintrust and inspect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.golden.importers.imported import Imported, as_input, as_text

_FILES = "files, setup or sandbox are not imported; the target must have them"


def _records(tree: Any, *keys: str) -> list[Any]:
    """Return the records of a file: a list, the lines of NDJSON, or the list below one of some keys."""
    if isinstance(tree, dict):
        for key in keys:
            if isinstance(tree.get(key), list):
                return list(tree[key])
        return [tree]
    return list(tree) if isinstance(tree, list) else []


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str) and item]


def _tags(value: Any) -> list[str]:
    return [tag[:256] for tag in _texts(value or [])][:32]


def _each(tree: Any, imported: Imported, *keys: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (place, record) of the records that are objects; note the others."""
    found = []
    for number, record in enumerate(_records(tree, *keys), 1):
        place = f"record {number}"
        if isinstance(record, dict):
            found.append((place, record))
        else:
            imported.note(place, "no case: not an object")
    return found


def import_openai_evals(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read samples of OpenAI evals: ``input`` and ``ideal``.

    The class of an eval is in its registry, not in the samples, so an ideal answer becomes the check of the class
    ``Includes``; change it where the eval used ``Match`` (``starts_with``).
    """
    imported = Imported(name)
    for place, record in _each(tree, imported):
        ideal = _texts(record.get("ideal"))
        imported.checks += "ideal" in record
        checks = [{"type": "contains_any", "value": ideal}] if ideal else []
        imported.mapped += bool(checks)
        if "ideal" in record and not ideal:
            imported.note(place, "ideal: is no text; write the check by hand")
        imported.add(
            place, input=as_input(record.get("input")), reference=ideal[0] if ideal else None, evaluators=["error"],
            checks=checks, origin={"source": name, "source_id": place},
        )  # fmt: skip
    return imported


def import_langfuse(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read items of a Langfuse data set, as its API and its export give them. Archived items are noted."""
    imported = Imported(name)
    for place, record in _each(tree, imported, "data", "items"):
        if record.get("status") == "ARCHIVED":
            imported.note(place, f"item {record.get('id', '')} is archived")
            continue
        expected = record.get("expectedOutput", record.get("expected_output"))
        trace = record.get("sourceTraceId") or record.get("source_trace_id") or ""
        imported.add(
            place, str(record.get("id") or ""), input=as_input(record.get("input")), reference=as_text(expected),
            origin={"source": str(record.get("datasetName") or name), "source_id": str(record.get("id") or ""), "trace_id": str(trace)},
        )  # fmt: skip
    return imported


def import_langsmith(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read examples of LangSmith: ``inputs``, ``outputs``, ``metadata``, ``split``."""
    imported = Imported(name)
    for place, record in _each(tree, imported, "examples"):
        split = record.get("split") or (record.get("metadata") or {}).get("dataset_split") or []
        imported.add(
            place, str(record.get("id") or ""), input=as_input(record.get("inputs")), reference=as_text(record.get("outputs")),
            tags=_tags(split), origin={"source": name, "source_id": str(record.get("id") or "")},
        )  # fmt: skip
    return imported


def import_deepeval(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read goldens of DeepEval. Conversations, and expected tools, cannot be mapped and are noted."""
    imported = Imported(name)
    for place, record in _each(tree, imported, "goldens"):
        if "scenario" in record or "turns" in record:
            imported.note(place, "a conversation that a simulator leads; write its turns as messages")
            continue
        if record.get("expected_tools"):
            imported.checks += 1
            imported.note(place, "expected_tools: there is no check of called tools")
        context = _texts(record.get("retrieval_context") or record.get("context") or [])
        imported.add(
            place, str(record.get("name") or ""), input=as_input(record.get("input")), reference=as_text(record.get("expected_output")),
            context="\n\n".join(context), origin={"source": str(record.get("source_file") or name), "source_id": place},
        )  # fmt: skip
    return imported


def import_braintrust(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read records of Braintrust: ``input``, ``expected``, ``metadata``, ``tags``, ``id``."""
    imported = Imported(name)
    for place, record in _each(tree, imported, "rows", "events"):
        imported.add(
            place, str(record.get("id") or ""), input=as_input(record.get("input")), reference=as_text(record.get("expected")),
            tags=_tags(record.get("tags")), origin={"source": name, "source_id": str(record.get("id") or "")},
        )  # fmt: skip
    return imported


def import_inspect(tree: Any, name: str, read: Callable[[str], str]) -> Imported:
    """Read samples of inspect: ``input``, ``target``, ``choices``, ``metadata``, ``id``.

    The scorer is in the task, not in the samples; a target becomes the check of the scorer ``includes``.
    """
    imported = Imported(name)
    for place, record in _each(tree, imported, "samples"):
        target = _texts(record.get("target"))
        imported.checks += bool(target)
        imported.mapped += bool(target)
        if any(record.get(field) for field in ("files", "setup", "sandbox")):
            imported.note(place, _FILES)
        value = as_input(record.get("input"))
        if record.get("choices"):
            options = "\n".join(
                f"{chr(65 + n)}) {choice}" for n, choice in enumerate(_texts(record["choices"])[:26])
            )
            if isinstance(value, str):
                value = f"{value}\n\n{options}"
            else:
                imported.note(place, "choices: only a text input can show them")
        imported.add(
            place, str(record.get("id") or ""), input=value, reference=target[0] if target else None, evaluators=["error"],
            checks=[{"type": "icontains_any", "value": target}] if target else [],
            origin={"source": name, "source_id": str(record.get("id") or "")},
        )  # fmt: skip
    return imported
