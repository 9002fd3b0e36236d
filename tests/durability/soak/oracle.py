"""The independent oracle: what must come of the records that a topic really holds. Standard library only; it
shares no code with the product.

INTERFACE

- ``compute(records, settings, partitions) -> Truth``. ``records``: every record of the events topic (any
  order of partitions; within one by offset), with attributes partition, offset, timestamp (append, ms), key,
  value, headers. Forwarded copies are among them: they lie in the topic like any other. ``settings``:
  ``corpus.settings()``. ``partitions``: of the topic.
- ``Truth.windows: dict[bytes, dict]``: Kafka key -> the last revision, as the record in the windows topic has
  it.
- ``Truth.dead_letters: list[tuple[str, str]]``: ("PARTITION-OFFSET", class), sorted; class is ``empty``,
  ``unreadable``, ``invalid:FIELD``, ``future`` or ``misplaced``.
- ``Truth.forwarded: list[str]``: "PARTITION-OFFSET" of records that must have been sent on; ``Truth.copies:
  list[str]``: of those that are copies.
- ``Truth.lost_forwards``, ``Truth.doubled_forwards: list[str]``: originals without exactly one copy in the
  right partition.
- ``Truth.transitions: list[dict]``: as in the alerts topic without ``decided_at``, sorted by (service,
  feature, environment, time, ...).
- ``Truth.episodes: list[dict]``: one an episode: episode_id, service, feature, environment, severity,
  urgency, opened, resolved (None while open), rules (sorted).
- ``Truth.expired``, ``Truth.late: int``; ``Truth.edges: dict[int, str]``: partition -> the edge that its own
  records close (RFC 3339).
- ``Truth.compared_until: str``: compare transitions and episodes until this edge (the least of ``edges``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import oracle_events as events
from oracle_partition import Partition, rfc3339


@dataclass
class Truth:
    """What must come of the records; see the module's first lines."""

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
        """Transitions and episodes are compared until this edge; what the wall clock closes after it is not
        in the log.
        """
        return min(self.edges.values(), default="")


def compute(records: Iterable[Any], settings: dict[str, Any], partitions: int) -> Truth:
    """What must come of the records of an events topic, its end being the end of time (``Watch.finish``).

    Args:
        records: all of them, each with partition, offset, timestamp (ms, append time), key, value and
            headers.
        settings: of softfail, as ``corpus.settings()`` gives them.
        partitions: of the topic.

    Raises:
        ValueError: the settings hold a rule that the oracle does not know.
        KeyError: a text that is not in ``oracle_verdicts.TEXTS``.
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
    """Each record that lies in a wrong partition must have exactly one copy, in the right one, that says
    where it came from.
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
