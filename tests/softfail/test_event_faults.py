"""A refused event names up to five different faults in plain words, with the value and the remedy."""

from __future__ import annotations

import doctest
import json
from typing import Any

import pytest

from schemas.event_decoder import InvalidEvent, decode
from softfail import event_faults

BASE = {"event_id": "1", "time": "2026-03-02T09:00:00Z", "service": "s", "feature": "f", "model": "m"}


def fault(event: Any) -> str:
    with pytest.raises(InvalidEvent) as raised:
        decode(json.dumps(event).encode())
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"service": ""}, "service: is empty, got '' (send at least 1 character)"),
        ({"sample_probability": 1.5}, "sample_probability: is too large, got 1.5 (send at most 1)"),
        (
            {"sample_probability": "half"},
            "sample_probability: is not a number, got 'half' (send a JSON number, without quotation marks)",
        ),
        ({"output_tokens": -2}, "output_tokens: is too small, got -2 (send at least 0)"),
        ({"time": "noon"}, "time: not a time, got 'noon' (send RFC 3339 in UTC, like 2026-03-02T09:00:00Z)"),
    ],
)
def test_a_fault_has_the_field_the_value_and_the_remedy(change: dict[str, Any], text: str) -> None:
    assert fault({**BASE, **change}) == text


def test_missing_fields_are_one_fault_beside_the_others() -> None:
    text = fault({"time": "noon", "service": "s", "sample_probability": 7})
    assert text.split("; ")[0] == "event_id, feature, model: missing (send it with every event)"
    assert "time: not a time" in text
    assert "sample_probability: is too large" in text
    assert "more" not in text


def test_no_more_than_five_faults_are_named_and_a_value_is_cut() -> None:
    wrong = {
        "output_tokens": -1,
        "input_tokens": -1,
        "tool_calls": -1,
        "sample_probability": 7,
        "content_probability": 7,
    }
    text = fault({**BASE, **wrong, "service": "s" * 400, "feature": "\x1b[31m" * 80})
    assert text.count(", got ") == 5
    assert text.endswith(" (and 2 more)")
    assert len(text) < 700
    assert "\x1b" not in text


def test_the_doctests_pass() -> None:
    assert doctest.testmod(event_faults).failed == 0


def test_a_quote_has_no_half_of_a_card_number_behind_a_long_secret() -> None:
    begin, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    body = "A" * (event_faults._QUOTED_CHARS - len(f"'{begin}{end} 4111 1111"))
    value = f"{begin}{body}{end} 4111 1111 1111 1111" + " x" * 100
    assert len(value) > event_faults._QUOTED_CHARS
    assert "4111" not in fault({**BASE, "time": value})
    assert "4111" not in event_faults.quote_value(value)
