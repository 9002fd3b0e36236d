"""Silences as they lie in Kafka: those that the notifier has taken and those that it has yet to take; and
writing one.

A silence is a record on the alerts topic, so it is ordered with the episodes. Reading disturbs nobody: what
``notify`` keeps, then what stands behind its position on the alerts topic.
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
from monitor.delivery.alert_records import read_letter
from monitor.delivery.silences import MOST, Silences
from schemas.config.monitor_config import Kafka
from schemas.config.silences import LONGEST, match_of
from schemas.records import Silence
from schemas.times import microseconds

_STATE = b"silence/"
_PATIENCE_S = 30.0  # for the broker to take one record


async def known(kafka: Kafka, now: datetime) -> dict[str, Silence]:
    """The silences that were asked for, by id, over for a day at most.

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
    for value in await _behind(kafka, snapshot.position, now):
        with contextlib.suppress(ValueError):  # the notifier makes a dead letter of it
            if isinstance(letter := read_letter(value), Silence):
                silences.take(letter, now_us)
    return silences.records


async def _behind(kafka: Kafka, position: int | None, now: datetime) -> list[bytes]:
    """Values from this position of the alerts topic on that may be silences; None: of the last 31 days, for
    no silence lasts longer.
    """
    alerts, values = TopicPartition(f"{kafka.prefix}.{ALERTS}", 0), list[bytes]()
    async with TopicReader(kafka) as reader:
        end = (await reader.ends([alerts]))[alerts]
        if position is None:
            since_ms = int((now - LONGEST - timedelta(days=1)).timestamp() * 1000)
            position = (await reader.offsets_at([alerts], since_ms))[alerts]
        unread = range(end if position is None else min(position, end), end)
        async for records in reader.batches({alerts: unread}):
            # most are transitions and heartbeats
            values += [
                record.value
                for record in records
                if record.value is not None and b'"silence"' in record.value
            ]
    return values


def asked_for(
    match: str,
    length_s: float,
    reason: str,
    author: str,
    now: datetime,
    environments: list[str],
    severity: list[str],
) -> Silence:
    """A new silence that begins now.

    Raises:
        ValueError: one of these cannot be; names it and the remedy.
    """
    try:
        match_of(match)
    except ValueError as error:
        raise ValueError(f"match: {error}") from None
    if not 1 <= length_s <= LONGEST.total_seconds():
        raise ValueError(
            f"for: must be 1 s to {LONGEST.days} d; what lasts for ever is no silence: change routes or"
            " rules; what recurs stands under silences: in softfail.yaml"
        )
    if not reason.strip():
        raise ValueError("reason: is empty; say why, whoever is on call next will ask")
    for name, most, text in (("match", 300, match), ("author", 200, author), ("reason", 1000, reason)):
        if len(text) > most:
            raise ValueError(f"{name}: has {len(text)} characters, of {most} at most")
    if len(environments) > 20:
        raise ValueError("environment: more than 20; write one with *")
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


async def room(kafka: Kafka, now: datetime) -> None:
    """Return when one more silence may be asked for.

    Raises:
        Refused: there are too many.
    """
    if sum(one.ends_at > now for one in (await known(kafka, now)).values()) >= MOST:
        raise Refused(
            f"{MOST} silences are not over yet, and no more are kept; end some, or match more with one"
        )


async def ended(kafka: Kafka, silence_id: str, now: datetime) -> Silence:
    """The silence of this id, over from now on.

    Raises:
        Refused: there is none, or it is over.
    """
    silence = (await known(kafka, now)).get(silence_id)
    if silence is None:
        where = (
            "; it stands in softfail.yaml: take it out there"
            if silence_id.startswith("silences[")
            else "; python -m agents silence list has them"
        )
        raise Refused(f"there is no silence {silence_id}{where}")
    if silence.ends_at <= now:
        raise Refused(
            f"silence {silence_id} is over since {silence.ends_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
    return silence.model_copy(update={"ends_at": max(now, silence.starts_at), "time": now})


def write(kafka: Kafka, silence: Silence) -> None:
    """Put it on the alerts topic; blocks until the brokers have it.

    Raises:
        KafkaError: they do not take it.
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
