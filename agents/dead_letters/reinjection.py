"""Write refused events to the events topic again, each once, when they can be read now.

Events and the mark that names their letters are written in one Kafka transaction, so no crash can separate
them. The deployment has one transactional id: a new run fences the runs before it, and reads the marks only
then. So two people who start at the same time write each event once.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, ProducerFencedError

from agents.dead_letters.records import (
    MARK_HEADER,
    MARK_KEY,
    Identity,
    StoredLetter,
    encode_mark,
    read_marks,
)
from agents.kafka.connection import command_clients
from agents.kafka.topic_reader import BlockingTopicReader
from monitor.protocol.limits import FORWARDED_HEADER, MAX_AHEAD_US, POISON, VALUE_BYTES
from monitor.windows.segment_series import FINE_RETENTION_US
from schemas.config.connections import Kafka
from schemas.event_decoder import InvalidEvent, decode
from schemas.records import DeadLetter
from schemas.times import microseconds
from softfail.partitioning import partition_of

# header of an event that was refused once; its value is topic/partition/offset
REINJECTED = "softfail-reinjected"
MOST_LETTERS, MOST_BYTES = 200, 4 << 20  # of one transaction
MOST_OFFSETS = 1 << 63
MOST_MEMORY = 64 << 20  # bytes of values that a run keeps; the rest waits for the next run

Fetch = Callable[[str, int, int], Any | None]
"""Topic, partition and offset to the record there, None if it is gone."""


class Reinjection(NamedTuple):
    """An event that can be written again; ``source``: the refused record, ``how``: from where its value
    comes.
    """

    source: Identity
    letters_partition: int
    target: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    how: str


@dataclass
class ReinjectionPlan:
    """The events to write, why the others are skipped, and whether there are more than fit into a run."""

    ready: list[Reinjection] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    more: bool = False


def stored_value(letter: DeadLetter) -> bytes | None:
    """Return the refused value, if the letter holds all of it."""
    if letter.value is None or letter.size > VALUE_BYTES:
        return None
    try:
        value = base64.b64decode(letter.value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == letter.size else None


def judge(
    stored_letter: StoredLetter, fetch: Fetch, events: str, partitions: int, now_us: int
) -> Reinjection | str:
    """Return the event to write again, or why there is none.

    Args:
        events: full name of the events topic.
        partitions: how many it has.
        now_us: wall clock, microseconds since 1970.
    """
    letter = stored_letter.letter
    if letter.topic != events:
        return f"it came from {letter.topic}, not from {events}"
    if not (0 <= letter.partition < partitions and 0 <= letter.offset < MOST_OFFSETS):
        return "it names a place that cannot exist"
    if letter.value is None:
        return "the record had no value"
    if letter.error.startswith(POISON):
        return "it ended the workers that applied it"
    source = _source(letter, fetch)
    if isinstance(source, str):
        return source
    value, headers, how = source
    event = _read(value)
    if isinstance(event, str):
        return event
    time_us = microseconds(event.time)
    if time_us > now_us + MAX_AHEAD_US:
        return "its time still lies in the future"
    if time_us < now_us - FINE_RETENTION_US:
        how += "; older than 2 h, so counted as expired, not measured"
    # Without the header of forwarding: an event that has it may not lie in a wrong partition again.
    kept_headers = tuple((name, data) for name, data in headers if name not in (FORWARDED_HEADER, REINJECTED))
    mark = (REINJECTED, f"{letter.topic}/{letter.partition}/{letter.offset}".encode())
    target = partition_of(event.service, event.feature, partitions)
    return Reinjection(
        stored_letter.identity,
        stored_letter.partition,
        target,
        f"{event.service}/{event.feature}".encode(),
        value,
        (*kept_headers, mark),
        how,
    )


def _source(letter: DeadLetter, fetch: Fetch) -> tuple[bytes, list[tuple[str, bytes]], str] | str:
    """Return value, headers and origin of the record of a dead letter, or why it cannot be had."""
    stored = stored_value(letter)
    if stored is not None and isinstance(read := _read(stored), str):
        return read
    record = fetch(letter.topic, letter.partition, letter.offset)
    if (
        record is not None
        and record.timestamp == letter.timestamp
        and record.value is not None
        and len(record.value) == letter.size
    ):
        return record.value, [(name, data or b"") for name, data in record.headers], "from its source offset"
    if stored is not None:
        headers = [(name, text.encode()) for name, text in letter.headers]
        return stored, headers, "from the stored value, the source is gone"
    return "the source is gone, and only the first 64 KiB are stored"


def _read(value: bytes) -> Any:
    """Return the event, or why it still cannot be read."""
    try:
        return decode(value)
    except InvalidEvent as error:
        return (
            f"still cannot be read, field {error.field}"
            if error.field
            else "still cannot be read: no JSON object"
        )


def plan(
    letters: Iterable[StoredLetter],
    done: set[Identity],
    judge_letter: Callable[[StoredLetter], Reinjection | str],
    limit: int,
) -> ReinjectionPlan:
    """Judge letters in turn until ``limit`` events are ready.

    A record with two letters (its state was reset) is taken once.
    """
    result, seen, size = ReinjectionPlan(), set(done), 0
    for letter in letters:
        if letter.identity in seen:
            result.skipped["re-injected before" if letter.identity in done else "the same record twice"] += 1
            continue
        if len(result.ready) >= limit or size > MOST_MEMORY:
            result.more = True
            break
        seen.add(letter.identity)
        verdict = judge_letter(letter)
        if isinstance(verdict, str):
            result.skipped[verdict] += 1
        else:
            result.ready.append(verdict)
            size += len(verdict.value)
    return result


def inject(
    kafka: Kafka, ready: Sequence[Reinjection], progress: Callable[[int], None] = lambda n: None
) -> ReinjectionPlan:
    """Write events; skip those that somebody else has written since the plan was made.

    Args:
        progress: called with the number written so far after each transaction.

    Raises:
        KafkaError: nothing of the failed transaction was written; those before it are written and marked.
    """
    result, parts = ReinjectionPlan(), list(_parts(ready))[::-1]
    while parts:  # once, unless the broker finds an event too large
        _write(kafka, parts, result, progress)
    return result


def _write(
    kafka: Kafka, parts: list[list[Reinjection]], result: ReinjectionPlan, progress: Callable[[int], None]
) -> None:
    """Write parts from the last on. Return after a refused event: then the sequence numbers of the producer
    are no longer those of the broker.
    """
    producer = KafkaProducer(
        **command_clients(kafka),
        transactional_id=f"{kafka.prefix}.deadletters",
        enable_idempotence=True,
        acks="all",
        compression_type="gzip",
        max_request_size=16 << 20,
        max_block_ms=30_000,
        transaction_timeout_ms=60_000,
    )
    try:
        # fences earlier runs; what they wrote is readable from here on
        producer.init_transactions()
        with BlockingTopicReader(kafka) as reader:
            done = read_marks(reader, f"{kafka.prefix}.deadletter")
        while parts:
            part = [event for event in parts[-1] if event.source not in done]
            if part:
                _transact(producer, kafka.prefix, part)
            if len(part) < len(parts[-1]):
                result.skipped["re-injected by somebody else meanwhile"] += len(parts[-1]) - len(part)
            result.ready += part
            parts.pop()
            progress(len(result.ready))
    except MessageSizeTooLargeError:
        # the new header can make it too large; nothing of the part was written
        part = parts.pop()
        if len(part) == 1:
            result.skipped["the broker finds it too large"] += 1
        else:
            parts += [[event] for event in reversed(part)]
    finally:
        producer.close(timeout=10)


def _transact(producer: Any, prefix: str, part: Sequence[Reinjection]) -> None:
    futures: list[Any] = []  # also of a part that fails in the middle
    producer.begin_transaction()
    try:
        for event in part:
            sent = producer.send(
                f"{prefix}.events",
                value=event.value,
                key=event.key,
                partition=event.target,
                headers=list(event.headers),
            )
            futures.append(sent)
        for number in sorted({event.letters_partition for event in part}):
            mark = encode_mark([event.source for event in part if event.letters_partition == number])
            futures.append(
                producer.send(
                    f"{prefix}.deadletter",
                    value=mark,
                    key=MARK_KEY,
                    partition=number,
                    headers=[(MARK_HEADER, b"1")],
                )
            )
        producer.flush(timeout=30)
        for future in futures:
            future.get(timeout=30)
    except BaseException as error:
        # the first error says why; an open transaction ends with the next init, or by itself after 60 s
        with contextlib.suppress(Exception):
            producer.abort_transaction()
        # a later send says only that one failed
        causes = (error, *error.args, *(future.exception for future in futures if future.is_done))
        for cause in causes:
            if isinstance(cause, MessageSizeTooLargeError | ProducerFencedError):
                raise cause from None
        raise
    producer.commit_transaction()


def _parts(ready: Sequence[Reinjection]) -> Iterator[list[Reinjection]]:
    part: list[Reinjection] = []
    size = 0
    for event in ready:
        if part and (len(part) >= MOST_LETTERS or size + len(event.value) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.value)
    if part:
        yield part
