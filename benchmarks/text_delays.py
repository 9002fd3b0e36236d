"""Minutes until answers that change are a ticket, by segments and traffic: docs/statistics.md.

Two hours of English answers about parcels; then all segments, or one of them, answer in German, or in English
about something else. To compare with another checkout run it there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.event_generator import WORDS
from benchmarks.markdown_table import print_table
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

START_S = 1_772_442_000  # 2 March 2026, 09:00 UTC
HEALTHY = 120  # minutes
LIMIT = 125  # minutes after the change
DESIGNS = ((1, 10), (1, 100), (2, 10), (8, 10), (8, 100), (40, 10))  # segments, events a segment and minute
_GERMAN_TEXT = """ihr paket wurde heute morgen verschickt und kommt am donnerstag bei ihnen an bitte prüfen sie die anschrift damit der zusteller
es abgeben kann sonst schreiben wir ihnen noch einmal wegen der rechnung die sie bezahlt haben"""
_RECIPES_TEXT = """boil water with salt and add pasta stir slowly until it is soft then fry garlic in olive oil pour sauce over it
serve hot with cheese or fresh basil leaves cut bread into slices bake in oven for ten minutes"""
GERMAN, RECIPES = _GERMAN_TEXT.split(), _RECIPES_TEXT.split()
CONFIG = Config.model_validate(
    {
        "default_rules": False,
        "no_data": {"severity": None},
        "drift": [{"name": "drift", "on": ["output_language", "output_text"]}],
    }
)


def minutes_to_ticket(
    seed: int, segments: int, rate: int, words: list[str], changed: int, metric: str
) -> float:
    """Return the minutes from the change to the first finding of a metric; infinite if there is none.

    ``changed``: how many segments change.
    """
    rng, watch, offset = random.Random(seed), Watch(CONFIG, 0, 1), 0
    for minute in range(HEALTHY + LIMIT):
        bundle = []
        for nth in range(segments * rate):
            segment = rng.randrange(segments)
            is_new = minute >= HEALTHY and segment < changed
            values = {
                "kind": "response",
                "event_id": str(offset),
                "time": rfc3339(1_000_000 * (START_S + 60 * minute) + 60_000_000 * nth // (segments * rate)),
                "service": "s",
                "feature": "f",
                "model": f"m{segment}",
                "output": " ".join(rng.choices(words if is_new else WORDS, k=16)),
            }
            bundle.append(FileRecord(json.dumps(values).encode(), offset))
            offset += 1
        out = watch.apply(bundle)
        for message in out.messages.get("alerts", ()):
            record = json.loads(message.value)
            if record["record"] == "transition" and record["state"] == "firing" and minute >= HEALTHY:
                findings = record["evidence"].get("findings") or [record["evidence"]]
                if any(finding["metric"].startswith(metric) for finding in findings):
                    return minute - HEALTHY
    return float("inf")


def cell(runs: int, delay: Callable[[int], float]) -> str:
    """Return the median of some runs."""
    median = statistics.median(delay(seed) for seed in range(runs))
    return f"{median:.0f}" if median < LIMIT else f"over {LIMIT}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=range(len(DESIGNS)), help="numbers, from 0")
    options = parser.parse_args()
    rows = []
    for segments, rate in (DESIGNS[number] for number in options.rows):
        row = [f"{segments} × {rate}"]
        for changed in dict.fromkeys((segments, 1)):
            for words, metric in ((GERMAN, "output_language"), (RECIPES, "output_text")):
                delay = partial(
                    minutes_to_ticket,
                    segments=segments,
                    rate=rate,
                    words=words,
                    changed=changed,
                    metric=metric,
                )
                row.append(cell(options.runs, delay))
        rows.append([*row, "", ""][:5])
    print_table(
        ["segments × events a minute", "all: language", "all: topic", "one: language", "one: topic"], rows
    )


if __name__ == "__main__":
    main()
