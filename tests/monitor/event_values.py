"""Values of response events, with times in seconds since ``NINE``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.windows.producer_counters import ProducerTotals
from monitor.windows.segment_keys import FeatureKey

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANSWER = FeatureKey("bot", "answer", "production")


def time_of(second: float) -> str:
    """Return the time of a second as records have it."""
    return (NINE + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def event(second: float, **more: Any) -> bytes:
    """Make a response of ``bot/answer``; ``more`` replaces fields, and None removes one."""
    fields = {
        "event_id": f"e{second}",
        "time": time_of(second),
        "service": "bot",
        "feature": "answer",
        "model": "m",
        "output": "It ships on Tuesday.",
    }
    return json.dumps({name: value for name, value in (fields | more).items() if value is not None}).encode()


def response(second: float, producer: str | None = "p", sequence: int | None = 0, **more: Any) -> bytes:
    """Make a response that its producer has numbered."""
    return event(second, **{"producer_id": producer, "sequence": sequence, **more})


def meter(
    second: float,
    producer: str = "p",
    started: float = 0,
    counts: tuple[int, int, int, int] = (0, 0, 0, 0),
    **more: Any,
) -> bytes:
    """Make a meter; ``counts``: those of ``ProducerTotals``, in its order."""
    fields = {
        "kind": "meter",
        "time": time_of(second),
        "service": "bot",
        "feature": "answer",
        "producer_id": producer,
        "started_at": time_of(started),
    }
    return json.dumps({**fields, **dict(zip(ProducerTotals._fields, counts, strict=True)), **more}).encode()
