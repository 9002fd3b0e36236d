"""/api/status: the data of the page, collected from the partitions of this worker."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from agents.web.worker_status import LiveWorker, partition_row, readiness_faults, status_of
from monitor.delivery.silences import silence_matches
from schemas.times import rfc3339
from softfail.sanitize import sanitize

RECENT = 50
MOST_FEATURES = 200
"""The most features of an answer: 1,000 with 60 panes each would be 4 MB every two seconds."""
_URGENCY = {"high": 0, "low": 1}


async def overview(worker: LiveWorker, now: datetime, now_monotonic_s: float) -> dict[str, Any]:
    """Return the data of the page as JSON values; times are RFC 3339 in UTC.

    Open episodes are ordered by urgency, then by age.

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
            (part for part in worker.partitions() if (part.agent, part.partition) == (agent, number)), None
        )
        if part is None:  # revoked meanwhile
            continue
        status = status_of(part)
        partitions.append(
            {**partition_row(part, now_monotonic_s), **_watermark(status.get("watermark"), now)}
        )
        features += status.get("features", ())
        episodes += status.get("episodes", ())
        recent += status.get("recent", ())
        silences += status.get("silences", ())
        dead_man = status.get("dead_man") or dead_man
        dead_letters.update(status.get("dead_letters", {}))
        forwarded += status.get("forwarded", 0)
        await asyncio.sleep(0)
    recent.sort(key=lambda event: (event["time"], event["decided_at"]), reverse=True)
    partitions.sort(key=lambda row: (row["agent"], row["partition"]))
    return {
        "now": rfc3339(now),
        "healthy": worker.healthy,
        "ready": worker.ready,
        "reasons": readiness_faults(worker),
        "silences": silences,
        "dead_man": dead_man,
        "episodes": _in_order(episodes, silences),
        "features": features,
        "recent": recent[:RECENT],
        "partitions": partitions,
        "dead_letters": dict(dead_letters.most_common()),
        "forwarded": forwarded,
    }


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
    return {**status, "features": visible, "features_total": len(features)}


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
