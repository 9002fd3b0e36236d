"""Records of the alerts topic to episodes, silences and changes."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from monitor.channels.interface import DEDUP_CHARS
from schemas.records import Change, Episode, Silence

_Model = TypeVar("_Model", Episode, Silence, Change)
_KEY_CHARS = DEDUP_CHARS - len("/missed")


def read_letter(value: bytes) -> Episode | Silence | Change | None:
    """An episode, a silence or a change from its JSON text; None for another record. Fields that a newer
    version added are passed over.

    Raises:
        ValueError: it is none of them; names the field.
    """
    try:
        raw = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"a JSON {type(raw).__name__}, not an object")
    if raw.get("record") == "silence":
        return _read(Silence, raw)
    if raw.get("record") == "change":
        return _read(Change, raw)
    if raw.get("record") != "episode":
        return None
    episode = _read(Episode, raw)
    if not 0 < len(episode.dedup_key) <= _KEY_CHARS:
        raise ValueError(f"dedup_key: has {len(episode.dedup_key)} characters, of 1 to {_KEY_CHARS}")
    return episode


def _read(model: type[_Model], raw: dict[str, Any]) -> _Model:
    for _ in range(2):
        try:
            return model.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
        unknown = [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"]
        if len(unknown) < len(faults):
            break
        for loc in unknown:
            _drop(raw, loc)
    fault = next((one for one in faults if one["type"] != "extra_forbidden"), faults[0])
    raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")


def _drop(raw: Any, loc: tuple[int | str, ...]) -> None:
    for step in loc[:-1]:
        raw = raw[step]
    del raw[loc[-1]]
