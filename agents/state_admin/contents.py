"""Decode the state of a partition as a worker does, but list unreadable records instead of failing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from agents.kafka.state_topic import HEADER, POSITION, StateSnapshot
from monitor.delivery.change_delivery import STATE_PREFIX as _CHANGE
from monitor.delivery.change_delivery import ChangeDelivery
from monitor.delivery.episode_delivery import EpisodeDelivery
from monitor.state.partition_state import PartitionState
from monitor.windows import format_versions as layouts
from monitor.windows.segment_keys import FeatureKey
from schemas.records import Silence
from softfail.sanitize import escape_hidden

CLOCK = b'["clock"]'
_HEALTH = b"health/"  # the notifier's records of softfail's own health
_SILENCE = b"silence/"  # before its id
_DELIVERY = b"delivery/"  # before channel/episode, of the notifier's records
_SHOWN_KINDS = ("clock", "incident", "episode", "feature", "baselines", "weights")
_OVER = ("held", "closed", "dropped")  # of a page key: nothing is open at the receiver


@dataclass
class StoredPartition:
    """The decoded state of one partition.

    ``bytes_by``: size of keys and values by feature; ``unreadable``: printable key to reason; ``broken``: the
    same keys as they are; ``layouts``: number of records by format version.
    """

    snapshot: StateSnapshot
    header: dict[str, Any] = field(default_factory=dict)
    clock: tuple[Any, ...] | None = None
    partition_state: PartitionState = field(default_factory=lambda: PartitionState(0, ""))
    deliveries: dict[tuple[str, str], EpisodeDelivery] = field(default_factory=dict)
    bytes_by: dict[FeatureKey, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    broken: list[bytes] = field(default_factory=list)
    layouts: Counter[int] = field(default_factory=Counter)

    def note(self, key: bytes, why: str) -> None:
        """Note a record that cannot be read."""
        self.broken.append(key)
        self.unreadable[printable_key(key)] = why

    @property
    def bytes(self) -> int:
        """Size of all keys and values."""
        return sum(len(key) + len(value) for key, value in self.snapshot.records.items())

    def features(self) -> list[FeatureKey]:
        """Return every feature of which there is a record, in order."""
        return sorted(
            {*self.partition_state.features, *self.partition_state.incidents, *self.partition_state.episodes}
        )

    def open_pages(self) -> list[tuple[str, str]]:
        """Return the keys of pages that are open at a receiver, and what each is about.

        If the state is deleted, nothing will resolve them.
        """
        pages = []
        for (channel, _), entry in self.deliveries.items():
            if entry.done_us is None:
                about = (
                    f"{entry.latest.episode.service}/{entry.latest.episode.feature}" if entry.latest else "?"
                )
                pages += [
                    (f"{entry.dedup_key}/{urgency}", f"{about} at {channel} ({standing})")
                    for urgency, standing in sorted(entry.keys.items())
                    if standing not in _OVER
                ]
        return pages


def printable_key(key: bytes) -> str:
    """Return a key as it is printed, and as `drop --key` takes it.

    >>> print(printable_key(b'["clock"]'), printable_key(bytes([255, 0, 65])))
    ["clock"] \\xff\\x00A
    """
    return escape_hidden(key.decode("utf-8", "backslashreplace"))


def keys_matching(records: Mapping[bytes, bytes], text: str) -> list[bytes]:
    """Return the keys that a text may mean: the printable key, else the same JSON with other spaces."""
    exact = [key for key in records if printable_key(key) == text]
    return exact or [
        key for key in records if isinstance(plain := _json(key), list) and plain == _json(text.encode())
    ]


def decode_contents(snapshot: StateSnapshot) -> StoredPartition:
    """Decode the records of a partition."""
    result = StoredPartition(snapshot)
    records = dict(snapshot.records)
    if (value := records.pop(HEADER, None)) is not None:
        header = _json(value)
        if isinstance(header, dict):
            result.header = header
        else:
            result.note(HEADER, "it is no JSON object")
    if (value := records.pop(POSITION, None)) is not None and not value.isdigit():
        result.note(POSITION, f"{value[:40]!r} is no number")
    if (value := records.get(CLOCK)) is not None:
        try:
            result.clock = layouts.decode_record("clock", value)
            result.partition_state = PartitionState(0, result.clock[0])
        except (ValueError, msgspec.MsgspecError, TypeError, RecursionError) as error:
            records.pop(CLOCK)
            result.note(CLOCK, str(error))
    if result.header.get("agent") == "judge":  # JSON of its own: only the sizes are shown
        return result
    for key, value in records.items():
        try:
            _take(result, key, value)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            result.note(
                key, str(error).removeprefix(f"state record {key!r} cannot be read: ").partition("\n")[0]
            )
    return result


def features_matching(contents: StoredPartition, match: str) -> Iterator[FeatureKey]:
    """Return the features whose `service/feature` matches (with * and ?)."""
    return (
        feature_key
        for feature_key in contents.features()
        if fnmatchcase(f"{feature_key.service}/{feature_key.feature}", match)
    )


def record_rows(contents: StoredPartition, match: str) -> Iterator[dict[str, Any]]:
    """Return each record as a JSON object: partition, decoded key, size, and the value where it is short, or
    why it cannot be read.
    """
    for key, value in contents.snapshot.records.items():
        plain = _json(key)
        about = "/".join(map(str, plain[1:3])) if isinstance(plain, list) else ""
        if match != "*" and not fnmatchcase(about, match):
            continue
        row: dict[str, Any] = {
            "partition": contents.snapshot.partition,
            "key": plain if isinstance(plain, list) else printable_key(key),
            "bytes": len(value),
        }
        if (why := contents.unreadable.get(printable_key(key))) is not None:
            row["unreadable"] = why
        elif key in (HEADER, POSITION) or key.startswith((_DELIVERY, _SILENCE, _HEALTH, _CHANGE)):
            row["value"] = _json(value)
        elif isinstance(plain, list) and plain[0] in _SHOWN_KINDS:
            row |= {"layout": layouts.record_layout(value), "value": layouts.decode_record(plain[0], value)}
        yield row


def _take(contents: StoredPartition, key: bytes, value: bytes) -> None:
    if key.startswith(_DELIVERY):
        channel, _, episode_id = key[len(_DELIVERY) :].decode().partition("/")
        contents.deliveries[channel, episode_id] = EpisodeDelivery.from_state(value)
    elif key.startswith(_SILENCE):
        Silence.model_validate_json(value)
    elif key.startswith(_CHANGE):
        ChangeDelivery.from_state(value)
    elif key == b"counts" or key.startswith(_HEALTH):
        if not isinstance(_json(value), dict) and (key == b"counts" or not isinstance(_json(value), list)):
            raise ValueError("it is no JSON object")
    else:
        contents.partition_state.restore([(key, value)])
        contents.layouts[layouts.record_layout(value)] += 1
        plain = _json(key)
        if len(plain) > 3:
            feature_key = FeatureKey(*plain[1:4])
            contents.bytes_by[feature_key] = contents.bytes_by.get(feature_key, 0) + len(key) + len(value)


def _json(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
