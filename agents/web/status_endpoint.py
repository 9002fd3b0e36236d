"""/api/status: the data of the page, collected from the partitions of this worker."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Protocol

from agents.web.worker_status import LiveWorker, partition_row, readiness_faults, status_of
from monitor.delivery.silences import silence_matches
from monitor.fleet.read_model import Fleet
from monitor.protocol.service import SERVICE
from schemas.times import microseconds, rfc3339
from softfail.sanitize import sanitize

RECENT = 50
FEATURES_A_STEP = 50  # of other workers, between two turns of the event loop
MOST_FEATURES = 200
"""The most features of an answer: 1,000 with 60 panes each would be 4 MB every two seconds."""
_URGENCY = {"high": 0, "low": 1}


class FleetStatus(Protocol):
    """The part of ``agents.web.fleet_reader.FleetReader`` that is read."""

    @property
    def fleet(self) -> Fleet:
        """The read model."""

    @property
    def fault(self) -> str:
        """Why it is not complete; empty when it is."""


@dataclass
class _Collected:
    """Values of the partitions of this worker, joined by ``_join`` with those that other workers published."""

    features: list[dict[str, Any]] = field(default_factory=list)
    episodes: list[dict[str, Any]] = field(default_factory=list)
    recent: list[dict[str, Any]] = field(default_factory=list)
    silences: list[dict[str, Any]] = field(default_factory=list)
    partitions: list[dict[str, Any]] = field(default_factory=list)
    judges: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    forwarded: int = 0
    dead_man: Any = None

    def add(self, row: dict[str, Any], status: dict[str, Any]) -> None:
        """Add one partition: its row, and the status of its core."""
        self.partitions.append(row)
        self.features += status.get("features", ())
        self.episodes += status.get("episodes", ())
        self.recent += status.get("recent", ())
        self.silences += status.get("silences", ())
        self.dead_man = status.get("dead_man") or self.dead_man
        self.dead_letters.update(status.get("dead_letters", {}))
        self.left_out.update(status.get("left_out", {}))
        self.forwarded += status.get("forwarded", 0)


async def overview(
    worker: LiveWorker, now: datetime, now_monotonic_s: float, reader: FleetStatus | None = None
) -> dict[str, Any]:
    """Return the data of the page as JSON values; times are RFC 3339 in UTC.

    Open episodes are ordered by urgency, then by age.

    Args:
        worker: read in its own event loop.
        now: the wall clock, aware.
        now_monotonic_s: the monotonic clock at the same moment, seconds.
        reader: knows what the other workers have published; None: this worker is alone.
    """
    collected = await _collect(worker, now, now_monotonic_s)
    reasons = list(readiness_faults(worker))
    if reader is not None:
        await _join(collected, reader.fleet, now)
        reasons += [reader.fault] if reader.fault else []
    recent = sorted(collected.recent, key=lambda event: (event["time"], event["decided_at"]), reverse=True)
    return {
        "now": rfc3339(now),
        "healthy": worker.healthy,
        "ready": worker.ready,
        "reasons": reasons,
        "scope": "worker" if reader is None else "fleet",
        "silences": collected.silences,
        "dead_man": collected.dead_man,
        "episodes": _in_order(collected.episodes, collected.silences),
        "features": collected.features,
        "recent": recent[:RECENT],
        "judges": collected.judges,
        "partitions": sorted(collected.partitions, key=lambda row: (row["agent"], row["partition"])),
        "dead_letters": dict(collected.dead_letters.most_common()),
        "left_out": dict(collected.left_out.most_common()),
        "forwarded": collected.forwarded,
    }


async def _collect(worker: LiveWorker, now: datetime, now_monotonic_s: float) -> _Collected:
    """Read the partitions of this worker, one a turn of the event loop."""
    collected = _Collected()
    for agent, number in [(part.agent, part.partition) for part in worker.partitions()]:
        part = next(
            (part for part in worker.partitions() if (part.agent, part.partition) == (agent, number)), None
        )
        if part is None:  # revoked meanwhile
            continue
        status = status_of(part)
        row = partition_row(part, now_monotonic_s) | _watermark(status.get("watermark"), now)
        collected.add(row, status)
        await asyncio.sleep(0)
    return collected


async def _join(collected: _Collected, fleet: Fleet, now: datetime) -> None:
    """Add what other workers have published and this one does not know better."""
    for number, _ in enumerate(fleet.refresh()):
        if number % FEATURES_A_STEP == 0:
            await asyncio.sleep(0)
    others = fleet.status(microseconds(now))
    features, partitions = collected.features, collected.partitions
    collected.episodes += other_episodes(others["episodes"], features, collected.episodes, partitions)
    collected.judges = others["judges"]
    features += _others(others["features"], features, _feature_key)
    collected.recent += _others(others["recent"], collected.recent, _transition_key)
    if not any(row["agent"] == "notify" for row in partitions):
        collected.silences += others["silences"]
    partitions += _elsewhere(others["partitions"], partitions, now)


def other_episodes(
    published: Sequence[dict[str, Any]],
    features: Sequence[dict[str, Any]],
    episodes: Sequence[dict[str, Any]],
    partitions: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the open episodes of features that this worker does not measure.

    Of its own features it knows more than it has published: an episode that it has just ended is still open
    there.

    Args:
        published: open episodes of all workers.
        features, episodes: of this worker.
        partitions: rows of the partitions that it owns; the owner of ``notify`` knows those about softfail.
    """
    own = {_feature_key(feature) for feature in features}
    ids = {episode["episode_id"] for episode in episodes}
    delivers = any(row["agent"] == "notify" for row in partitions)
    return [
        episode
        for episode in published
        if episode["episode_id"] not in ids
        and _feature_key(episode) not in own
        and not (delivers and episode["service"] == SERVICE)
    ]


def _others(
    published: Sequence[dict[str, Any]],
    own: Sequence[dict[str, Any]],
    key: Callable[[dict[str, Any]], tuple[str, ...]],
) -> list[dict[str, Any]]:
    known = set(map(key, own))
    return [record for record in published if key(record) not in known]


def _transition_key(record: dict[str, Any]) -> tuple[str, ...]:
    return record["incident_id"], record["state"], record["time"]


def _elsewhere(
    published: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """Return a row for each partition of another worker, with the age of its last heartbeat."""
    known = {(row["agent"], row["partition"]) for row in own}
    empty = dict.fromkeys(("lag", "position", "watermark", "watermark_lag_s", "checkpoint_age_s"))
    return [
        {
            "agent": row["agent"],
            "partition": row["partition"],
            "state": "elsewhere",
            **empty,
            "heartbeat_age_s": round((now - datetime.fromisoformat(row["heard_at"])).total_seconds(), 1),
        }
        for row in published
        if (row["agent"], row["partition"]) not in known
    ]


def _in_order(episodes: Sequence[dict[str, Any]], silences: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return episodes by urgency, then age; with ``silenced_until`` where a silence applies."""
    ordered = sorted(
        episodes,
        key=lambda episode: (
            _URGENCY.get(episode["urgency"], 2),
            bool(episode.get("muted")),
            episode["started_at"],
        ),
    )
    return [
        {**episode, "silenced_until": until} if (until := _silenced_until(episode, silences)) else episode
        for episode in ordered
    ]


def _silenced_until(episode: dict[str, Any], silences: Sequence[dict[str, Any]]) -> str:
    """Return when the last active silence of an episode ends.

    Empty: there is none, or another worker has the silences.
    """
    subject = episode["service"], episode["feature"], episode["environment"], episode["severity"]
    ends = [
        silence["until"]
        for silence in silences
        if silence_matches(silence["match"], silence["environments"], silence["severity"], subject)
    ]
    return max(ends, default="", key=datetime.fromisoformat)


def narrow(status: dict[str, Any], match: str = "") -> dict[str, Any]:
    """Return the status with at most ``MOST_FEATURES`` features.

    Features with an open episode come first, in the order of the episodes; then the busiest, by name.

    Args:
        status: the result of ``overview``.
        match: `service/feature` with * and ?; empty for all.
    """
    features = [
        feature
        for feature in status["features"]
        if not match or fnmatchcase(f"{feature['service']}/{feature['feature']}", match)
    ]
    rank = {
        _feature_key(episode): position for position, episode in reversed(list(enumerate(status["episodes"])))
    }
    unbroken = len(rank) + len(status["episodes"])
    visible = sorted(
        features, key=lambda feature: (rank.get(_feature_key(feature), unbroken), -feature["events_5m"])
    )[:MOST_FEATURES]
    visible.sort(key=lambda feature: (rank.get(_feature_key(feature), unbroken), _feature_key(feature)))
    judges = [{**judge, "rates": _busiest(judge["rates"], match)} for judge in status["judges"]]
    return {**status, "features": visible, "features_total": len(features), "judges": judges}


def _busiest(rates: Sequence[dict[str, Any]], match: str) -> list[dict[str, Any]]:
    """Return the rates of a judge on features that ``match`` names: at most ``MOST_FEATURES``."""
    named = [
        rate for rate in rates if not match or fnmatchcase(f"{rate['service']}/{rate['feature']}", match)
    ]
    return sorted(
        sorted(named, key=lambda rate: -rate["n"])[:MOST_FEATURES],
        key=lambda rate: (rate["service"], rate["feature"]),
    )


def _feature_key(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["service"], record["feature"], record["environment"]


def _watermark(watermark: str | None, now: datetime) -> dict[str, Any]:
    if watermark is None:
        return {"watermark": None, "watermark_lag_s": None}
    return {
        "watermark": watermark,
        "watermark_lag_s": round((now - datetime.fromisoformat(watermark)).total_seconds(), 1),
    }


def shown(value: Any) -> Any:
    """Return the JSON value as a browser may have it.

    Text of others is sanitized and keeps its lines. NaN and infinities become None: a browser refuses the
    rest of a document that holds one.

    >>> shown({"a\\u200b": [1.5, float("nan"), "b\\u202ec"]})
    {'a': [1.5, None, 'bc']}
    """
    if isinstance(value, str):
        return sanitize(value, lines=True)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {sanitize(str(key)): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value
