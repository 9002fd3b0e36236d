"""Read the records of the alerts topic, each once, into its model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from monitor.channels.interface import DEDUP_CHARS
from schemas.record_kinds import record_kind
from schemas.records import Change, Episode, Heartbeat, Silence

AlertRecord = Episode | Silence | Change | Heartbeat
"""Records that ``notify`` reads; it skips the other records of the topic."""

_MODELS: dict[str, type[Episode] | type[Silence] | type[Change] | type[Heartbeat]] = {
    "episode": Episode,
    "silence": Silence,
    "change": Change,
    "health": Heartbeat,
}
_KEY_CHARS = DEDUP_CHARS - len("/high/9999")


class UnreadableHeartbeat(ValueError):
    """A heartbeat that cannot be read. It needs no dead letter: the next one comes within a minute."""


def read_alert_record(value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> AlertRecord | None:
    """Read a record; None for one that ``notify`` has no use for. Fields of a newer release are ignored.

    Raises:
        UnreadableHeartbeat: it is a heartbeat that cannot be read.
        ValueError: it cannot be read; names the field.
    """
    model = _MODELS.get(record_kind(value, headers))
    if model is not None and value is not None:
        try:
            return _checked(model.model_validate_json(value))
        except ValidationError:
            pass  # fields of a newer release are left out below, faults are named
    try:
        fields = json.loads(value or b"")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"a JSON {type(fields).__name__}, not an object")
    model = _MODELS.get(record_kind(fields, headers))
    if model is None:
        return None
    try:
        record = _read(model, fields)
    except ValueError as error:
        raise (UnreadableHeartbeat if model is Heartbeat else ValueError)(str(error)) from None
    return _checked(record)


def _checked(record: AlertRecord) -> AlertRecord:
    if isinstance(record, Episode) and not 0 < len(record.dedup_key) <= _KEY_CHARS:
        raise ValueError(f"dedup_key: has {len(record.dedup_key)} characters, of 1 to {_KEY_CHARS}")
    return record


def _read(
    model: type[Episode] | type[Silence] | type[Change] | type[Heartbeat], fields: dict[str, Any]
) -> AlertRecord:
    """Validate the fields of a record, without those that its model does not have."""
    for _ in range(2):
        try:
            return model.model_validate_json(json.dumps(fields))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
        except RecursionError as error:  # as deep as Python reads, so too deep to be written again
            raise ValueError(f"not JSON: {error}") from None
        unknown = [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"]
        if len(unknown) < len(faults):
            break
        for location in unknown:
            _drop(fields, location)
    fault = next((fault for fault in faults if fault["type"] != "extra_forbidden"), faults[0])
    raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")


def _drop(fields: Any, location: tuple[int | str, ...]) -> None:
    for step in location[:-1]:
        fields = fields[step]
    del fields[location[-1]]
