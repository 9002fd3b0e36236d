"""The source topics as they were when the worker started, and what has become of them since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from faust.types import TP

from agents.kafka.topic_ids import TopicIdentity

_FIXED = (
    "the number is fixed when topics are created: take another kafka.prefix, drain the old topics, switch"
    " (docs/operations.md, More partitions)"
)


class SourceTopics:
    """Identities of the source topics at the start.

    Attributes:
        missing: topics that were there at the start and are not there now.
    """

    def __init__(self, identities: Mapping[str, TopicIdentity]) -> None:
        self._identities = dict(identities)
        self.missing: tuple[str, ...] = ()

    def facts(self, topic: str) -> dict[str, Any]:
        """Return the facts of a topic for the header of its state."""
        identity = self._identities.get(topic)
        return {} if identity is None or not identity.topic_id else {"topic_id": identity.topic_id}

    def assignment_fault(self, tps: Collection[TP]) -> str | None:
        """Return why these partitions cannot be owned; None: they can."""
        for tp in sorted(tps):
            identity = self._identities.get(tp.topic)
            if identity is not None and tp.partition >= identity.partitions:
                return f"topic {tp.topic} had {identity.partitions} partitions and has more now; {_FIXED}"
        return None

    def observe(self, now: Mapping[str, TopicIdentity]) -> str | None:
        """Compare with the identities now; return the fault that a person must correct, or None.

        A topic that is gone is noted in ``missing``: it may come back.
        """
        self.missing = tuple(topic for topic in self._identities if topic not in now)
        for topic, before in self._identities.items():
            if (identity := now.get(topic)) is None:
                continue
            if before.topic_id and identity.topic_id and identity.topic_id != before.topic_id:
                return (
                    f"topic {topic} was deleted and created again (its id was {before.topic_id}, now it is"
                    f" {identity.topic_id}); its state counts records that are gone. Stop the workers and run:"
                    " python -m agents state reset, or take another kafka.prefix"
                )
            if identity.partitions != before.partitions:
                return (
                    f"topic {topic} had {before.partitions} partitions, now it has {identity.partitions};"
                    f" {_FIXED}"
                )
        return None
