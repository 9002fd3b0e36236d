"""What a segment's statistics cost: CPU an event to count it in a bundle of 5,000, judging and text sketches
apart, and bytes of a pane's record.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.event_generator import rows
from monitor.drift.mmd import mmd
from monitor.evaluators.suite import Judged, Suite, suite_for
from monitor.ingest.aggregation import aggregate_responses
from monitor.ingest.batch import CountGroup
from monitor.stats.text_sketch import TextSketch, text_features
from monitor.windows.feature_series import FeatureState
from monitor.windows.format_versions import encode_record
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import UNLABELLED, FeatureKey
from monitor.windows.segment_series import SegmentSeries
from monitor.windows.text_blocks import TextBlock
from schemas.config.monitor_config import Config
from schemas.event_decoder import decode

BUNDLE = 5000
PANE_US = 60_000_000
TEXTS = 50  # a segment and pane
AIM_US, AIM_TEXT_US, AIM_BYTES, AIM_TEXT_BYTES = 3.0, 40.0, 1024, 1536

USUAL: dict[str, Callable[[random.Random, Any], Any]] = {
    "input": lambda rng, row: row[1],
    "output": lambda rng, row: row[2],
    "input_tokens": lambda rng, row: len(row[1]) // 4,
    "output_tokens": lambda rng, row: row[4],
    "duration_s": lambda rng, row: round(row[3] * rng.lognormvariate(0, 0.3), 4),
    "response_model": lambda rng, row: row[0],
    "provider": lambda rng, row: "openai",
    "finish_reason": lambda rng, row: "stop" if rng.random() < 0.98 else "length",
}
EVERYTHING = USUAL | {
    "cached_input_tokens": lambda rng, row: rng.choice((0, 0, 128, 1024)),
    "reasoning_tokens": lambda rng, row: rng.choice((0, int(rng.lognormvariate(5, 1)))),
    "tool_calls": lambda rng, row: rng.choice((0, 0, 0, 1)),
    "time_to_first_token_s": lambda rng, row: round(rng.lognormvariate(-1, 0.5), 4),
    "cost_usd": lambda rng, row: round(row[4] * 3e-5, 6),
    "outcome": lambda rng, row: "ok" if rng.random() < 0.99 else "parse_error",
    "fallback": lambda rng, row: "none" if rng.random() < 0.99 else "cache",
    "degradation_level": lambda rng, row: 1 if rng.random() < 0.99 else 2,
    "error_type": lambda rng, row: "" if rng.random() < 0.995 else "timeout",
}
STAGES = EVERYTHING | {
    "stages_s": lambda rng, row: {
        "retrieve": round(rng.lognormvariate(-2, 0.5), 4),
        "rank": round(rng.lognormvariate(-4, 0.5), 4),
    }
}
SHAPES = {"the usual fields": USUAL, "every field": EVERYTHING, "and two stage times": STAGES}


class Prejudged:
    """A suite whose verdicts are known, so that what is timed is counting."""

    def __init__(self, suite: Suite, judged: Judged) -> None:
        self._suite, self._judged = suite, judged

    def judge_all(self, events: Sequence[Any]) -> Judged:
        return self._judged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._suite, name)


def events_of(fields: dict[str, Callable[[random.Random, Any], Any]], count: int, seed: int = 1) -> list[Any]:
    rng = random.Random(seed)
    calls, _ = rows(rng)
    out = []
    for number in range(count):
        row = rng.choice(calls)
        head = {
            "kind": "response",
            "event_id": str(number),
            "time": "2026-03-02T09:00:10Z",
            "service": "s",
            "feature": "f",
            "model": row[0],
        }
        out.append(
            decode(json.dumps(head | {name: value(rng, row) for name, value in fields.items()}).encode())
        )
    return out


def groups_of(count: int) -> list[CountGroup]:
    out = []
    for nth in range(count):
        feature = FeatureState(FeatureKey("s", f"f{nth}", "production"))
        segment = SegmentSeries(UNLABELLED)
        out.append(CountGroup(0, feature, segment, Pane(0), 1.0, 1.0, "", _no_texts))
    return out


def _no_texts(start_us: int, will_change: bool) -> TextBlock:
    """A block in which so many texts were read that no more are: texts are priced apart."""
    block = TextBlock(start_us)
    block.responses[start_us] = 2**24
    return block


def cpu_us(step: Callable[[], object], runs: int) -> float:
    """Least CPU time of a run, microseconds: what others do on the machine can only add to it."""
    gc.collect()
    gc.disable()
    spent = []
    for _ in range(runs):
        begin = time.process_time()
        step()
        spent.append(time.process_time() - begin)
    gc.enable()
    return min(spent) * 1e6


def counting(runs: int) -> None:
    suite = suite_for(Config(), "s", "f")
    print(
        f"| CPU µs an event, bundle of {BUNDLE} | 1 segment | 24 segments | 200 segments | judging"
        " |\n|---|---:|---:|---:|---:|"
    )
    for name, fields in SHAPES.items():
        events = events_of(fields, BUNDLE)
        judged = suite.judge_all(events)
        prejudged: Any = Prejudged(suite, judged)
        cells = []
        for size in (1, 24, 200):
            indices, groups = [index % size for index in range(BUNDLE)], groups_of(size)
            aggregate_responses(events, indices, groups, prejudged, PANE_US)
            measured_us = cpu_us(
                partial(aggregate_responses, events, indices, groups, prejudged, PANE_US), runs
            )
            cells.append(measured_us / BUNDLE)
        judging = cpu_us(lambda: suite.judge_all(events), max(2, runs // 4)) / BUNDLE  # noqa: B023 called at once
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + f" | {judging:.2f} |")
    print(f"\nAim: under {AIM_US:g} for one segment.\n")


def sizes(panes: int) -> None:
    print(
        "| bytes of a pane's record, median (95th percentile) | 5 events | 60 | 300 | 3,000"
        " |\n|---|---:|---:|---:|---:|"
    )
    suite = suite_for(Config(), "s", "f")
    for name, fields in SHAPES.items():
        cells = []
        for count in (5, 60, 300, 3000):
            record_sizes = []
            for nth in range(max(3, min(panes, 6000 // count))):
                group = groups_of(1)
                aggregate_responses(events_of(fields, count, seed=nth), [0] * count, group, suite, PANE_US)
                record_sizes.append(len(encode_record(group[0].pane.state())))
            cells.append(
                f"{statistics.median(record_sizes):.0f} ({sorted(record_sizes)[int(0.95 * (len(record_sizes) - 1))]})"
            )
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nAim: at most {AIM_BYTES} at the median.\n")


def texts(runs: int) -> None:
    rng = random.Random(2)
    calls, source = rows(rng)
    answers = [(row[2] * 30)[:1000] if len(row[2]) > 100 else row[2] for row in rng.sample(calls, 1000)]
    long = [answer for answer in answers if len(answer) == 1000][:500]
    sketch, other, some = TextSketch(), TextSketch(), text_features(answers[:TEXTS])
    sketch.update(some)
    other.update(text_features(answers[TEXTS:]))
    lines = {
        f"features of a text of 1 kB, µs (aim {AIM_TEXT_US:g})": (
            cpu_us(lambda: text_features(long), runs) / len(long)
        ),
        "features of one text alone, 1 kB, µs": (
            cpu_us(lambda: [text_features([text]) for text in long[:50]], runs) / 50
        ),
        f"features of an answer as it comes ({source}), µs": (
            cpu_us(lambda: text_features(answers), runs) / len(answers)
        ),
        f"taking {TEXTS} into a sketch, µs": cpu_us(lambda: TextSketch().update(some), runs),
        "merging two sketches, µs": (
            cpu_us(lambda: [other.merge(TextSketch()) for _ in range(100)], runs) / 100
        ),
        "MMD of two sketches, µs": cpu_us(lambda: mmd(other, sketch), runs),
        f"record of {TEXTS} texts, bytes (aim {AIM_TEXT_BYTES})": len(sketch.state()),
    }
    print("| text sketches | |\n|---|---:|")
    for name, value in lines.items():
        print(f"| {name} | {value:,.1f} |" if value < 100 else f"| {name} | {value:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--panes", type=int, default=60)
    args = parser.parse_args()
    counting(args.runs)
    sizes(args.panes)
    texts(args.runs)


if __name__ == "__main__":
    main()
