"""Two decoders of one contract: pydantic accepts every event of the fast decoder, with equal values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.event_decoder import STRUCTS, InvalidEvent, decode, read_event, read_exactly
from softfail.events import KINDS, Event
from tests.tiers import examples

BASE = {"event_id": "1", "time": "2026-03-02T09:00:00Z", "service": "s", "feature": "f", "model": "m"}
MORE = {
    "response": {},
    "feedback": {"response_id": "r"},
    "evaluation": {"response_id": "r", "evaluator": "judge"},
    "meter": {
        "producer_id": "p",
        "started_at": "2026-03-02T08:00:00Z",
        "seen": 3,
        "sampled": 2,
        "sent": 1,
        "dropped": 0,
    },
}
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.text(max_size=300),
    st.just("x" * 257),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.one_of(st.text(max_size=4), st.floats(0, 9)), max_size=3),
    st.sampled_from(
        [
            "sync",
            "ok",
            "none",
            "model",
            "response",
            "feedback",
            "2026-03-02T09:00:00Z",
            "",
            0,
            1,
            0.5,
            1.0,
            1e-9,
            5,
            2**53,
        ]
    ),
)
TIMES = st.one_of(
    st.datetimes(
        datetime(1, 1, 1),
        datetime(9999, 12, 31),
        timezones=st.builds(lambda m: timezone(timedelta(minutes=m)), st.integers(-1439, 1439)),
    ).map(lambda time: time.isoformat()),
    st.from_regex(
        r"20\d\d-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,12})?([Zz]|[+-]\d\d:?\d\d)?",
        fullmatch=True,
    ),
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(sorted(KINDS)))
    fields = sorted(KINDS[kind].model_fields)
    event: dict[str, Any] = {"kind": kind, **BASE, **MORE[kind]}
    event.update(draw(st.dictionaries(st.sampled_from([*fields, "unknown"]), ANYTHING, max_size=5)))
    if draw(st.booleans()):
        event["time"] = draw(TIMES)
    for name in draw(st.lists(st.sampled_from(sorted(event)), max_size=1)):
        del event[name]
    return json.dumps(event).encode()


@settings(max_examples=examples(4))
@given(documents())
@example(json.dumps(BASE | {"time": "2026-03-02T09:00:00.1234565Z"}).encode())
@example(json.dumps(BASE | {"time": "2026-12-31T23:59:59.9999999Z"}).encode())
@example(json.dumps(BASE | {"time": "0001-01-01T00:00:00+14:00"}).encode())
@example(json.dumps(BASE | {"duration_s": 3}).encode())
def test_the_fast_decoder_equals_pydantic(document: bytes) -> None:
    try:
        exact: Event | None = read_exactly(document)[0]
    except InvalidEvent:
        exact = None
    try:
        fast = decode(document)
    except InvalidEvent:
        fast = None
    assert (fast is None) == (exact is None)
    if exact is not None:
        for name in type(exact).model_fields:
            assert getattr(fast, name) == getattr(exact, name), name


def test_a_plain_event_uses_the_fast_decoder() -> None:
    for kind, more in MORE.items():
        assert type(decode(json.dumps({"kind": kind, **BASE, **more}).encode())) is STRUCTS[kind]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": None}, "model"),
        ({"service": ""}, "service"),
        ({"service": "x" * 257}, "service"),
        ({"output_tokens": -1}, "output_tokens"),
        ({"output_tokens": 1.5}, "output_tokens"),
        ({"sample_probability": 0}, "sample_probability"),
        ({"content_probability": 1.01}, "content_probability"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-03-02T09:00:00"}, "time"),
        ({"time": 1_700_000_000}, "time"),
        ({"time": "0001-01-01T00:00:00Z"}, "time"),
        ({"kind": "trace"}, "kind"),
    ],
)
def test_an_error_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        decode(json.dumps({**BASE, **change}).encode())
    assert raised.value.field == field
    assert str(raised.value).startswith(field)


def line(**change: Any) -> bytes:
    return json.dumps({**BASE, **change}).encode()


def test_an_odd_optional_field_is_left_out_and_reported() -> None:
    event, left_out = read_event(
        line(duration_s="1", interaction="batch", output="Yes.", error_type="E" * 300)
    )
    assert (event.duration_s, event.interaction, event.output) == (None, None, "Yes.")
    assert event.error_type == "E" * 256
    assert sorted(left_out) == [
        ("duration_s", "not_a_number"),
        ("error_type", "too_long"),
        ("interaction", "not_allowed"),
    ]


def test_a_plain_event_reports_nothing() -> None:
    assert read_event(line(output_tokens=3))[1] == ()


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (b"\xef\xbb\xbf" + line(output="Yes."), "Yes."),
        (line(output="half \ud83d"), "half \ufffd"),
        (line(output="Yes.")[:-2] + b' \xed\xa0\xbd"}', "Yes. \ufffd"),
        (line(output="Yes.", cost_usd=float("nan")), "Yes."),
    ],
)
def test_a_byte_order_mark_half_characters_and_nan_cost_no_event(value: bytes, output: str) -> None:
    assert decode(value).output == output


def test_the_rest_of_an_event_with_an_odd_field_is_read_as_without_it() -> None:
    fields = {
        "output_tokens": 812.0,
        "dimensions": {"region": None, "tenant": 42},
        "time": "2026-03-02T09:00:00+01:00",
    }
    event = decode(line(**fields))
    assert (event.output_tokens, event.dimensions, event.time.hour) == (812, {"tenant": "42"}, 8)


def test_unknown_fields_are_omitted_and_null_means_absent() -> None:
    event = decode(
        json.dumps({**BASE, "colour": [1, {"deep": None}], "variant": None, "environment": None}).encode()
    )
    assert (event.variant, event.environment) == ("", "production")
    assert not hasattr(event, "colour")


def test_an_event_without_a_kind_is_a_response() -> None:
    assert decode(json.dumps(BASE).encode()).kind == "response"


@settings(max_examples=examples(4))
@given(
    st.one_of(
        st.binary(max_size=200),
        documents().flatmap(
            lambda document: st.integers(0, len(document)).map(lambda length: document[:length])
        ),
        documents().map(lambda document: document.replace(b"2", b"\xff")),
    )
)
@example(b"[" * 100_000)
@example(b'{"a":' * 5000)
@example(b'{"event_id":"\\ud800"}')
@example(b"9" * 5000)
@example(json.dumps(BASE).encode()[:-1] + b',"output_tokens":' + b"9" * 5000 + b"}")
@example(b"\xef\xbb\xbf{}")
@example(b"NaN")
def test_any_bytes_give_an_event_or_one_clear_error(value: bytes) -> None:
    message = "fine"
    try:
        decode(value)
    except InvalidEvent as error:
        message = str(error)
    assert 0 < len(message) < 400
    assert "\n" not in message


def test_every_model_is_frozen() -> None:
    event = read_exactly(json.dumps(BASE).encode())[0]
    with pytest.raises(ValidationError):
        event.service = "other"
    assert event.time == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert event.key == b"s/f"


def test_the_struct_has_the_fields_of_the_model() -> None:
    for kind, model in KINDS.items():
        assert {field.name for field in msgspec.structs.fields(STRUCTS[kind])} == set(model.model_fields)
