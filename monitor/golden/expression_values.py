"""Values of expressions: conversions as JavaScript has them, and the functions and methods that may be called."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from monitor.golden.text_checks import expression as compiled


class Undefined:
    """The value of what does not exist."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


class OutputText(str):
    """The answer as text. ``parsed`` is its JSON value, which providers of structured output give in its place."""

    @cached_property
    def parsed(self) -> Any:
        """The value, if the text is a JSON object or list; else None."""
        if not self.lstrip().startswith(("{", "[")):
            return None
        try:
            return from_json(json.loads(self))
        except (ValueError, RecursionError):
            return None


class ExpressionFailure(Exception):
    """Raised where JavaScript would throw, or where a limit is exceeded."""


class Regex:
    """A regular expression, matched by RE2."""

    def __init__(self, pattern: str, flags: str) -> None:
        marks = "".join(flag for flag in "ims" if flag in flags)
        self.is_global = "g" in flags
        self.compiled = compiled(f"(?{marks}){pattern}" if marks else pattern)


def truthy(value: Any) -> bool:
    """Return whether a value counts as true in JavaScript."""
    if value is UNDEFINED or value is None or value is False or value == "":
        return False
    return not (isinstance(value, float) and (value == 0 or math.isnan(value)))


def number_of(value: Any) -> float:
    """Convert a value to a number, NaN if it is none.

    >>> number_of(" 12 "), number_of(None), number_of([])
    (12.0, 0.0, nan)
    """
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, float):
        return value
    if value is None:
        return 0.0
    if isinstance(value, str):
        try:
            return float(value.strip() or 0)
        except ValueError:
            return math.nan
    return math.nan


def text_of(value: Any) -> str:
    """Convert a value to text.

    >>> text_of(2.0), text_of([1.0, True]), text_of({})
    ('2', '1,true', '[object Object]')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, list):
        return ",".join(map(text_of, value))
    return "null" if value is None else "undefined" if value is UNDEFINED else "[object Object]"


def is_same(first: Any, second: Any) -> bool:
    """Compare as ``===`` does."""
    if isinstance(first, str) and isinstance(second, str):
        return first == second
    if isinstance(first, list | dict) or isinstance(second, list | dict):
        return first is second
    return (
        isinstance(first, bool) == isinstance(second, bool)
        and type(first) is type(second)
        and first == second
    )


def is_loosely_same(first: Any, second: Any) -> bool:
    """Compare as ``==`` does."""
    nothing = (None, UNDEFINED)
    if first in nothing or second in nothing:
        return first in nothing and second in nothing
    return is_same(first, second) or (
        type(first) is not type(second) and number_of(first) == number_of(second)
    )


def from_json(value: Any) -> Any:
    """Return a value of JSON with all numbers as floats."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list | tuple):
        return [from_json(item) for item in value]
    return {str(key): from_json(item) for key, item in value.items()}


def to_json(value: Any) -> Any:
    """Return a value as JSON has it: whole numbers without a fraction, nothing for undefined.

    >>> to_json([1.0, UNDEFINED, {"a": 0.5}])
    [1, None, {'a': 0.5}]
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if math.isfinite(value) else None
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value if isinstance(value, str | bool) else None


def _parse_json(text: Any, *_: Any) -> Any:
    try:
        return from_json(json.loads(text_of(text)))
    except (ValueError, RecursionError):
        raise ExpressionFailure("the output is not JSON") from None


def _extreme(choose: Callable[..., float]) -> Callable[..., float]:
    return lambda *values: choose(map(number_of, values)) if values else math.nan


def _integer(value: Any, *_: Any) -> float:
    match = re.match(r"\s*[+-]?\d+", text_of(value))
    return float(match[0]) if match else math.nan


def _float(value: Any, *_: Any) -> float:
    match = re.match(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text_of(value))
    return float(match[0]) if match else math.nan


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Number": lambda value=0.0, *_: number_of(value),
    "String": lambda value="", *_: text_of(value),
    "Boolean": lambda value=False, *_: truthy(value),
    "parseInt": _integer,
    "parseFloat": _float,
    "isNaN": lambda value=UNDEFINED, *_: math.isnan(number_of(value)),
}
OBJECTS: dict[str, dict[str, Callable[..., Any]]] = {
    "JSON": {
        "parse": _parse_json,
        "stringify": lambda value, *_: json.dumps(to_json(value), separators=(",", ":"), ensure_ascii=False),
    },
    "Math": {
        "max": _extreme(max),
        "min": _extreme(min),
        "abs": lambda value, *_: abs(number_of(value)),
        "round": lambda value, *_: math.floor(number_of(value) + 0.5) * 1.0,
        "floor": lambda value, *_: math.floor(number_of(value)) * 1.0,
        "ceil": lambda value, *_: math.ceil(number_of(value)) * 1.0,
    },
    "Array": {"isArray": lambda value, *_: isinstance(value, list)},
    "Object": {
        "keys": lambda value, *_: list(value) if isinstance(value, dict) else [],
        "values": lambda value, *_: list(value.values()) if isinstance(value, dict) else [],
    },
    **{name: {} for name in FUNCTIONS},
}


def _split(text: str, separator: Any = UNDEFINED, *_: Any) -> list[str]:
    if isinstance(separator, Regex):
        return list(separator.compiled.split(text))
    if separator is UNDEFINED:
        return [text]
    return text.split(text_of(separator)) if separator != "" else list(text)


def _match(text: str, regex: Any, *_: Any) -> Any:
    if not isinstance(regex, Regex):
        raise ExpressionFailure("match takes a regular expression")
    if regex.is_global:
        return [match.group() for match in regex.compiled.finditer(text)] or None
    match = regex.compiled.search(text)
    return None if match is None else [match.group(), *(group or UNDEFINED for group in match.groups())]


_GROUP = re.compile(r"\$(\d)")


def _substring(text: str, start: Any = 0.0, end: Any = UNDEFINED, *_: Any) -> str:
    places = [len(text) if place is UNDEFINED else max(0, int(number_of(place))) for place in (start, end)]
    return text[min(places) : max(places)]


def _replace(text: str, what: Any, by: Any, *_: Any) -> str:
    if isinstance(what, Regex):
        replacement = _GROUP.sub(r"\\\1", text_of(by).replace("\\", "\\\\"))
        return str(what.compiled.sub(replacement, text, 0 if what.is_global else 1))
    return text.replace(text_of(what), text_of(by), 1)


def _slice(value: Any, start: Any = 0.0, end: Any = UNDEFINED, *_: Any) -> Any:
    return value[int(number_of(start)) : None if end is UNDEFINED else int(number_of(end))]


STRING_METHODS: dict[str, Callable[..., Any]] = {
    "includes": lambda text, part=UNDEFINED, *_: text_of(part) in text,
    "startsWith": lambda text, part=UNDEFINED, *_: text.startswith(text_of(part)),
    "endsWith": lambda text, part=UNDEFINED, *_: text.endswith(text_of(part)),
    "indexOf": lambda text, part=UNDEFINED, *_: float(text.find(text_of(part))),
    "toLowerCase": lambda text, *_: text.lower(),
    "toUpperCase": lambda text, *_: text.upper(),
    "trim": lambda text, *_: text.strip(),
    "split": _split,
    "match": _match,
    "replace": _replace,
    "slice": _slice,
    "substring": _substring,
    "toString": lambda text, *_: text,
}
LIST_METHODS: dict[str, Callable[..., Any]] = {
    "includes": lambda items, value=UNDEFINED, *_: any(is_same(item, value) for item in items),
    "indexOf": lambda items, value=UNDEFINED, *_: next((float(n) for n, item in enumerate(items) if is_same(item, value)), -1.0),
    "some": lambda items, test, *_: any(truthy(test(item, float(n))) for n, item in enumerate(items)),
    "every": lambda items, test, *_: all(truthy(test(item, float(n))) for n, item in enumerate(items)),
    "filter": lambda items, test, *_: [item for n, item in enumerate(items) if truthy(test(item, float(n)))],
    "map": lambda items, change, *_: [change(item, float(n)) for n, item in enumerate(items)],
    "find": lambda items, test, *_: next((item for item in items if truthy(test(item))), UNDEFINED),
    "join": lambda items, by=",", *_: text_of(by).join(map(text_of, items)),
    "slice": _slice,
}  # fmt: skip
METHODS = {*STRING_METHODS, *LIST_METHODS, "test"}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan if not a or math.isnan(a) else math.copysign(math.inf, a),
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
