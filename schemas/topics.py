"""The topics of softfail: partitions and settings, and what is wrong with those of a broker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """One topic. ``partitions`` is None if ``kafka.partitions`` decides."""

    name: str
    partitions: int | None
    settings: Mapping[str, str]
    """Settings with which the topic is created."""
    required: frozenset[str] = frozenset({"cleanup.policy"})
    """Settings that the worker requires: with another value it refuses to start."""
    only_for: str = ""
    """The agent without which the topic is not needed."""


class TopicDescription(NamedTuple):
    """A topic as the broker describes it."""

    partitions: int
    settings: Mapping[str, str]


class TopicFault(NamedTuple):
    """A fault of a topic, with its remedy. ``fatal``: a worker must not run with it."""

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
    Topic("judge.state", None, _STATE, only_for="judge"),
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
"""All topics, in the order in which they are created."""


def source_of(state: str) -> str | None:
    """Return the topic whose positions a state topic stores; both need the same number of partitions.

    >>> source_of("watch.state"), source_of("notify.state"), source_of("events")
    ('events', 'alerts', None)
    """
    return {"watch.state": "events", "notify.state": "alerts", "judge.state": "events"}.get(state)


def faults(
    descriptions: Mapping[str, TopicDescription], prefix: str, partitions: int, agents: Collection[str] = ()
) -> list[TopicFault]:
    """List the faults of the topics of a broker.

    Args:
        descriptions: full name -> description; without the topics that do not exist.
        prefix: ``kafka.prefix``.
        partitions: ``kafka.partitions``.
        agents: those that need topics of their own.
    """
    result: list[TopicFault] = []
    for topic in TOPICS:
        name = f"{prefix}.{topic.name}"
        if name not in descriptions:
            if topic.only_for and topic.only_for not in agents:
                continue
            result.append(TopicFault(True, f"topic {name} does not exist; run: python -m agents topics"))
            continue
        result += _wrong_partitions(topic, descriptions, prefix, partitions)
        for key, expected in topic.settings.items():
            actual = descriptions[name].settings.get(key, "")
            if not _same(actual, expected):
                value = f"[{expected}]" if "," in expected else expected
                remedy = (
                    f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config"
                    f" {key}={value}"
                )
                result.append(
                    TopicFault(
                        key in topic.required,
                        f"topic {name} has {key}={actual}, it should be {expected}; run: {remedy}",
                    )
                )
    return result


def _wrong_partitions(
    topic: Topic, descriptions: Mapping[str, TopicDescription], prefix: str, partitions: int
) -> list[TopicFault]:
    name = f"{prefix}.{topic.name}"
    count = descriptions[name].partitions
    remedy = (
        "the number is fixed when topics are created: use a new kafka.prefix, drain the old topics, switch"
    )
    source = f"{prefix}.{source_of(topic.name)}"
    if source in descriptions:
        source_count = descriptions[source].partitions
        return (
            []
            if source_count == count
            else [
                TopicFault(
                    True,
                    f"topic {name} has {count} partitions, but its source {source} has {source_count}; "
                    f"{remedy}",
                )
            ]
        )
    if topic.name == "alerts" and count != 1:
        return [
            TopicFault(
                True, f"topic {name} has {count} partitions, it must have 1 (order over everything); {remedy}"
            )
        ]
    if topic.name == "events" and count != partitions:
        return [
            TopicFault(
                False,
                f"topic {name} has {count} partitions, kafka.partitions says {partitions}: set"
                f" kafka.partitions to {count}",
            )
        ]
    return []


def _same(actual: str, expected: str) -> bool:
    return sorted(actual.replace(" ", "").split(",")) == sorted(expected.split(","))
