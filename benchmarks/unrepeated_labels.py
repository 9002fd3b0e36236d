"""Events a second of ``Watch`` where each event has a label value or a name of its own, beside those that repeat.

The events are 2,000 a second of event time, in bundles of 5,000, as a worker that catches
up reads them. State is encoded after each bundle.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime, timedelta

from benchmarks.markdown_table import print_table
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
A_SECOND = 2_000
BUNDLE = 5_000
UNIQUE = {
    "none": {},
    "prompt_version": {"prompt_version": "{n}"},
    "model": {"model": "m-{n}"},
    "a dimension": {"dimensions": {"session": "{n}"}},
    "three labels": {"prompt_version": "{n}", "model": "m-{n}", "dimensions": {"session": "{n}"}},
    "feature": {"feature": "{n}"},
    "service": {"service": "{n}"},
    "environment": {"environment": "{n}"},
    "1,000 tenants": {"dimensions": {"session": "t{tenant}"}},
}


def events(labels: dict[str, object], count: int) -> list[FileRecord]:
    template = json.dumps(labels)
    records = []
    for n in range(count):
        own = json.loads(template.replace("{n}", f"v{n}").replace("{tenant}", str(n * 7919 % 1_000)))
        event = {
            "kind": "response",
            "event_id": str(n),
            "time": (BEGAN + timedelta(seconds=n / A_SECOND)).isoformat(),
            "service": "shop",
            "feature": "search",
            "model": "gpt-x",
            "output": f"It ships on day {n}.",
            "output_tokens": 6,
            "finish_reason": "stop",
        } | own
        records.append(FileRecord(json.dumps(event).encode(), n))
    return records


def measure(labels: dict[str, object], count: int) -> tuple[float, int]:
    """Return events a second of CPU time and the number of segments at the end."""
    records = events(labels, count)
    watch = Watch(Config.model_validate({"features": [{"match": "*", "dimensions": ["session"]}]}))
    began = time.process_time()
    for start in range(0, count, BUNDLE):
        watch.apply(records[start : start + BUNDLE])
        watch.changed()
    took = time.process_time() - began
    return count / took, sum(len(feature.segments) for feature in watch.partition_state.features.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--only", choices=UNIQUE)
    arguments = parser.parse_args()
    rows = []
    for name in [arguments.only] if arguments.only else UNIQUE:
        rate, segments = measure(UNIQUE[name], arguments.events)
        rows.append([name, f"{rate:,.0f}", str(segments)])
    print_table(["what never repeats", "events/s, CPU", "segments at the end"], rows)


if __name__ == "__main__":
    main()
