"""Values of response events, with times in seconds since ``NINE``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


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
