"""One worker on a real Kafka that measures many segments with few events each: CPU and memory for a minute of
event time, duration of checkpoints, restarts, and recovery after a kill. See README.md.

The events of ``--minutes`` minutes are published first, then read by a worker with default settings. So each
minute has its edge, and the worker is never idle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agents.kafka import topics
from benchmarks.segments import Traffic
from benchmarks.worker_processes import PREFIX, applied, cpu_s, figures, memory_mb, ready, worker
from benchmarks.worker_throughput import publish
from schemas.config.connections import Kafka
from softfail.partitioning import partition_of
from tests import kafka_launcher

PARTITIONS = 16
PATIENCE_S = 3600
QUIET_S = 10.0
CHECKPOINTS = "softfail_checkpoints_total", "softfail_checkpoint_seconds_total"


def messages(
    options: argparse.Namespace, number: int, start_s: int
) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield partition, key and value of each event of a minute."""
    traffic = Traffic(options.segments, options.per_feature, options.events, options.late, real_texts=False)
    for bundle in traffic.minute(number, 1, start_s):
        for record in bundle:
            event = json.loads(record.value)
            service, feature = event["service"], event["feature"]
            yield partition_of(service, feature, PARTITIONS), f"{service}/{feature}".encode(), record.value


def measure(address: str, folder: Path, port: int, count: int, minutes: int) -> dict[str, float]:
    """Run a worker until it has measured ``count`` events and written all windows, then kill it."""
    with worker(address, folder, port, PARTITIONS) as process:
        start, cpu_before_s = 0.0, 0.0
        deadline = time.monotonic() + PATIENCE_S
        done_at = None
        while done_at is None or time.monotonic() - done_at < QUIET_S:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the worker stopped:\n{(folder / 'worker.log').read_text()[-3000:]}")
            so_far, cpu = applied(port), cpu_s(process.pid)
            if not so_far:
                start, cpu_before_s = time.monotonic(), cpu
            if so_far >= count and done_at is None:
                done_at = time.monotonic()
            time.sleep(0.5)
        spent_s, wall_s = cpu_s(process.pid) - cpu_before_s, time.monotonic() - start - QUIET_S
        checkpoints, seconds = figures(port, *CHECKPOINTS).values()
        result = {
            "cpu_s_a_minute": spent_s / minutes,
            "event_us_with_edges": 1e6 * spent_s / count,
            "wall_s": wall_s,
            "memory_mb": memory_mb(process.pid, "VmRSS"),
            "peak_mb": memory_mb(process.pid),
            "checkpoints": checkpoints,
            "checkpoint_s": seconds / checkpoints if checkpoints else 0.0,
        }
        process.kill()
        process.wait()
    return result


def recover(address: str, folder: Path, port: int) -> dict[str, float]:
    """Start a worker again: seconds until it is ready."""
    log = folder / "worker.log"
    seen, begun = log.stat().st_size, time.perf_counter()
    with worker(address, folder, port, PARTITIONS) as process:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                raise SystemExit(f"the worker did not become ready:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        ready_s, cpu = time.perf_counter() - begun, cpu_s(process.pid)
        read = re.search(
            r"restored \d+ partitions: ([\d,]+) records of state in ([\d.]+) s", log.read_text()[seen:]
        )
        return {
            "ready_s": ready_s,
            "restore_s": float(read[2]) if read else float("nan"),
            "records": float(read[1].replace(",", "")) if read else float("nan"),
            "cpu_s": cpu,
            "memory_mb": memory_mb(process.pid, "VmRSS"),
        }


def _print(name: str, values: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in values.items()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=20_000)
    parser.add_argument("--per-feature", type=int, default=8, help="segments of a feature")
    parser.add_argument("--events", type=int, default=10, help="a segment and minute")
    parser.add_argument("--late", type=float, default=0.0, help="share of late events")
    parser.add_argument("--minutes", type=int, default=10)
    options = parser.parse_args()
    if (lack := kafka_launcher.missing()) is not None:
        print(lack, file=sys.stderr)
        return 1
    count = options.segments * options.events * options.minutes
    with tempfile.TemporaryDirectory() as name, kafka_launcher.Kafka() as broker:
        folder, port = Path(name), kafka_launcher.free_port()
        asyncio.run(topics.create(Kafka(brokers=broker.address, prefix=PREFIX, partitions=PARTITIONS)))
        start_s = int(time.time()) // 60 * 60 - 60 * options.minutes
        for number in range(options.minutes):
            publish(broker.address, list(messages(options, number, start_s)), "zstd")
        _print("published", {"events": count})
        _print("worker", measure(broker.address, folder, port, count, options.minutes))
        log = (folder / "worker.log").read_text()
        restarts = {"restarts": float(log.count("restored ") - 1), "watchdog": float(log.count("watchdog"))}
        _print("process", restarts)
        _print("recovery", recover(broker.address, folder, port))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
