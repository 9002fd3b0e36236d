"""One odd optional field costs that field; what is required, weighs the event or was counted wrongly costs the event."""

from __future__ import annotations

import doctest
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest

from softfail import field_repair
from softfail.events import KINDS
from softfail.field_repair import repair

BASE = {"kind": "response", "event_id": "1", "time": "t", "service": "s", "feature": "f", "model": "m"}


class Tier(enum.Enum):
    GOLD = "gold"


def repaired(**change: Any) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    fields, left_out = repair("response", {**BASE, **change})
    return {name: fields.get(name) for name in change}, set(left_out)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"output_tokens": 812.0}, {"output_tokens": 812}),
        ({"attempt": 2.0}, {"attempt": 2}),
        ({"output_tokens": Decimal(5)}, {"output_tokens": 5}),
        ({"dimensions": {"tenant": 42, "tier": None}}, {"dimensions": {"tenant": "42"}}),
        ({"dimensions": {"tier": Tier.GOLD, 7: "x"}}, {"dimensions": {"tier": "gold", "7": "x"}}),
        ({"dimensions": {"beta": True}}, {"dimensions": {"beta": "true"}}),
        ({"prompt_version": 7}, {"prompt_version": "7"}),
        ({"prompt_version": 1.5}, {"prompt_version": "1.5"}),
        ({"session_id": uuid.UUID(int=5)}, {"session_id": "00000000-0000-0000-0000-000000000005"}),
        ({"event_id": 12345}, {"event_id": "12345"}),
        ({"finish_reason": ["length"]}, {"finish_reason": '["length"]'}),
        ({"duration_s": -0.0004}, {"duration_s": 0.0}),
        ({"time_to_first_token_s": -1e-9}, {"time_to_first_token_s": 0.0}),
        ({"stages_s": {"retrieve": -0.001, "rank": 2}}, {"stages_s": {"retrieve": 0.0, "rank": 2}}),
        ({"cold_start": 1}, {"cold_start": True}),
        ({"outcome": "OK"}, {"outcome": "ok"}),
        ({"variant": None}, {"variant": None}),
        ({"environment": ""}, {"environment": None}),
    ],
)
def test_a_value_that_has_one_meaning_is_read_and_not_counted(
    change: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert repaired(**change) == (expected, set())


@pytest.mark.parametrize(
    ("change", "kept", "reason"),
    [
        ({"duration_s": "1.2"}, None, "not_a_number"),
        ({"duration_s": -5}, None, "out_of_range"),
        ({"duration_s": 1e9}, None, "out_of_range"),
        ({"duration_s": True}, None, "not_a_number"),
        ({"cost_usd": float("nan")}, None, "not_finite"),
        ({"cost_usd": float("inf")}, None, "not_finite"),
        ({"cost_usd": -0.01}, None, "out_of_range"),
        ({"output_tokens": "812"}, None, "not_a_number"),
        ({"output_tokens": float("nan")}, None, "not_finite"),
        ({"output_tokens": 10**12}, None, "out_of_range"),
        ({"attempt": 0}, None, "out_of_range"),
        ({"sequence": -1}, None, "out_of_range"),
        ({"degradation_level": 6}, None, "out_of_range"),
        ({"output": {"text": "Yes."}}, None, "not_text"),
        ({"output": 7}, None, "not_text"),
        ({"provider": {"name": "x"}}, None, "not_text"),
        ({"session_id": float("nan")}, None, "not_finite"),
        ({"interaction": "batch"}, None, "not_allowed"),
        ({"guardrail": 3}, None, "not_allowed"),
        ({"cache_hit": "yes"}, None, "not_allowed"),
        ({"dimensions": ["a"]}, None, "not_an_object"),
        ({"dimensions": {"region": ["a"], "tier": "x"}}, {"tier": "x"}, "not_text"),
        ({"stages_s": {"a": "x", "b": 1.0}}, {"b": 1.0}, "not_a_number"),
        ({"dimensions": {"": "x", "tier": "y"}}, {"tier": "y"}, "no_name"),
        ({"dimensions": {f"d{n}": "x" for n in range(40)}}, {f"d{n}": "x" for n in range(32)}, "too_many"),
        ({"dimensions": {"url": "u" * 300}}, {"url": "u" * 256}, "too_long"),
        ({"error_type": "E" * 999}, "E" * 256, "too_long"),
        ({"model": "m" * 999}, "m" * 256, "too_long"),
        ({"schema_version": "1.0"}, None, "not_a_number"),
    ],
)
def test_an_odd_optional_value_is_left_out_or_cut_and_counted_by_field_and_reason(
    change: dict[str, Any], kept: Any, reason: str
) -> None:
    (name,) = change
    assert repaired(**change) == ({name: kept}, {(name, reason)})


@pytest.mark.parametrize(
    "change",
    [
        {"output_tokens": 812.5},
        {"output_tokens": -3},
        {"tool_calls": -1},
        {"sample_probability": 0},
        {"sample_probability": "0.5"},
        {"content_probability": 1.01},
        {"base_probability": 2.0},
        {"time": "yesterday"},
        {"service": "s" * 300},
        {"feature": ""},
        {"service": {"a": 1}},
        {"model": None},
    ],
)
def test_what_is_required_weighs_or_was_counted_wrongly_is_left_to_validation(change: dict[str, Any]) -> None:
    assert repaired(**change) == (change, set())


def test_half_characters_become_replacement_characters_and_are_counted() -> None:
    fields, left_out = repair(
        "response", {**BASE, "output": "on its way \ud83d", "dimensions": {"a": "\udc4d"}}
    )
    assert fields["output"] == "on its way \ufffd"
    assert fields["dimensions"] == {"a": "\ufffd"}
    assert set(left_out) == {("output", "half_character"), ("dimensions", "half_character")}


def test_two_halves_of_one_character_are_that_character() -> None:
    assert repaired(output="\ud83d\ude00") == ({"output": "\U0001f600"}, set())


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_is_repaired_or_validated(kind: str) -> None:
    for name in KINDS[kind].model_fields:
        for value in ("x", 1, 1.5, True, None, [], {}, object()):
            fields, left_out = repair(kind, {"kind": kind, name: value})
            assert all(field == name for field, _ in left_out)
            assert set(fields) <= {"kind", name}


def test_the_doctests_pass() -> None:
    assert doctest.testmod(field_repair).failed == 0
