"""Every topic of softfail: how many partitions, and what Kafka keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """One topic. ``partitions`` None: as many as ``kafka.partitions`` says."""

    name: str
    partitions: int | None
    settings: Mapping[str, str]
    """What it is created with."""
    must: frozenset[str] = frozenset({"cleanup.policy"})
    """Settings without which the worker would be wrong, and so refuses to start."""


class TopicDescription(NamedTuple):
    """A topic as a broker has it."""

    partitions: int
    settings: Mapping[str, str]


class Fault(NamedTuple):
    """What is wrong with a topic, with its remedy. ``fatal``: a worker must not run on it."""

    fatal: bool
    text: str


_STATE = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 << 20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}

TOPICS: tuple[Topic, ...] = (
    Topic(
        "events",
        None,
        {
            "cleanup.policy": "delete",
            "retention.ms": str(7 * DAY_MS),
            "message.timestamp.type": "LogAppendTime",
        },
        frozenset({"cleanup.policy", "message.timestamp.type"}),
    ),
    Topic("watch.state", None, _STATE),
    Topic("windows", 16, {"cleanup.policy": "compact,delete", "retention.ms": str(30 * DAY_MS)}),
    Topic("alerts", 1, {"cleanup.policy": "delete", "retention.ms": str(90 * DAY_MS)}),
    Topic("notify.state", 1, _STATE),
    Topic(
        "samples",
        4,
        {"cleanup.policy": "delete", "retention.ms": str(3 * DAY_MS), "retention.bytes": str(1 << 30)},
        frozenset(),
    ),
    Topic(
        "deadletter",
        4,
        {"cleanup.policy": "delete", "retention.ms": str(3 * DAY_MS), "retention.bytes": str(1 << 30)},
        frozenset(),
    ),
)
"""In the order in which they are created. ``windows`` has 16 partitions whatever the events have."""


def source_of(state: str) -> str | None:
    """The topic whose positions a state topic keeps, so that both must have the same number of partitions.

    >>> source_of("watch.state"), source_of("notify.state"), source_of("events")
    ('events', 'alerts', None)
    """
    return {"watch.state": "events", "notify.state": "alerts"}.get(state)


def faults(found: Mapping[str, TopicDescription], prefix: str, partitions: int) -> list[Fault]:
    """What is wrong with the topics of a broker.

    Args:
        found: full name -> what the broker says; a topic that is missing is missing here.
        partitions: ``kafka.partitions``.
    """
    result: list[Fault] = []
    for topic in TOPICS:
        name = f"{prefix}.{topic.name}"
        if name not in found:
            result.append(Fault(True, f"topic {name} does not exist; run: python -m agents topics"))
            continue
        result += _wrong_partitions(topic, found, prefix, partitions)
        for key, wanted in topic.settings.items():
            has = found[name].settings.get(key, "")
            if not _same(has, wanted):
                value = f"[{wanted}]" if "," in wanted else wanted
                remedy = (
                    f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config"
                    f" {key}={value}"
                )
                result.append(
                    Fault(
                        key in topic.must,
                        f"topic {name} has {key}={has}, it should be {wanted}; run: {remedy}",
                    )
                )
    return result


def _wrong_partitions(
    topic: Topic, found: Mapping[str, TopicDescription], prefix: str, partitions: int
) -> list[Fault]:
    name = f"{prefix}.{topic.name}"
    count = found[name].partitions
    remedy = "the number is fixed when topics are created: take a new kafka.prefix, drain the old one, switch"
    source = f"{prefix}.{source_of(topic.name)}"
    if source in found:
        has = found[source].partitions
        return (
            []
            if has == count
            else [
                Fault(
                    True, f"topic {name} has {count} partitions, but its source {source} has {has}; {remedy}"
                )
            ]
        )
    if topic.name == "alerts" and count != 1:
        return [
            Fault(
                True, f"topic {name} has {count} partitions, it must have 1 (order over everything); {remedy}"
            )
        ]
    if topic.name == "events" and count != partitions:
        return [
            Fault(
                False,
                f"topic {name} has {count} partitions, kafka.partitions says {partitions}: set"
                f" kafka.partitions to {count}",
            )
        ]
    return []


def _same(has: str, wanted: str) -> bool:
    return sorted(has.replace(" ", "").split(",")) == sorted(wanted.split(","))
