"""Dead letters as they lie in ``PREFIX.deadletter``: read them, and know which were written to the events
again.

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
    """Which record was refused. The append time tells a topic that was made anew from the old one."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None


class StoredLetter(NamedTuple):
    """A dead letter, the partition of the dead letter topic that it lies in, and when it was written, ms
    since 1970.
    """

    letter: DeadLetter
    partition: int
    refused_ms: int

    @property
    def identity(self) -> Identity:
        """Which record was refused."""
        return Identity(self.letter.topic, self.letter.partition, self.letter.offset, self.letter.timestamp)


class LetterFilter(NamedTuple):
    """Which letters are meant: ``reason`` a part of the error, ``field`` exactly, ``since_ms`` when they were
    refused; None: any.
    """

    reason: str | None = None
    field: str | None = None
    since_ms: int | None = None

    def __call__(self, found: StoredLetter) -> bool:
        """Whether this letter is meant."""
        letter = found.letter
        return (
            (self.reason is None or self.reason.casefold() in letter.error.casefold())
            and (self.field is None or self.field == letter.field)
            and (self.since_ms is None or found.refused_ms >= self.since_ms)
        )


def mark_of(identities: Sequence[Identity]) -> bytes:
    """The value of a mark.

    >>> mark_of([Identity("softfail.events", 3, 17, 1772442000000)])
    b'{"reinjected":[["softfail.events",3,17,1772442000000]]}'
    """
    return to_json({"reinjected": identities})


class _Mark(msgspec.Struct):
    reinjected: list[tuple[str, int, int, int | None]]


def is_mark(record: Any) -> bool:
    """Whether a record of the dead letter topic is a mark and no letter."""
    return record.key == MARK_KEY and any(name == MARK_HEADER for name, _ in record.headers)


def marked(value: bytes) -> list[Identity]:
    """Which letters a mark names.

    Raises:
        ValueError: it cannot be read; then nobody knows what was re-injected.
    """
    try:
        return [Identity(*one) for one in msgspec.json.decode(value, type=_Mark).reinjected]
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"a mark of re-injected letters cannot be read: {error}; run the release that wrote it"
        ) from None


def marks(reader: BlockingTopicReader, topic: str, since_ms: int | None = None) -> set[Identity]:
    """Which letters were re-injected, as far as marks written at ``since_ms`` or later say it."""
    return {
        one for record in reader.records(topic, since_ms) if is_mark(record) for one in marked(record.value)
    }


def letters(
    reader: BlockingTopicReader, topic: str, since_ms: int | None = None
) -> Iterator[StoredLetter | None]:
    """The dead letters, without marks; None for each record that is no dead letter of this release."""
    for record in reader.records(topic, since_ms):
        if is_mark(record):
            continue
        try:
            yield StoredLetter(
                DeadLetter.model_validate_json(record.value or b""), record.partition, record.timestamp
            )
        except ValidationError:
            yield None
