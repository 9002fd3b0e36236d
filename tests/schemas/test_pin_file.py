"""Pinned references in the configuration: files that are loaded once; errors name the remedy."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from schemas import pin_file
from schemas.config.load import InvalidConfig, load
from schemas.pin_file import pinned_name

SERIES: dict[str, Any] = {
    "events": 600,
    "start": "2026-03-02T09:00:00Z",
    "end": "2026-03-02T10:00:00Z",
    "blocks": [{"start": "2026-03-02T09:00:00Z", "pane": b64encode(b"pane").decode()}],
    "texts": {},
}
PIN: dict[str, Any] = {
    "record": "pin",
    "name": "march",
    "from": "2026-03-02T09:00:00Z",
    "to": "2026-03-03T09:00:00Z",
    "layout": 2,
    "histogram_scale": 5,
    "text_sketch": 1,
    "events": 600,
    "features": [
        {
            "service": "bot",
            "feature": "answer",
            "environment": "production",
            "evaluators": {},
            "whole": SERIES,
            "segments": [],
        }
    ],
}
CONFIG = "pinned: {march: {file: pinned/march.json}}\ndrift: [{name: since-march, reference: pinned march}]\n"
REMEDY = "create it with: python -m monitor baseline pin march --from TIME --to TIME FILES"


def write_config(folder: Path, text: str, pin: str | None = json.dumps(PIN)) -> Path:
    (folder / "pinned").mkdir(exist_ok=True)
    if pin is not None:
        (folder / "pinned" / "march.json").write_text(pin)
    (folder / "softfail.yaml").write_text(text)
    return folder / "softfail.yaml"


def faults(folder: Path, text: str = CONFIG, pin: str | None = json.dumps(PIN)) -> list[str]:
    with pytest.raises(InvalidConfig) as raised:
        load(write_config(folder, text, pin), {})
    return raised.value.faults


def test_a_pin_file_is_read_relative_to_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    config = load(write_config(tmp_path, CONFIG), {})
    pin = config.pinned["march"].pin
    assert pin is not None
    assert (pin.name, pin.features[0].whole.blocks[0].pane) == ("march", b"pane")
    assert pinned_name(config.drift[0].reference) == "march"
    assert "blocks" not in repr(config)


def test_making_a_pin_does_not_need_the_pin(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, CONFIG, None), {}, with_pins=False)
    assert config.pinned["march"].pin is None


@pytest.mark.parametrize(
    ("pin", "fault"),
    [
        (None, f"cannot be read: No such file or directory; {REMEDY}"),
        (
            "{",
            f"is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); "
            f"{REMEDY}",
        ),
        ('{"record": "window"}', f"is not a pin file; {REMEDY}"),
        ("[]", f"is not a pin file; {REMEDY}"),
        (
            json.dumps({**PIN, "layout": "two"}),
            f"is not a valid pin: layout: must be a whole number; {REMEDY}",
        ),
        (
            json.dumps({**PIN, "from": "March"}),
            f"is not a valid pin: from: not a time; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z; "
            f"{REMEDY}",
        ),
        (
            json.dumps({**PIN, "features": [{**PIN["features"][0], "whole": {**SERIES, "blocks": []}}]}),
            f"is not a valid pin: features[0].whole.blocks: must have 1 or more entries; {REMEDY}",
        ),
        (
            json.dumps({**PIN, "name": "june"}),
            f"is the pin 'june'; write pinned: {{june: {{file: ...}}}}, or {REMEDY}",
        ),
    ],
)
def test_an_invalid_file_is_a_single_fault_with_the_remedy(
    tmp_path: Path, pin: str | None, fault: str
) -> None:
    assert faults(tmp_path, CONFIG, pin) == [f"pinned.march.file: pinned/march.json {fault}"]


def test_a_file_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin_file, "MAX_BYTES", 1 << 20)
    (tmp_path / "pinned").mkdir()
    (tmp_path / "pinned" / "march.json").symlink_to("/dev/zero")
    message = f"pinned.march.file: pinned/march.json is not JSON: it has more than 1 MiB; {REMEDY}"
    assert faults(tmp_path, CONFIG, None) == [message]


def test_a_reference_to_an_unpinned_feature_is_a_fault(tmp_path: Path) -> None:
    text = CONFIG.replace("reference: pinned march", "reference: pinned may")
    assert faults(tmp_path, text) == [
        "drift[0].reference: there is no 'may' under pinned (march); write pinned: {may: {file:"
        " pinned/may.json}}"
    ]
    assert faults(tmp_path, "drift: [{name: a, reference: pinned may}]") == [
        "drift[0].reference: there is no 'may' under pinned (nothing is); write pinned: {may: {file:"
        " pinned/may.json}}"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pinned: {march: {fiel: x.json}}", "pinned.march.fiel: no such key; did you mean 'file'?"),
        ("pinned: {march: {}}", "pinned.march.file: is missing; add it"),
        (
            "pinned: {march: {file: pinned/march.json, pin: {}}}",
            "pinned.march.pin: no such key; there is: file",
        ),
        (
            "pinned: {a b: {file: pinned/march.json}}",
            "pinned.a b.file: pinned/march.json is the pin 'march'; write pinned: {march: {file: ...}}",
        ),
        ("pinned: {march: 3}", "pinned.march: "),
        ("pinned: [march]", "pinned: "),
    ],
)
def test_an_invalid_section_is_reported_with_its_path(tmp_path: Path, text: str, fault: str) -> None:
    assert any(item.startswith(fault) for item in faults(tmp_path, text))


def test_a_path_in_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("pinned/march.json", "elsewhere.json"))
    assert load(path, {"SOFTFAIL_PINNED__MARCH__FILE": "pinned/march.json"}).pinned["march"].pin is not None
