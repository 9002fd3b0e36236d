"""Write a fault of validation in plain English, with the path of its key as the file spells it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

_TEXTS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be a section (key: value)",
    "model_type": "must be a section (key: value)",
    "model_attributes_type": "must be a section (key: value)",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} or fewer entries",
    "missing": "is missing; add it",
}


def plain_text(error: Mapping[str, Any]) -> str:
    """Describe an error of pydantic without its own terms.

    ``error``: as ``ValidationError.errors`` returns it.

    >>> plain_text({"type": "float_parsing", "msg": "Input should be a valid number"})
    'must be a number'
    >>> plain_text({"type": "greater_than_equal", "msg": "", "ctx": {"ge": 5}})
    'must be at least 5'
    """
    text = _TEXTS.get(str(error["type"]))
    if text is not None:
        return text.format_map({name: _number(item) for name, item in error.get("ctx", {}).items()})
    message = str(error["msg"]).removeprefix("Value error, ")
    return message.replace("Input should be", "must be").replace("Input should", "must")


def _number(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


def shown_value(value: Any) -> str:
    """Return a value as the file may spell it.

    >>> shown_value(True), shown_value("ten"), shown_value(None)
    ('true', "'ten'", 'null')
    """
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def faults_in(
    errors: Sequence[Mapping[str, Any]], root: type[BaseModel], is_secret: Callable[[str], bool]
) -> list[str]:
    """Return a line for each fault: path, what is wrong, and the remedy.

    Args:
        errors: as ``ValidationError.errors`` returns them.
        root: the model that was validated.
        is_secret: whether the value at a path must not be shown.
    """
    texts_by_path: dict[str, list[str]] = {}
    got: dict[str, str] = {}
    for error in errors:
        path, text = _fault(error, root)
        texts = texts_by_path.setdefault(path, [])
        if text not in texts:
            texts.append(text)
        value = error.get("input")
        may_show = path and not is_secret(path) and not isinstance(value, dict | list | BaseModel)
        if may_show and error["type"] not in ("extra_forbidden", "missing"):
            got[path] = f", got {shown_value(value)}"
    return [_line(path, texts, got.get(path, "")) for path, texts in texts_by_path.items()]


def _line(path: str, texts: list[str], got: str) -> str:
    """Join what is wrong with one key: the alternatives that it may be, or one fault after the other."""
    first, *others = texts
    if others and all(text.startswith("must be ") for text in texts):
        text = " or ".join([first, *(other.removeprefix("must be ") for other in others)])
    else:
        text = "; ".join(texts)
    return f"{path}: {text}{got}" if path and not text.startswith(path) else f"{text}{got}"


def _fault(error: Mapping[str, Any], root: type[BaseModel]) -> tuple[str, str]:
    """Return path and text of an error."""
    loc = error["loc"]
    path, text = _path(loc, root), plain_text(error)
    if error["type"] == "extra_forbidden":
        keys = fields_at(loc[:-1], root)
        close = difflib.get_close_matches(str(loc[-1]), keys, 1)
        text = "no such key; " + (f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(keys)}")
    elif error["type"] == "value_error" and path:
        parts = text.partition(": ")
        if parts[0] in fields_at(loc, root):
            return f"{path}.{parts[0]}", parts[2]  # a fault of two fields, reported at the one to change
    return path, text


def _path(loc: Sequence[int | str], root: type[BaseModel]) -> str:
    """Return the path of a key, without the names that pydantic gives to the members of a union."""
    path = ""
    for index, step in enumerate(loc):
        if isinstance(step, int):
            path += f"[{step}]"
        elif index == len(loc) - 1 or _is_key(loc[: index + 1], root):
            known = _is_key(loc[: index + 1], root) or not path or fields_at(loc[:index], root)
            path += f".{step}" if known else ""
    return path.lstrip(".")


def _is_key(loc: Sequence[int | str], root: type[BaseModel]) -> bool:
    """Return whether the last step is a key of the file: a field, or a name that the user chose."""
    keys = fields_at(loc[:-1], root)
    return loc[-1] in keys or _is_named_by_user(loc[:-1], root)


def _is_named_by_user(loc: Sequence[int | str], root: type[BaseModel]) -> bool:
    if not loc or not isinstance(loc[-1], str):
        return False
    info = _field(loc, root)
    return info is not None and get_origin(info.annotation) is dict


def _field(loc: Sequence[int | str], root: type[BaseModel]) -> Any:
    model, field = _model_at(loc[:-1], root), loc[-1]
    if model is None:
        return None
    return model.model_fields.get(str(field)) or next(
        (info for info in model.model_fields.values() if info.alias == field), None
    )


def fields_at(loc: Sequence[int | str], root: type[BaseModel]) -> list[str]:
    """Return the keys of the section at a path; none if there is no section with fixed keys."""
    model = _model_at(loc, root)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def _model_at(loc: Collection[int | str], root: type[BaseModel]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = root
    keyed = False
    for step in loc:
        if isinstance(step, int) or model is None:
            continue
        if keyed:  # a name chosen by the user
            keyed = False
            continue
        info = model.model_fields.get(step) or next(
            (field for field in model.model_fields.values() if field.alias == step), None
        )
        model = None if info is None else _model_in(info.annotation)
        keyed = info is not None and get_origin(info.annotation) is dict
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first section in a type like ``tuple[Rule, ...]`` or ``Slack | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
