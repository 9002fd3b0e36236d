from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from schemas.config.monitor_config import Config
from schemas.event_decoder import InvalidEvent, decode, read_event
from schemas.generate import __main__ as generate
from softfail.events import KINDS

_LABELS = {
    "event_id": "1",
    "time": "2026-03-02T09:00:00Z",
    "service": "bot",
    "feature": "answer",
    "model": "m",
}
_LEAST = {
    "response": _LABELS,
    "feedback": {**_LABELS, "kind": "feedback", "response_id": "1"},
    "evaluation": {**_LABELS, "kind": "evaluation", "response_id": "1", "evaluator": "judge"},
    "meter": {
        **_LABELS,
        "kind": "meter",
        "producer_id": "p",
        "started_at": "2026-03-02T09:00:00Z",
        "seen": 1,
        "sampled": 1,
        "sent": 1,
        "dropped": 0,
    },
}
_VALUES = (
    None,
    True,
    0,
    1,
    -1,
    1.5,
    6,
    10**10,
    2**60,
    "",
    "none",
    "x" * 257,
    [],
    ["a"],
    {},
    {"a": 1},
    {"a": -1},
    {"a": "b"},
    {"": "b"},
    {"a": None},
)


def _decodes(event: dict) -> bool:
    try:
        decode(json.dumps(event).encode())
    except InvalidEvent:
        return False
    return True


def _unchanged(event: dict) -> bool:
    """Return whether the decoder reads an event without a change but for values of one meaning."""
    try:
        return not read_event(json.dumps(event).encode())[1]
    except InvalidEvent:
        return False


def test_the_generated_files_are_fresh():
    assert generate.stale() == [], "run: python -m schemas.generate"


def test_changed_missing_and_leftover_files_are_stale(tmp_path: Path):
    for path, text in generate.generated().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    assert generate.stale(tmp_path) == []
    (tmp_path / "schemas/json/window.json").write_text("{}", "utf-8")
    (tmp_path / "docs/events.md").unlink()
    shutil.copy(tmp_path / "schemas/json/meter.json", tmp_path / "schemas/json/gone.json")
    assert [path.as_posix() for path in generate.stale(tmp_path)] == [
        "docs/events.md",
        "schemas/json/gone.json",
        "schemas/json/window.json",
    ]


@pytest.mark.parametrize("name", generate.MODELS)
def test_every_file_is_a_valid_json_schema_with_its_own_id(name: str):
    schema = generate.json_schema(name)
    Draft202012Validator(schema)
    assert schema["$id"] == f"urn:softfail:schema:{name}:1"


def test_each_published_model_has_one_file():
    promised = {
        "response",
        "feedback",
        "evaluation",
        "meter",
        "window",
        "transition",
        "episode",
        "sample",
        "deadletter",
        "health",
        "silence",
        "change",
        "judged",
        "config",
    }
    assert {path.stem for path in (generate.ROOT / "schemas/json").glob("*.json")} == promised


@pytest.mark.parametrize("kind", KINDS)
def test_the_decoder_leaves_out_nothing_that_the_schema_accepts(kind: str):
    validator = Draft202012Validator(generate.json_schema(kind))
    assert validator.is_valid(_LEAST[kind])
    assert _decodes(_LEAST[kind])
    differing = [
        (field, value)
        for field in (*KINDS[kind].model_fields, "unknown")
        # `format` only annotates; another kind is another schema
        if field not in ("time", "started_at", "kind")
        for value in _VALUES
        if validator.is_valid(event := {**_LEAST[kind], field: value}) and not _unchanged(event)
    ]
    assert differing == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_value_costs_the_event_only_in_a_required_field_a_weight_or_a_count(kind: str):
    validator = Draft202012Validator(generate.json_schema(kind))
    refused = {
        field
        for field in KINDS[kind].model_fields
        for value in _VALUES
        if not validator.is_valid(event := {**_LEAST[kind], field: value}) and not _decodes(event)
    }
    assert refused <= {
        *(name for name, info in KINDS[kind].model_fields.items() if info.is_required()),
        *("kind", "sample_probability", "content_probability", "base_probability", "tool_calls"),
        *(name for name in KINDS[kind].model_fields if name.endswith(("_tokens", "_chars"))),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_without_a_required_field_is_refused_by_schema_and_decoder(kind: str):
    validator = Draft202012Validator(generate.json_schema(kind))
    for field in set(_LEAST[kind]) - {"kind"}:
        event = {name: value for name, value in _LEAST[kind].items() if name != field}
        assert validator.is_valid(event) == _decodes(event), field


def test_the_page_names_every_field_of_every_kind():
    page = generate.generated()[Path("docs/events.md")]
    assert [
        name for model in KINDS.values() for name in model.model_fields if f"| `{name}` |" not in page
    ] == []


def test_the_configuration_schema_accepts_valid_files_and_refuses_misspelt_keys():
    validator = Draft202012Validator(generate.json_schema("config"))
    written = {
        "time": {"pane": "60s"},
        "rules": [{"name": "slow", "on": "duration_s.p90", "above": "budget", "window": "10m", "for": 60}],
    }
    Config.model_validate(written)
    assert validator.is_valid(written)
    assert not validator.is_valid({"tmie": {}})
