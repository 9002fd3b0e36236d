"""Read dead letters from ``PREFIX.deadletter``, and which of them were written to the events again.

A *mark* is a record in the same topic that names letters which were re-injected. It lies in the partition of
its letters and behind them, so Kafka's retention never deletes it before them. What makes it a mark is a
header: a dead letter has the key of the refused record, which comes from outside, but no headers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from agents.kafka.topic_reader import BlockingTopicReader
from monitor.protocol.messages import to_json
from schemas.records import DeadLetter

MARK_KEY, MARK_HEADER = b"reinjected", "softfail-mark"


class Identity(NamedTuple):
    """The refused record. Its append time distinguishes a re-created topic from the old one."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None


class StoredLetter(NamedTuple):
    """A dead letter, its partition in the dead letter topic, and when it was written (ms since 1970)."""

    letter: DeadLetter
    partition: int
    refused_ms: int

    @property
    def identity(self) -> Identity:
        """The refused record."""
        return Identity(self.letter.topic, self.letter.partition, self.letter.offset, self.letter.timestamp)


class LetterFilter(NamedTuple):
    """Selects letters: ``reason`` is a part of the error, ``field`` is exact, ``since_ms`` is when they were
    refused at the earliest. None selects any.
    """

    reason: str | None = None
    field: str | None = None
    since_ms: int | None = None

    def __call__(self, stored: StoredLetter) -> bool:
        """Return whether a letter is selected."""
        letter = stored.letter
        return (
            (self.reason is None or self.reason.casefold() in letter.error.casefold())
            and (self.field is None or self.field == letter.field)
            and (self.since_ms is None or stored.refused_ms >= self.since_ms)
        )


def encode_mark(identities: Sequence[Identity]) -> bytes:
    """Encode a mark.

    >>> encode_mark([Identity("softfail.events", 3, 17, 1772442000000)])
    b'{"reinjected":[["softfail.events",3,17,1772442000000]]}'
    """
    return to_json({"reinjected": identities})


class _Mark(msgspec.Struct):
    reinjected: list[tuple[str, int, int, int | None]]


def is_mark(record: Any) -> bool:
    """Return whether a record of the dead letter topic is a mark and no letter."""
    return record.key == MARK_KEY and any(name == MARK_HEADER for name, _ in record.headers)


def decode_mark(value: bytes) -> list[Identity]:
    """Decode a mark: the refused records that it names.

    Raises:
        ValueError: it cannot be read, so it is unknown what was re-injected.
    """
    try:
        return [Identity(*identity) for identity in msgspec.json.decode(value, type=_Mark).reinjected]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(
            f"a mark of re-injected letters cannot be read: {error}; run the release that wrote it"
        ) from None


def read_marks(reader: BlockingTopicReader, topic: str, since_ms: int | None = None) -> set[Identity]:
    """Return the records that were re-injected, by the marks written at ``since_ms`` or later."""
    return {
        identity
        for record in reader.records(topic, since_ms)
        if is_mark(record)
        for identity in decode_mark(record.value)
    }


def read_letters(
    reader: BlockingTopicReader, topic: str, since_ms: int | None = None
) -> Iterator[StoredLetter | None]:
    """Read the dead letters without marks; None for each record that is no dead letter of this release."""
    for record in reader.records(topic, since_ms):
        if is_mark(record):
            continue
        try:
            yield StoredLetter(
                DeadLetter.model_validate_json(record.value or b""), record.partition, record.timestamp
            )
        except ValidationError:
            yield None
