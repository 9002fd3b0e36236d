"""The file of a pinned reference, which `python -m monitor baseline pin` writes and `pinned:` names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

from schemas.bounded_file import read_bounded
from schemas.config.fault_text import plain_text
from schemas.fields import Part
from softfail.event_time import Time
from softfail.events import Total

MAX_BYTES = 256 << 20
"""A larger file is not read: it takes ten times its size in memory."""
PIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


def pinned_name(reference: str) -> str | None:
    """Return the name of the pin in a `reference:` of a drift rule; None for another kind of reference.

    >>> pinned_name("pinned march"), pinned_name("trailing 24h")
    ('march', None)
    """
    return reference.removeprefix("pinned ") if reference.startswith("pinned ") else None


class _Stored(BaseModel):
    """Base class of the parts of the file.

    Fields that a newer release adds are ignored. ``layout`` changes if the meaning of a field changes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True)


class Block(_Stored):
    """A pane that begins at ``start``, encoded as in state records (``monitor.windows.format_versions``)."""

    start: Time
    pane: Base64Bytes


class PinnedSeries(_Stored):
    """One series, from the start of its first pane to the end of its last, as blocks that merge exactly."""

    events: Total
    start: Time
    end: Time
    blocks: tuple[Block, ...] = Field(min_length=1)
    texts: dict[str, tuple[Base64Bytes, ...]] = Field({}, description="Name -> sketches by block")


class PinnedSegment(PinnedSeries):
    """A segment with enough events to be a reference of its own."""

    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]


class PinnedFeature(_Stored):
    """A feature in one environment. ``evaluators``: name -> identity of the evaluators that counted it."""

    service: str
    feature: str
    environment: str
    evaluators: dict[str, str]
    whole: PinnedSeries
    segments: tuple[PinnedSegment, ...]


class Pin(_Stored):
    """The whole file: all features from ``from`` (inclusive) to ``to`` (exclusive)."""

    record: Literal["pin"]
    name: str = Field(pattern=f"^{PIN_NAME.pattern}$")
    from_: Time = Field(alias="from")
    to: Time
    layout: int = Field(description="Of records of state, as in monitor.windows.format_versions")
    histogram_scale: int
    text_sketch: int = Field(description="Version of the features of texts")
    events: Total
    features: tuple[PinnedFeature, ...]


class Pinned(Part):
    """A named reference, written by `python -m monitor baseline pin NAME`."""

    file: str = Field(
        min_length=1, description="The file that baseline pin wrote; a path relative to this one"
    )
    pin: SkipJsonSchema[Pin | None] = Field(None, exclude=True, repr=False)


def inline_pins(tree: dict[str, Any], folder: Path, faults: list[str]) -> None:
    """Read the files that `pinned:` names into the tree, so that the core reads no files.

    Args:
        tree: the configuration; changed in place. Values of a wrong type are left to the models.
        folder: the folder that relative paths start from.
        faults: faults are appended here.
    """
    pinned = tree.get("pinned")
    for name, setting in pinned.items() if isinstance(pinned, dict) else ():
        if not isinstance(setting, dict):
            continue
        if "pin" in setting:
            faults.append(f"pinned.{name}.pin: no such key; there is: file")
            setting["pin"] = None
        elif isinstance(file := setting.get("file"), str) and file:
            try:
                setting["pin"] = _read(folder / file, str(name))
            except ValueError as error:
                faults.append(f"pinned.{name}.file: {file} {error}")


def _read(path: Path, name: str) -> Pin:
    remedy = f"create it with: python -m monitor baseline pin {name} --from TIME --to TIME FILES"
    try:
        raw = json.loads(read_bounded(path, MAX_BYTES))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}; {remedy}") from None
    if not isinstance(raw, dict) or raw.get("record") != "pin":
        raise ValueError(f"is not a pin file; {remedy}")
    try:
        pin = Pin.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(
            "."
        )
        raise ValueError(f"is not a valid pin: {field}: {plain_text(dict(first))}; {remedy}") from None
    if pin.name != name:
        raise ValueError(f"is the pin {pin.name!r}; write pinned: {{{pin.name}: {{file: ...}}}}, or {remedy}")
    return pin
