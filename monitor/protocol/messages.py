"""What the shell and the core agree on: records in, messages out, changed state to keep.

The live agents, ``replay`` and the tests call a ``Core`` in the same way; there is no second path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

to_json = msgspec.json.Encoder().encode
"""How records are written: UTF-8 JSON, keys in the order in which they stand."""


class Record(Protocol):
    """One Kafka record, as aiokafka's ``ConsumerRecord`` has it. ``timestamp`` is the append time in ms, None
    in a file.
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
    """A record that came from a file or a test instead of Kafka."""

    value: bytes | None
    offset: int = 0
    timestamp: int | None = None
    key: bytes | None = None
    topic: str = "file"
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class Message(NamedTuple):
    """One record to write. ``partition`` None: that of the source, modulo the topic's number."""

    key: bytes | None
    value: bytes
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Outputs:
    """What one step produced: topic (its last part, as in ``softfail.windows``) -> messages, and ``order``:
    all of them as they came.
    """

    messages: dict[str, list[Message]] = field(default_factory=dict)
    order: list[tuple[str, Message]] = field(default_factory=list)

    def add(self, topic: str, message: Message) -> None:
        """Append a message for ``windows``, ``alerts``, ``samples``, ``deadletter`` or ``events``
        (forwarded).
        """
        self.messages.setdefault(topic, []).append(message)
        self.order.append((topic, message))

    def extend(self, other: Outputs) -> None:
        """Append all of another step's messages, in order."""
        for topic, message in other.order:
            self.add(topic, message)

    def __bool__(self) -> bool:
        return any(self.messages.values())


class Core(Protocol):
    """All that is known about one partition, as a value. It is never touched by two threads."""

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Take records in the order of the log. ``now_us`` is the wall clock, microseconds since 1970, for
        ``decided_at`` only.
        """

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """State records (key, value; None deletes) that differ since the last call. Asking empties the list."""

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take back, in the order of the log, what ``changed`` gave. Only on a fresh object.

        Raises:
            ValueError: a record cannot be read; the message names its key.
        """
