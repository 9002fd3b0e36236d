"""Records of the alerts topic to episodes."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from monitor.channels.channel import DEDUP_CHARS
from schemas.records import Episode

_KEY_CHARS = DEDUP_CHARS - len("/missed")


def read_episode(value: bytes) -> Episode | None:
    """An episode from its JSON text; None for another record. Fields that a newer version added are passed over.

    Raises:
        ValueError: it is neither; names the field.
    """
    try:
        raw = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"a JSON {type(raw).__name__}, not an object")
    if raw.get("record") != "episode":
        return None
    for _ in range(2):
        try:
            episode = Episode.model_validate_json(json.dumps(raw))
            break
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
        unknown = [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"]
        if len(unknown) < len(faults):
            fault = next(one for one in faults if one["type"] != "extra_forbidden")
            raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
        for loc in unknown:
            _drop(raw, loc)
    if not 0 < len(episode.dedup_key) <= _KEY_CHARS:
        raise ValueError(f"dedup_key: has {len(episode.dedup_key)} characters, of 1 to {_KEY_CHARS}")
    return episode


def _drop(raw: Any, loc: tuple[int | str, ...]) -> None:
    for step in loc[:-1]:
        raw = raw[step]
    del raw[loc[-1]]

