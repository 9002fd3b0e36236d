"""A generated week (or some hours) of several features, seeded, as an analyst would replay: ``python
tests/monitor/reports/week.py > week.ndjson``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
ANSWER = (
    "The parcel ships on Tuesday and arrives within three days; you can follow it with the number in your"
    " mail."
)
REFUSAL = "I'm sorry, but I can't help with that request."
FEATURES = (
    "support-bot/answer",
    "support-bot/summary",
    "support-bot/title",
    "search/rerank",
    "search/rewrite",
    "mail/draft",
    "mail/triage",
    "code/review",
    "code/explain",
    "billing/classify",
    "docs/translate",
    "docs/outline",
)


class Trouble:
    """A failure of a feature in [start, end) hours: ``kind`` is errors, refusals, slow, long or silent, at
    ``share`` (of calls, or a factor).
    """

    def __init__(self, feature: str, start: float, end: float, kind: str, share: float = 0.0) -> None:
        self.feature, self.start, self.end, self.kind, self.share = feature, start, end, kind, share


TROUBLES = (
    Trouble("support-bot/answer", 30, 31.5, "errors", 0.3),
    Trouble("search/rerank", 55, 58, "refusals", 0.9),
    Trouble("mail/draft", 80, 84, "slow", 3.0),
    Trouble("code/review", 100, 100.2, "errors", 0.5),
    Trouble("docs/translate", 120, 126, "long", 2.5),
    Trouble("billing/classify", 140, 141, "silent"),
)


def events(
    hours: float = 168,
    a_minute: float = 6,
    features: tuple[str, ...] = FEATURES,
    seed: int = 1,
    troubles: tuple[Trouble, ...] = TROUBLES,
) -> Iterator[dict[str, Any]]:
    """Responses in order of time, with a daily cycle.

    Args:
        hours: how long.
        a_minute: mean events a minute and feature.
        seed: of everything random here.
    """
    rng = random.Random(seed)
    second, number = 0.0, 0
    while True:
        hour = second / 3600
        level = 1 + 0.6 * math.sin(2 * math.pi * (hour - 9) / 24)
        second += rng.expovariate(a_minute * len(features) / 60 * level)
        if second >= hours * 3600:
            return
        feature = rng.choice(features)
        active = [
            trouble
            for trouble in troubles
            if trouble.feature == feature and trouble.start <= hour < trouble.end
        ]
        if any(item.kind == "silent" for item in active):
            continue
        number += 1
        yield _response(rng, number, second, feature, {item.kind: item.share for item in active})


def _response(
    rng: random.Random, number: int, second: float, name: str, trouble: dict[str, float]
) -> dict[str, Any]:
    service, feature = name.split("/")
    failed = rng.random() < trouble.get("errors", 0.004)
    refused = rng.random() < trouble.get("refusals", 0.006)
    duration = rng.lognormvariate(-0.3, 0.5) * trouble.get("slow", 1)
    event = {
        "event_id": f"r{number}",
        "kind": "response",
        "time": (BEGIN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z"),
        "service": service,
        "feature": feature,
        "model": "gpt-x",
        "prompt_version": "7",
        "input_tokens": int(rng.lognormvariate(6, 0.4)),
        "output_tokens": int(rng.lognormvariate(4.5, 0.5) * trouble.get("long", 1)),
        "duration_s": round(duration, 3),
        "finish_reason": "stop",
        "output": REFUSAL if refused else ANSWER,
    }
    if failed:
        event |= {"error_type": "timeout", "output": None, "finish_reason": None}
    return {key: value for key, value in event.items() if value is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=168)
    parser.add_argument("--a-minute", type=float, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for event in events(options.hours, options.a_minute, seed=options.seed):
        sys.stdout.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
