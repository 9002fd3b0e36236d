"""Independent oracle: the outputs expected from the records of a topic. It uses only the standard library and
shares no code with the product.

INTERFACE

- ``compute(records, settings, partitions) -> Truth``. ``records``: every record of the events topic
  (partitions in any order, each by offset), with attributes partition, offset, timestamp (append time, ms),
  key, value, headers. Forwarded copies are among them. ``settings``: ``corpus.settings()``. ``partitions``:
  number of partitions of the topic.
- ``Truth.windows: dict[bytes, dict]``: Kafka key -> the last revision, in the form of the windows topic.
- ``Truth.dead_letters: list[tuple[str, str]]``: ("PARTITION-OFFSET", class), sorted; class is ``empty``,
  ``unreadable``, ``invalid:FIELD``, ``future`` or ``misplaced``.
- ``Truth.forwarded: list[str]``: "PARTITION-OFFSET" of records that must be forwarded; ``Truth.copies:
  list[str]``: of their copies.
- ``Truth.lost_forwards``, ``Truth.doubled_forwards: list[str]``: originals without exactly one copy in the
  right partition.
- ``Truth.transitions: list[dict]``: as in the alerts topic without ``decided_at``, sorted by (service,
  feature, environment, time, ...).
- ``Truth.episodes: list[dict]``: per episode: episode_id, service, feature, environment, severity, urgency,
  opened, resolved (None while open), rules (sorted).
- ``Truth.expired``, ``Truth.late: int``; ``Truth.edges: dict[int, str]``: partition -> the last edge that its
  records close (RFC 3339).
- ``Truth.compared_until: str``: compare transitions and episodes until this edge (the least of ``edges``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.durability.soak import oracle_events as events
from tests.durability.soak.oracle_partition import Partition, rfc3339


@dataclass
class Truth:
    """Outputs expected from the records; see the interface above."""

    windows: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    dead_letters: list[tuple[str, str]] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    lost_forwards: list[str] = field(default_factory=list)
    doubled_forwards: list[str] = field(default_factory=list)
    transitions: list[dict[str, Any]] = field(default_factory=list)
    episodes: list[dict[str, Any]] = field(default_factory=list)
    expired: int = 0
    late: int = 0
    edges: dict[int, str] = field(default_factory=dict)

    @property
    def compared_until(self) -> str:
        """Transitions and episodes are compared until this edge. The wall clock closes later edges, and the
        log does not contain its time.
        """
        return min(self.edges.values(), default="")


def compute(records: Iterable[Any], settings: dict[str, Any], partitions: int) -> Truth:
    """Compute the expected outputs of an events topic whose end is the end of time (``Watch.finish``).

    Args:
        records: all of them, each with partition, offset, timestamp (ms, append time), key, value and
            headers.
        settings: of softfail, from ``corpus.settings()``.
        partitions: number of partitions of the topic.

    Raises:
        ValueError: the settings contain a rule that the oracle does not implement.
        KeyError: a text is not in ``oracle_verdicts.TEXTS``.
    """
    truth, parts = Truth(), [Partition(settings, number, partitions) for number in range(partitions)]
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        parts[record.partition].take(record)
    for number, part in enumerate(parts):
        if part.edge_us is not None:
            truth.edges[number] = rfc3339(part.edge_us)
        part.finish()
        truth.windows.update(part.windows())
        truth.dead_letters += [(f"{number}-{offset}", why) for offset, why in part.refused]
        truth.transitions += [
            {**transition, "time": rfc3339(edge_us)} for edge_us, transition in part.desk.transitions
        ]
        truth.episodes += [_episode(key, episode) for key, episode in part.desk.episodes]
        truth.expired += part.expired
        truth.late += part.late
    _match_copies(parts, truth)
    truth.dead_letters.sort()
    truth.transitions.sort(key=lambda item: json.dumps([item["time"], item["incident_id"], item["state"]]))
    truth.episodes.sort(key=lambda item: json.dumps([item["opened"], item["episode_id"]]))
    return truth


def _match_copies(parts: list[Partition], truth: Truth) -> None:
    """Compare the misplaced records with their copies: each has exactly one, in its own partition, with its
    origin.
    """
    owed: dict[tuple[int, str, bytes], list[str]] = {}
    for number, part in enumerate(parts):
        for offset, record in part.forwarded:
            event = events.parsed(record.value)
            target = events.partition_of(event["service"], event["feature"], len(parts))
            owed.setdefault((target, str(number), record.value), []).append(f"{number}-{offset}")
            truth.forwarded.append(f"{number}-{offset}")
    copy_counts: Counter[tuple[int, str, bytes]] = Counter()
    for number, part in enumerate(parts):
        for offset, record in part.copies:
            origin = next(data.decode() for name, data in record.headers if name == events.FORWARDED)
            copy_counts[number, origin, record.value] += 1
            truth.copies.append(f"{number}-{offset}")
    for identity, names in owed.items():
        truth.lost_forwards += names[copy_counts[identity] :]
        truth.doubled_forwards += names[:1] * max(0, copy_counts[identity] - len(names))
    for identity in copy_counts.keys() - owed.keys():
        truth.doubled_forwards += [f"a copy in {identity[0]} of nothing in {identity[1]}"] * copy_counts[
            identity
        ]


def _episode(key: tuple[str, str, str], episode: Any) -> dict[str, Any]:
    return {
        "episode_id": episode.name,
        "service": key[0],
        "feature": key[1],
        "environment": key[2],
        "severity": episode.severity,
        "urgency": episode.urgency,
        "started": rfc3339(episode.started_us),
        "opened": rfc3339(episode.opened_us),
        "resolved": None if episode.resolved_us is None else rfc3339(episode.resolved_us),
        "rules": sorted(episode.rules),
    }
