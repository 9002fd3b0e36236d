"""Read and write silences in Kafka.

A silence is a record on the alerts topic, so it is ordered with the episodes. The notifier keeps the silences
that it has read; those behind its position are read from the topic. Reading disturbs no worker.
"""

from __future__ import annotations

import contextlib
import secrets
from datetime import UTC, datetime, timedelta

from aiokafka import TopicPartition
from kafka import KafkaProducer

from agents.kafka.connection import command_clients
from agents.kafka.state_topic import StateTopic
from agents.kafka.topic_reader import TopicReader
from agents.kafka.topics import ALERTS
from agents.process.exits import Refused
from monitor.delivery.alert_records import read_alert_record
from monitor.delivery.silences import MOST, Silences
from schemas.config.connections import Kafka
from schemas.config.silences import LONGEST, match_of
from schemas.record_kinds import record_kind
from schemas.records import Silence
from schemas.times import microseconds

_STATE = b"silence/"
_PATIENCE_S = 30.0  # for the broker to take one record


async def read_silences(kafka: Kafka, now: datetime) -> dict[str, Silence]:
    """Return the silences of the command and the web page by id; those that ended more than a day ago are
    left out.

    Raises:
        Refused: the topics are missing, or a transaction stays open.
    """
    state = StateTopic(kafka, "notify")
    await state.partitions(0)
    (snapshot,) = await state.read([0])
    silences, now_us = Silences(), microseconds(now)
    silences.restore(
        Silence.model_validate_json(value)
        for key, value in snapshot.records.items()
        if key.startswith(_STATE)
    )
    silences.drop_expired(now_us)
    for value in await _unread_values(kafka, snapshot.position, now):
        with contextlib.suppress(ValueError):  # the notifier makes it a dead letter
            if isinstance(record := read_alert_record(value), Silence):
                silences.take(record, now_us)
    return silences.records


async def _unread_values(kafka: Kafka, position: int | None, now: datetime) -> list[bytes]:
    """Read the silences from this position of the alerts topic on, undecoded.

    None: read the last 31 days, because no silence lasts longer.
    """
    alerts, values = TopicPartition(f"{kafka.prefix}.{ALERTS}", 0), list[bytes]()
    async with TopicReader(kafka) as reader:
        end = (await reader.ends([alerts]))[alerts]
        if position is None:
            since_ms = int((now - LONGEST - timedelta(days=1)).timestamp() * 1000)
            position = (await reader.offsets_at([alerts], since_ms))[alerts]
        unread = range(end if position is None else min(position, end), end)
        async for records in reader.batches({alerts: unread}):
            values += [
                record.value
                for record in records
                if record.value is not None and record_kind(record.value, record.headers) == "silence"
            ]
    return values


def new_silence(
    match: str,
    length_s: float,
    reason: str,
    author: str,
    now: datetime,
    environments: list[str],
    severity: list[str],
) -> Silence:
    """Make a silence that begins now.

    Raises:
        ValueError: an argument is invalid; the message names it and the remedy.
    """
    try:
        match_of(match)
    except ValueError as error:
        raise ValueError(f"match: {error}") from None
    if not 1 <= length_s <= LONGEST.total_seconds():
        raise ValueError(
            f"for: must be 1 s to {LONGEST.days} d; to hold back deliveries for longer, change routes or"
            " rules; recurring silences stand under silences: in softfail.yaml"
        )
    if not reason.strip():
        raise ValueError("reason: is empty; say why, for whoever is on call next")
    for name, most, text in (("match", 300, match), ("author", 200, author), ("reason", 1000, reason)):
        if len(text) > most:
            raise ValueError(f"{name}: has {len(text)} characters; at most {most} are allowed")
    if len(environments) > 20:
        raise ValueError("environment: more than 20; use a pattern with *")
    if any(not _is_text(environment) for environment in environments):
        raise ValueError("environment: contains half of a character (a lone surrogate)")
    return Silence.model_validate(
        {
            "record": "silence",
            "silence_id": secrets.token_hex(4),
            "match": match,
            "environments": environments,
            "severity": severity,
            "starts_at": now,
            "ends_at": now + timedelta(seconds=length_s),
            "author": author,
            "reason": reason,
            "time": now,
        }
    )


async def require_space(kafka: Kafka, now: datetime) -> None:
    """Return when one more silence may be added.

    Raises:
        Refused: there are too many.
    """
    if sum(silence.ends_at > now for silence in (await read_silences(kafka, now)).values()) >= MOST:
        raise Refused(
            f"{MOST} silences are active or planned, and no more can be kept; end some, or use wider patterns"
        )


async def end_silence(kafka: Kafka, silence_id: str, now: datetime) -> Silence:
    """Return the silence of this id with its end set to now.

    Raises:
        Refused: there is no such silence, or it has ended.
    """
    silence = (await read_silences(kafka, now)).get(silence_id)
    if silence is None:
        where = (
            "; it is configured in softfail.yaml: remove it there"
            if silence_id.startswith("silences[")
            else "; python -m agents silence list shows them"
        )
        raise Refused(f"there is no silence {silence_id}{where}")
    if silence.ends_at <= now:
        raise Refused(
            f"silence {silence_id} ended at {silence.ends_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
    return silence.model_copy(update={"ends_at": max(now, silence.starts_at), "time": now})


def write_silence(kafka: Kafka, silence: Silence) -> None:
    """Write a silence to the alerts topic and wait until the brokers have it.

    Raises:
        KafkaError: they do not accept it.
    """
    producer = KafkaProducer(
        **command_clients(kafka), acks="all", enable_idempotence=True, max_block_ms=30_000
    )
    try:
        producer.send(
            f"{kafka.prefix}.{ALERTS}",
            key=_STATE + silence.silence_id.encode(),
            value=silence.model_dump_json().encode(),
            partition=0,
        ).get(_PATIENCE_S)
    finally:
        producer.close(timeout=10)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
