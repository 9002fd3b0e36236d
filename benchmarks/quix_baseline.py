"""The peer: Quix Streams 3 on the same topic. Runs in an environment of its own (see README.md); prints one
JSON object.

JSON decode, the same RE2 sets on ``output``, and counts in 60 s tumbling windows by key, in Quix's own state
(RocksDB and a changelog topic). The windows go by Kafka's append time, Quix's default, which spares it
reading the event's own time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import re2
from quixstreams import Application


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument(
        "--patterns", type=Path, required=True, help="JSON: RE2 patterns for all texts, and for ASCII texts"
    )
    options = parser.parse_args()

    patterns = json.loads(options.patterns.read_text("utf-8"))
    match_all, match_ascii = _search_set(patterns["all"]), _search_set(patterns["ascii"])

    def match(text: str) -> object:
        return match_ascii(text) if text.isascii() else match_all(text)

    seen, first, last = 0, None, None

    def processed(topic: str, partition: int, offset: int) -> None:
        nonlocal seen, first, last
        seen += 1
        if first is None:
            first = time.perf_counter(), time.process_time()
        elif seen == options.events:
            last = time.perf_counter(), time.process_time()
            application.stop()

    with tempfile.TemporaryDirectory() as state:
        application = Application(
            broker_address=options.broker,
            consumer_group="bench-quix",
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="WARNING",
            on_message_processed=processed,
        )
        frame = application.dataframe(
            application.topic(options.topic, value_deserializer="json", key_deserializer="bytes")
        )
        frame = frame.update(lambda event: match(event.get("output") or ""))
        frame.tumbling_window(60_000, grace_ms=30_000).count().final()
        application.run()
    if first is None or last is None:
        raise SystemExit(f"only {seen} of {options.events} events were processed")
    print(json.dumps({"wall": seen / (last[0] - first[0]), "cpu": seen / (last[1] - first[1])}))


def _search_set(patterns: list[str]) -> Callable[[str], object]:
    settings = re2.Options()
    settings.max_mem = 64 << 20  # as ours: with RE2's default of 8 MiB it would be far slower
    settings.log_errors = False
    pattern_set = re2.Set.SearchSet(settings)
    for pattern in patterns:
        pattern_set.Add(pattern)
    pattern_set.Compile()
    match: Callable[[str], object] = pattern_set.Match
    return match


if __name__ == "__main__":
    main()
