"""Without Kafka and Faust, in a fresh process: what of an event's cost is decoding, evaluating and counting.
Reads NDJSON, prints one JSON object.

``bare`` is the loop that the worker is compared with: decode and evaluate every event with the default
evaluators, and keep nothing. ``apply`` is the whole core (``Watch.apply``: the same, and grouping, counting,
edges, rules), still without Kafka.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import time
from collections.abc import Callable
from pathlib import Path

from monitor.evaluators.suite import suite_for
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from schemas.event_decoder import decode

CHUNK = 5000  # as many as a bundle holds at most


def measured(step: Callable[[], object], events: int) -> dict[str, float]:
    """Events a second by wall and by CPU time."""
    gc.collect()
    gc.freeze()  # as the worker does
    gc.set_threshold(50_000, 20, 100)
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return {"wall": events / (time.perf_counter() - wall), "cpu": events / (time.process_time() - cpu)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--profile", action="store_true", help="print where Watch.apply spends its time instead"
    )
    options = parser.parse_args()
    values = options.file.read_bytes().splitlines()
    chunks = [values[index : index + CHUNK] for index in range(0, len(values), CHUNK)]
    config = Config()
    suite = suite_for(config, "service-0", "feature-0")

    def decoding() -> None:
        for chunk in chunks:
            [decode(value) for value in chunk]

    def evaluating() -> None:
        for chunk in chunks:
            suite.judge_all([decode(value) for value in chunk])

    records = [
        [FileRecord(value, nth * CHUNK + index) for index, value in enumerate(chunk)]
        for nth, chunk in enumerate(chunks)
    ]

    def applying() -> None:
        watch = Watch(config, 0, 1)
        for chunk in records:
            watch.apply(chunk)
            watch.changed()

    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(applying)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    evaluating()  # RE2 builds its automaton while it reads: warm, as in a worker that has run for a second
    steps = {"decode": decoding, "bare": evaluating, "apply": applying}
    print(json.dumps({name: measured(step, len(values)) for name, step in steps.items()}))


if __name__ == "__main__":
    main()
