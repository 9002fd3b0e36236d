"""The interface between the core and its caller: records in, messages out, changed state to keep.

The live agents, ``replay`` and the tests call a ``Core`` in the same way; there is no second path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import msgspec

to_json = msgspec.json.Encoder().encode
"""Encode a record as UTF-8 JSON; keys keep their order."""


class Record(Protocol):
    """One Kafka record, as aiokafka's ``ConsumerRecord``. ``timestamp``: the append time in ms, None in a
    file.
    """

    @property
    def topic(self) -> str: ...  # noqa: D102

    @property
    def partition(self) -> int: ...  # noqa: D102

    @property
    def offset(self) -> int: ...  # noqa: D102

    @property
    def timestamp(self) -> int | None: ...  # noqa: D102

    @property
    def key(self) -> bytes | None: ...  # noqa: D102

    @property
    def value(self) -> bytes | None: ...  # noqa: D102

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


class FileRecord(NamedTuple):
    """A record from a file or a test instead of Kafka."""

    value: bytes | None
    offset: int = 0
    timestamp: int | None = None
    key: bytes | None = None
    topic: str = "file"
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class Message(NamedTuple):
    """One record to write. ``partition`` None: that of the source, modulo the partitions of the topic."""

    key: bytes | None
    value: bytes
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class OutputRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="record"):
    """A record of an output topic. Its tag is its kind, and the first JSON field (``record``)."""


@dataclass(slots=True)
class Outputs:
    """The messages that one step produced.

    ``messages``: topic (its last part, as in ``softfail.windows``) -> messages. ``order``: all of them in the
    order in which they were written. ``records``: topic -> the typed records among them, so that no caller in
    this process decodes a record that was just encoded; ``record_order``: these records as in ``order``.
    """

    messages: dict[str, list[Message]] = field(default_factory=dict)
    order: list[tuple[str, Message]] = field(default_factory=list)
    records: dict[str, list[OutputRecord]] = field(default_factory=dict)
    record_order: list[tuple[str, OutputRecord]] = field(default_factory=list)

    def write(self, topic: str, key: bytes, record: OutputRecord, partition: int | None = None) -> None:
        """Encode a record, and append it as a message and as a record."""
        self.add(topic, Message(key, to_json(record), partition))
        self.records.setdefault(topic, []).append(record)
        self.record_order.append((topic, record))

    def add(self, topic: str, message: Message) -> None:
        """Append a message for ``windows``, ``alerts``, ``samples``, ``deadletter`` or ``events``
        (forwarded).
        """
        self.messages.setdefault(topic, []).append(message)
        self.order.append((topic, message))

    def extend(self, other: Outputs) -> None:
        """Append all messages and records of another step, in order."""
        for topic, message in other.order:
            self.add(topic, message)
        for topic, records in other.records.items():
            self.records.setdefault(topic, []).extend(records)
        self.record_order += other.record_order

    def __bool__(self) -> bool:
        return any(self.messages.values())


AsideReason = Literal["poison", "too large"]
"""Why a record is not applied: it ended the process twice, or it is too large to be decompressed."""


class Core(Protocol):
    """The state of one partition as a value. Two threads never touch it."""

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Apply records in the order of the log.

        ``now_us``: the wall clock, microseconds since 1970; for ``decided_at`` only.
        """

    def set_aside(self, record: Record, reason: AsideReason, error: str, records: int = 1) -> Outputs:
        """Count records that must not be applied; return the dead letter of the last one.

        Args:
            reason: the label under which it is counted.
            error: why, and the remedy.
            records: how many are passed.
        """

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records (key, value; None deletes) that differ since the last call, and empty the
        list.
        """

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Restore, in the order of the log, the records that ``changed`` returned. Only on a fresh object.

        Raises:
            ValueError: a record cannot be read; the message names its key.
        """
