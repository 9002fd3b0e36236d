"""What a partition's state means: read as the worker would read it, but what cannot be read is named and not
fatal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from agents.kafka.state_topic import HEADER, POSITION, Snapshot
from monitor.delivery import change_outbox
from monitor.delivery.delivery_state import Entry
from monitor.state.partition_state import Book
from monitor.windows import format_versions as layouts
from monitor.windows.segment_keys import FeatureKey
from schemas.records import Silence
from softfail.sanitize import escape_hidden

CLOCK = b'["clock"]'
_HEALTH = b"health/"  # of what the notifier holds about softfail itself
_SILENCE = b"silence/"  # before its id
_CHANGE = change_outbox.STATE
_DELIVERY = b"delivery/"  # before channel/episode, of the notifier's records
_OVER = ("held", "closed", "dropped")  # keys of which the receiver holds nothing


@dataclass
class Contents:
    """One partition, taken apart. ``bytes_by``: of keys and values, by feature; ``unreadable``: key as shown
    -> why,
    ``broken``: those keys as they are; ``layouts``: how many records there are of each.
    """

    snapshot: Snapshot
    header: dict[str, Any] = field(default_factory=dict)
    clock: tuple[Any, ...] | None = None
    book: Book = field(default_factory=lambda: Book(0, ""))
    deliveries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    bytes_by: dict[FeatureKey, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    broken: list[bytes] = field(default_factory=list)
    layouts: Counter[int] = field(default_factory=Counter)

    def note(self, key: bytes, why: str) -> None:
        """A record cannot be read."""
        self.broken.append(key)
        self.unreadable[shown(key)] = why

    @property
    def bytes(self) -> int:
        """Of all keys and values."""
        return sum(len(key) + len(value) for key, value in self.snapshot.records.items())

    def features(self) -> list[FeatureKey]:
        """Everything of which there is a record, in order."""
        return sorted({*self.book.features, *self.book.incidents, *self.book.episodes})

    def held(self) -> list[tuple[str, str]]:
        """Keys that a receiver may hold open by what was delivered, and what each is about; those that would
        never be closed.
        """
        found = []
        for (channel, _), entry in self.deliveries.items():
            if entry.done_us is None:
                about = (
                    f"{entry.latest.episode.service}/{entry.latest.episode.feature}" if entry.latest else "?"
                )
                found += [
                    (f"{entry.dedup_key}/{urgency}", f"{about} at {channel} ({standing})")
                    for urgency, standing in sorted(entry.keys.items())
                    if standing not in _OVER
                ]
        return found


def shown(key: bytes) -> str:
    """A key as it is printed, and as `drop --key` takes it.

    >>> print(shown(b'["clock"]'), shown(bytes([255, 0, 65])))
    ["clock"] \\xff\\x00A
    """
    return escape_hidden(key.decode("utf-8", "backslashreplace"))


def named(records: Mapping[bytes, bytes], text: str) -> list[bytes]:
    """The keys that this text may mean: as `shown`, or the same JSON however it is spaced."""
    exact = [key for key in records if shown(key) == text]
    return exact or [
        key for key in records if isinstance(plain := _json(key), list) and plain == _json(text.encode())
    ]


def contents(snapshot: Snapshot) -> Contents:
    """Take a partition apart."""
    found = Contents(snapshot)
    records = dict(snapshot.records)
    if (value := records.pop(HEADER, None)) is not None:
        header = _json(value)
        if isinstance(header, dict):
            found.header = header
        else:
            found.note(HEADER, "it is no JSON object")
    if (value := records.pop(POSITION, None)) is not None and not value.isdigit():
        found.note(POSITION, f"{value[:40]!r} is no number")
    if (value := records.get(CLOCK)) is not None:
        try:
            found.clock = layouts.read("clock", value)
            found.book = Book(0, found.clock[0])
        except (ValueError, msgspec.MsgspecError, TypeError) as error:
            records.pop(CLOCK)
            found.note(CLOCK, str(error))
    for key, value in records.items():
        try:
            _take(found, key, value)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            found.note(
                key, str(error).removeprefix(f"state record {key!r} cannot be read: ").partition("\n")[0]
            )
    return found


def only(found: Contents, match: str) -> Iterator[FeatureKey]:
    """The features whose `service/feature` is like ``match`` (with * and ?)."""
    return (at for at in found.features() if fnmatchcase(f"{at.service}/{at.feature}", match))


def records(found: Contents, match: str) -> Iterator[dict[str, Any]]:
    """Each record as one JSON object: partition, key decoded, bytes, value where it is short and plain, or
    why it cannot be read.
    """
    for key, value in found.snapshot.records.items():
        plain = _json(key)
        about = "/".join(map(str, plain[1:3])) if isinstance(plain, list) else ""
        if match != "*" and not fnmatchcase(about, match):
            continue
        one: dict[str, Any] = {
            "partition": found.snapshot.partition,
            "key": plain if isinstance(plain, list) else shown(key),
            "bytes": len(value),
        }
        if (why := found.unreadable.get(shown(key))) is not None:
            one["unreadable"] = why
        elif key in (HEADER, POSITION) or key.startswith((_DELIVERY, _SILENCE, _HEALTH, _CHANGE)):
            one["value"] = _json(value)
        elif isinstance(plain, list) and plain[0] in ("clock", "incident", "episode", "feature", "baselines"):
            one |= {"layout": layouts.layout_of(value), "value": layouts.read(plain[0], value)}
        yield one


def _take(found: Contents, key: bytes, value: bytes) -> None:
    if key.startswith(_DELIVERY):
        channel, _, episode_id = key[len(_DELIVERY) :].decode().partition("/")
        found.deliveries[channel, episode_id] = Entry.model_validate_json(value)
    elif key.startswith(_SILENCE):
        Silence.model_validate_json(value)
    elif key.startswith(_CHANGE):
        change_outbox.read_state(key, value)
    elif key == b"counts" or key.startswith(_HEALTH):
        if not isinstance(_json(value), dict) and (key == b"counts" or not isinstance(_json(value), list)):
            raise ValueError("it is no JSON object")
    else:
        found.book.restore([(key, value)])
        found.layouts[layouts.layout_of(value)] += 1
        plain = _json(key)
        if len(plain) > 3:
            at = FeatureKey(*plain[1:4])
            found.bytes_by[at] = found.bytes_by.get(at, 0) + len(key) + len(value)


def _json(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
