"""Read odd values of an event: one odd optional field costs that field, not the event.

A value with only one possible meaning is read: 812.0 as a count, a number or UUID as a label. Any other odd value
of an optional field is left out, and a long label is cut; both are reported by field and reason. Fields that are
required or that weigh the event (probabilities) stay as they are, and so do counts that are negative or
fractional: such an event states a sum or difference, not a call. Validation then refuses it.
"""

from __future__ import annotations

import enum
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from softfail.events import KINDS, LABEL_CHARS

REASONS = (
    "not_a_number",
    "not_finite",
    "out_of_range",
    "not_text",
    "not_allowed",
    "not_an_object",
    "no_name",
    "too_many",
    "too_long",
    "half_character",
    "invalid",
)
"""Why a field was left out or, for ``too_long`` and ``half_character``, changed."""

LeftOut = tuple[str, str]
"""Field and reason."""

_KEPT_AS_IT_IS = frozenset(
    {"kind", "time", "started_at", "sample_probability", "content_probability", "base_probability"}
)
_NEVER_CUT = frozenset({"service", "feature"})  # they are the Kafka key
_COUNTS = re.compile(r".*_tokens|.*_chars|tool_calls")
_TINY_S = 0.5  # clocks that are set while a call runs
_MAX_ENTRIES = 32
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Odd(Exception):
    """Raised for a value that cannot be read; the argument is one of ``REASONS``."""


def repair(kind: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[LeftOut]]:
    """Return the fields of an event that can be validated, and what was left out or changed.

    Args:
        kind: a key of ``softfail.events.KINDS``.
        fields: name -> value, as decoded from JSON or given to the SDK; unknown fields are left out.

    >>> repair("response", {"output_tokens": 812.0, "duration_s": "slow"})
    ({'output_tokens': 812}, [('duration_s', 'not_a_number')])
    """
    readers = _READERS[kind]
    left_out: list[LeftOut] = []
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None or name not in readers:
            if name in readers and readers[name].required:
                kept[name] = value
            continue
        try:
            kept[name] = readers[name].read(value, left_out)
        except _Odd as reason:
            if readers[name].required:
                kept[name] = value
            elif reason.args[0]:
                left_out.append((name, reason.args[0]))
    return kept, left_out


class _Reader:
    """Reads the values of one field."""

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.name = name
        self.required = info.is_required()
        kind, bounds = _plain_type(info.annotation, list(info.metadata))
        self._allowed = get_args(kind) if get_origin(kind) is Literal else ()
        self._low, self._high = bounds.get("ge", -math.inf), bounds.get("le", math.inf)
        self._least_chars, self._most_chars = bounds.get("min_length", 0), bounds.get("max_length")
        self._read: Callable[[Any, list[LeftOut]], Any]
        if name in _KEPT_AS_IT_IS:
            self._read = lambda value, left_out: value
        elif self._allowed:
            self._read = self._choice
        elif get_origin(kind) is dict:
            self._read = self._entries
            self._read_entry = self._seconds if name.endswith("_s") else self._label
            if name.endswith("_s"):
                self._low, self._high = 0, 10**7
            self._most_chars = LABEL_CHARS
        else:
            self._read = {
                str: self._label if self._most_chars else self._text,
                int: self._integer,
                float: self._seconds if name.endswith("_s") else self._number,
                bool: self._flag,
            }.get(kind, lambda value, left_out: value)

    def read(self, value: Any, left_out: list[LeftOut]) -> Any:
        """Return the value as the model has it; note in ``found`` what was changed or left out of it.

        Raises:
            _Odd: it cannot be read.
        """
        return self._read(value, left_out)

    def _text(self, value: Any, left_out: list[LeftOut]) -> str:
        if not isinstance(value, str):
            raise _Odd("not_text")
        return self._whole_characters(value, left_out)

    def _label(self, value: Any, left_out: list[LeftOut]) -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _Odd("not_finite")
            value = repr(value)
        elif isinstance(value, (int, Decimal, uuid.UUID)):
            value = str(value)
        elif self.name == "finish_reason" and isinstance(value, (list, dict)):
            value = json.dumps(value, default=str)  # one reason for each choice
        if not isinstance(value, str):
            raise _Odd("not_text")
        text = self._whole_characters(value, left_out)
        if self._most_chars is not None and len(text) > self._most_chars and self.name not in _NEVER_CUT:
            left_out.append((self.name, "too_long"))
            text = text[: self._most_chars]
        if len(text) < self._least_chars and not self.required:
            raise _Odd("")  # an empty label is absent
        return text

    def _whole_characters(self, text: str, left_out: list[LeftOut]) -> str:
        if text.isascii() or _SURROGATE.search(text) is None:
            return text
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if "\ufffd" in joined:
            left_out.append((self.name, "half_character"))
        return joined

    def _integer(self, value: Any, left_out: list[LeftOut]) -> Any:
        number = _plain_number(value)
        if number != int(number):
            if _COUNTS.fullmatch(self.name):
                return value
            raise _Odd("not_a_number")
        number = int(number)
        if number < 0 and _COUNTS.fullmatch(self.name):
            return value
        if not self._low <= number <= self._high:
            raise _Odd("out_of_range")
        return number

    def _number(self, value: Any, left_out: list[LeftOut]) -> Any:
        number = _plain_number(value)
        if not self._low <= number <= self._high:
            raise _Odd("out_of_range")
        return number

    def _seconds(self, value: Any, left_out: list[LeftOut]) -> Any:
        number = _plain_number(value)
        return 0.0 if -_TINY_S <= number < 0 else self._number(number, left_out)

    def _flag(self, value: Any, left_out: list[LeftOut]) -> bool:
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            return bool(value)
        raise _Odd("not_allowed")

    def _choice(self, value: Any, left_out: list[LeftOut]) -> Any:
        if isinstance(value, enum.Enum):
            value = value.value
        name = value.strip().lower() if isinstance(value, str) else value
        if isinstance(name, str) and name in self._allowed:
            return name
        raise _Odd("not_allowed")

    def _entries(self, value: Any, left_out: list[LeftOut]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _Odd("not_an_object")
        kept: dict[str, Any] = {}
        for key, item in value.items():
            if item is None:
                continue
            try:
                name = self._label(key, left_out)
                if not name:
                    raise _Odd("no_name")
                if len(kept) == _MAX_ENTRIES and name not in kept:
                    raise _Odd("too_many")
                kept[name] = self._read_entry(item, left_out)
            except _Odd as reason:
                if (self.name, reason.args[0]) not in left_out:
                    left_out.append((self.name, reason.args[0]))
        return kept


def _plain_number(value: Any) -> float | int:
    """Return a number of any library as a Python number.

    Raises:
        _Odd: it is none, or not finite.
    """
    if isinstance(value, Decimal) or (hasattr(value, "item") and hasattr(value, "dtype")):
        try:
            value = float(value) if isinstance(value, Decimal) else value.item()
        except (ValueError, TypeError, OverflowError):
            raise _Odd("not_a_number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Odd("not_a_number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Odd("not_finite")
    return value


def _plain_type(annotation: Any, metadata: list[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the type of an annotation without ``Annotated`` and ``None``, and its bounds."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            for part in more:
                metadata += part.metadata if isinstance(part, FieldInfo) else [part]
        elif type(None) in get_args(annotation):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            break
    names = ("ge", "le", "min_length", "max_length")
    return annotation, {
        name: getattr(item, name) for item in metadata for name in names if hasattr(item, name)
    }


_READERS = {
    kind: {name: _Reader(name, info) for name, info in model.model_fields.items()}
    for kind, model in KINDS.items()
}
