"""Read which features send events, from the windows that workers have published."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from agents.kafka.topic_reader import TopicReader
from schemas.config.connections import Kafka
from schemas.times import microseconds

SINCE = timedelta(minutes=65)
PATIENCE_S = 10.0
Feature = tuple[str, str, str]
"""Service, feature and environment."""


class _Labels(msgspec.Struct):
    service: str
    feature: str
    environment: str


async def read_known_features(kafka: Kafka, now: datetime, enough: Callable[[Feature], bool]) -> set[Feature]:
    """Return the features with a window of the last hour; the reading stops at one that is ``enough``.

    Empty if not all could be read within 10 s: then it is not known what is missing.
    """
    known: set[Feature] = set()
    decode = msgspec.json.Decoder(_Labels).decode
    try:
        async with asyncio.timeout(PATIENCE_S), TopicReader(kafka, patience_s=PATIENCE_S) as reader:
            partitions = await reader.partitions(f"{kafka.prefix}.windows")
            ranges = await reader.ranges(partitions, microseconds(now - SINCE) // 1000)
            async for records in reader.batches(ranges):
                for record in records:
                    try:
                        labels = decode(record.value or b"")
                    except (msgspec.MsgspecError, RecursionError):
                        continue
                    feature = labels.service, labels.feature, labels.environment
                    if feature not in known and enough(feature):
                        return {feature}
                    known.add(feature)
    except TimeoutError:
        return set()
    return known
