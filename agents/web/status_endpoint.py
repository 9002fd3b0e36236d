"""/api/status: what the page shows, put together from the partitions that this worker owns."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from agents.web.worker_status import LiveWorker, not_well, partition_row, status_of
from monitor.delivery.silences import silence_matches
from schemas.times import rfc3339
from softfail.sanitize import sanitize

RECENT = 50
MOST_FEATURES = 200
"""Features that one answer holds at most: 1,000 with 60 panes each would be 4 MB every two seconds."""
_URGENCY = {"high": 0, "low": 1}


async def overview(worker: LiveWorker, now: datetime, now_monotonic_s: float) -> dict[str, Any]:
    """Everything the page shows, as JSON values; times RFC 3339 UTC. Open episodes: the urgent ones first,
    then the oldest.

    Args:
        worker: read in its own event loop.
        now: the wall clock, aware.
        now_monotonic_s: the monotonic clock at the same moment, seconds.
    """
    features: list[dict[str, Any]] = []
    episodes: list[dict[str, Any]] = []
    recent: list[dict[str, Any]] = []
    silences: list[dict[str, Any]] = []
    partitions: list[dict[str, Any]] = []
    dead_letters: Counter[str] = Counter()
    forwarded, dead_man = 0, None
    due = [(part.agent, part.partition) for part in worker.partitions()]
    for agent, number in due:
        part = next(
            (one for one in worker.partitions() if (one.agent, one.partition) == (agent, number)), None
        )
        if part is None:  # taken away meanwhile
            continue
        told = status_of(part)
        partitions.append({**partition_row(part, now_monotonic_s), **_watermark(told.get("watermark"), now)})
        features += told.get("features", ())
        episodes += told.get("episodes", ())
        recent += told.get("recent", ())
        silences += told.get("silences", ())
        dead_man = told.get("dead_man") or dead_man
        dead_letters.update(told.get("dead_letters", {}))
        forwarded += told.get("forwarded", 0)
        await asyncio.sleep(0)
    episodes.sort(
        key=lambda one: (_URGENCY.get(one["urgency"], 2), bool(one.get("muted")), one["started_at"])
    )
    recent.sort(key=lambda one: (one["time"], one["decided_at"]), reverse=True)
    episodes = [
        {**one, "silenced_until": until} if (until := _silenced_until(one, silences)) else one
        for one in episodes
    ]
    partitions.sort(key=lambda one: (one["agent"], one["partition"]))
    return {
        "now": rfc3339(now),
        "healthy": worker.healthy,
        "ready": worker.ready,
        "reasons": not_well(worker),
        "silences": silences,
        "dead_man": dead_man,
        "episodes": episodes,
        "features": features,
        "recent": recent[:RECENT],
        "partitions": partitions,
        "dead_letters": dict(dead_letters.most_common()),
        "forwarded": forwarded,
    }


def _silenced_until(episode: dict[str, Any], silences: Sequence[dict[str, Any]]) -> str:
    """When the last silence ends that holds over an episode now; empty where none does, or the worker that
    knows of silences is another one.
    """
    subject = episode["service"], episode["feature"], episode["environment"], episode["severity"]
    over = [
        one["until"]
        for one in silences
        if silence_matches(one["match"], one["environments"], one["severity"], subject)
    ]
    return max(over, default="", key=datetime.fromisoformat)


def narrowed(told: dict[str, Any], match: str = "") -> dict[str, Any]:
    """The same with at most ``MOST_FEATURES`` features: those with an open episode, in the order of the
    episodes, then the busiest, by name.

    Args:
        told: what ``overview`` gave.
        match: `service/feature` with * and ?; empty for all.
    """
    found = [
        one
        for one in told["features"]
        if not match or fnmatchcase(f"{one['service']}/{one['feature']}", match)
    ]
    rank = {_name(one): at for at, one in reversed(list(enumerate(told["episodes"])))}
    unbroken = len(rank) + len(told["episodes"])
    kept = sorted(found, key=lambda one: (rank.get(_name(one), unbroken), -one["events_5m"]))[:MOST_FEATURES]
    kept.sort(key=lambda one: (rank.get(_name(one), unbroken), _name(one)))
    return {**told, "features": kept, "features_total": len(found)}


def _name(one: dict[str, Any]) -> tuple[str, str, str]:
    return one["service"], one["feature"], one["environment"]


def _watermark(watermark: str | None, now: datetime) -> dict[str, Any]:
    if watermark is None:
        return {"watermark": None, "watermark_lag_s": None}
    return {
        "watermark": watermark,
        "watermark_lag_s": round((now - datetime.fromisoformat(watermark)).total_seconds(), 1),
    }


def shown(value: Any) -> Any:
    """Return the JSON value as a browser may have it.

    Text of others is sanitized and keeps its lines. NaN and infinities become None: a browser refuses the rest of
    a document that holds one.

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
