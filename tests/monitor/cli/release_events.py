"""Events of a feature with two versions of its prompt, in sessions of five calls."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def write_release(
    path: Path, *, failing: float, minutes: int = 120, canary_until: int = 10_000, **labels: Any
) -> Path:
    """Write a stable version p1 that fails 3 % of 80 calls a minute, and p2 on a quarter of them from minute 5 on.

    Args:
        failing: share of the calls of p2 that fail.
        canary_until: minute from which p2 sends nothing.
        labels: of the events of p2.
    """
    source = random.Random(7)
    lines = []
    for minute in range(minutes):
        for session in range(20):
            is_new = minute >= 5 and session % 4 == 0
            if is_new and minute >= canary_until:
                continue
            for call in range(5):
                event = {
                    "event_id": f"{minute}-{session}-{call}",
                    "time": (START + timedelta(minutes=minute, seconds=session + call)).isoformat(),
                    "service": "bot",
                    "feature": "answer",
                    "model": "m",
                    "prompt_version": "p2" if is_new else "p1",
                    "session_id": f"s-{minute}-{session}",
                    "input_tokens": source.randint(50, 150),
                    "output": "It is sunny in Paris, with a light wind.",
                    "finish_reason": "stop",
                }
                if source.random() < (failing if is_new else 0.03):
                    event |= {"error_type": "timeout", "output": None, "finish_reason": ""}
                lines.append(json.dumps(event | (labels if is_new else {})))
    path.write_text("\n".join(lines) + "\n")
    return path
