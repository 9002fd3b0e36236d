"""Decode events from JSON fast enough for the worker.

msgspec structs are generated from the pydantic models and decode valid events. The others are repaired
(``softfail.field_repair``) and decoded by pydantic, which writes the error message. So the models are the only contract. A property test checks that pydantic
accepts everything that msgspec accepts, with equal values.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

import annotated_types
import msgspec
import pydantic_core
from pydantic import AwareDatetime, ValidationError
from pydantic.fields import FieldInfo

from softfail.event_faults import describe_faults, quote_field, quote_value
from softfail.event_time import EPOCH
from softfail.events import KINDS, MIN_TEXT_PROBABILITY, Event
from softfail.field_repair import LeftOut, repair

_BOUNDS = {
    annotated_types.Ge: "ge",
    annotated_types.Gt: "gt",
    annotated_types.Le: "le",
    annotated_types.Lt: "lt",
    annotated_types.MinLen: "min_length",
    annotated_types.MaxLen: "max_length",
}


class InvalidEvent(ValueError):
    """Raised for an event that cannot be read. The message names up to five different faults.

    ``field`` is the path of the first invalid field; empty if the JSON itself is invalid.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def _constrained(kind: Any, metadata: list[Any]) -> Any:
    """Return the msgspec type of a pydantic annotation: the plain type with the same bounds."""
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        flat = [item for part in more for item in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return _constrained(inner, flat + metadata)
    if kind is AwareDatetime or kind is datetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if get_origin(kind) is dict:
        key, value = (_constrained(part, []) for part in get_args(kind))
        kind = dict[key, value]  # type: ignore[valid-type]
    elif type(None) in get_args(kind):
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        return _constrained(inner, metadata) | None
    bounds = {
        name: getattr(item, name)
        for item in metadata
        for bound, name in _BOUNDS.items()
        if isinstance(item, bound)
    }
    return Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind


def _struct(model: type[Event]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for name, info in model.model_fields.items():
        kind = _constrained(info.annotation, info.metadata)
        if info.is_required():
            fields.append((name, kind))
        elif isinstance(info.default, dict):
            fields.append((name, kind, msgspec.field(default_factory=dict)))
        else:
            fields.append((name, kind, info.default))
    fields.sort(key=lambda field: len(field))  # msgspec requires that required fields come first
    return msgspec.defstruct(f"{model.__name__}Struct", fields, frozen=True, gc=False, kw_only=True)


class _Kind(msgspec.Struct, gc=False):
    kind: str = "response"


STRUCTS = {kind: _struct(model) for kind, model in KINDS.items()}
"""Kind of event -> generated struct, with the attributes of the pydantic model."""

_DECODE = {kind: msgspec.json.Decoder(struct).decode for kind, struct in STRUCTS.items()}
_NOTHING: Sequence[LeftOut] = ()
_decode_response = _DECODE["response"]
_decode_kind = msgspec.json.Decoder(_Kind).decode


def decode(value: bytes) -> Any:
    """Decode one event from JSON.

    Returns:
        An object with the attributes of the model of its kind.

    Raises:
        InvalidEvent: the event cannot be read; the message names the field and the remedy.

    >>> text = b'{"event_id":"1","time":"2026-03-02T09:00:00Z","service":"s","feature":"f","model":"m"}'
    >>> decode(text).environment
    'production'
    """
    return read_event(value)[0]


def read_event(value: bytes) -> tuple[Any, Sequence[LeftOut]]:
    """Decode one event from JSON; also return which odd optional fields were left out or cut, and why.

    Raises:
        InvalidEvent: as in ``decode``.
    """
    try:
        event: Any = _decode_response(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_other(value)
    if event.time < EPOCH or event.sample_probability * event.content_probability < MIN_TEXT_PROBABILITY:
        return read_exactly(value)
    return event, _NOTHING


def _decode_other(value: bytes) -> tuple[Any, Sequence[LeftOut]]:
    try:
        kind = _decode_kind(value).kind
        if kind != "response" and kind in _DECODE:
            event: Any = _DECODE[kind](value)
            if event.time >= EPOCH and getattr(event, "started_at", EPOCH) >= EPOCH:
                return event, _NOTHING
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return read_exactly(value)


def read_exactly(value: bytes) -> tuple[Event, Sequence[LeftOut]]:
    """Decode one event with pydantic, odd optional fields left out.

    Raises:
        InvalidEvent: as in ``decode``.
    """
    raw = _parse(value.removeprefix(codecs.BOM_UTF8))
    if not isinstance(raw, dict):
        raise InvalidEvent(f"a JSON {_json_type(raw)}, not an object; send one JSON object a message")
    kind = raw.get("kind")
    if kind is None:
        kind = "response"
    if not isinstance(kind, str) or (model := KINDS.get(kind)) is None:
        raise InvalidEvent(f"kind: {quote_value(kind)} is not one of {', '.join(KINDS)}", "kind")
    raw["kind"] = kind
    fields, left_out = repair(kind, raw)
    try:
        return model.model_validate(fields), left_out
    except ValidationError as error:
        field = quote_field(".".join(str(part) for part in error.errors(include_url=False)[0]["loc"]))
        raise InvalidEvent(describe_faults(error), field) from None


def _parse(value: bytes) -> Any:
    """Parse JSON in UTF-8; NaN, Infinity and halves of a character, which many producers write, are read."""
    try:
        return pydantic_core.from_json(value, allow_inf_nan=True)
    except (ValueError, RecursionError) as error:
        fault = str(
            error
        )  # the error would keep this frame and those of all callers: a cycle, with the core in it
    if b"\\u" in value or b"\xed" in value:
        try:
            return json.loads(value.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            pass
    raise InvalidEvent(f"not JSON in UTF-8: {fault}; send one JSON object a message") from None


def _json_type(value: Any) -> str:
    return {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}.get(
        type(value), "null"
    )
