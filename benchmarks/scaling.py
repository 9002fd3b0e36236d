"""What two workers cost beside one: CPU seconds an event on the same events. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from agents.kafka.topics import create
from benchmarks import event_generator
from benchmarks.worker_processes import applied, cpu_s, figures, worker
from benchmarks.worker_throughput import PARTITIONS, publish
from schemas.config.connections import Kafka
from tests import kafka_launcher

PATIENCE_S = 900
IDLE_S = 5.0
EXTRA = (
    "softfail_received_events_total",
    "softfail_checkpoints_total",
    "softfail_checkpoint_seconds_total",
    "softfail_applied_records_total",
)


class Cost(NamedTuple):
    """Of all workers together. ``idle``: CPU seconds a second with nothing to do; ``cpu_us``: CPU an event,
    idle cost included.
    """

    idle: float
    cpu_us: float
    wall_s: float
    checkpoints: float


def drain(address: str, folder: Path, workers: int, prefix: str, events: list[Any], free_port: Any) -> Cost:
    """Start the workers on an empty topic, publish when they share its partitions, and count until everything
    is applied.
    """
    asyncio.run(create(Kafka(brokers=address, prefix=prefix, partitions=PARTITIONS)))
    ports = [free_port() for _ in range(workers)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                worker(address, folder, port, PARTITIONS, name=f"{prefix}-{number}", prefix=prefix)
            )
            for number, port in enumerate(ports)
        ]
        deadline = time.monotonic() + PATIENCE_S
        while sorted(
            figures(port, "softfail_owned_partitions")["softfail_owned_partitions"] for port in ports
        ) != _shares(workers):
            assert time.monotonic() < deadline, "the partitions are not shared"
            time.sleep(0.5)

        def cpu() -> float:
            return sum(cpu_s(process.pid) for process in processes)

        before = cpu()
        time.sleep(IDLE_S)
        idle = (cpu() - before) / IDLE_S
        before, began = cpu(), time.monotonic()
        publish(address, events, "none", prefix)
        while sum(applied(port) for port in ports) < len(events):
            assert time.monotonic() < deadline, "not everything was applied"
            time.sleep(0.2)
        spent, wall_s = cpu() - before, time.monotonic() - began
        metrics_by_worker = [figures(port, *EXTRA) for port in ports]
        received = sum(item["softfail_received_events_total"] for item in metrics_by_worker)
        assert received == len(events), f"{received:,.0f} events were measured, {len(events):,} published"
        return Cost(
            idle,
            1e6 * spent / len(events),
            wall_s,
            sum(item["softfail_checkpoints_total"] for item in metrics_by_worker),
        )


def _shares(workers: int) -> list[float]:
    """Partitions of each worker when they are shared evenly: those of the events, and the one of the alerts."""
    each = PARTITIONS // workers
    return [float(each)] * (workers - 1) + [float(each + 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn")
    options = parser.parse_args()
    if (lack := kafka_launcher.missing()) is not None:
        print(lack, file=sys.stderr)
        return 1
    events = list(event_generator.messages(options.events, PARTITIONS, 2000))
    print(
        "| workers | CPU an event, µs | idle CPU, s/s | wall, s | checkpoints |\n|---:|---:|---:|---:|---:|"
    )
    costs: dict[int, list[Cost]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, kafka_launcher.Kafka() as broker:
        for run in range(options.runs):
            for workers in (1, 2):
                cost = drain(
                    broker.address,
                    Path(name),
                    workers,
                    f"bench{run}-{workers}",
                    events,
                    kafka_launcher.free_port,
                )
                costs[workers].append(cost)
                print(
                    f"| {workers} | {cost.cpu_us:.1f} | {cost.idle:.3f} | {cost.wall_s:.1f} |"
                    f" {cost.checkpoints:,.0f} |",
                    flush=True,
                )
    ratios = [pair.cpu_us / single.cpu_us for single, pair in zip(costs[1], costs[2], strict=True)]
    print(f"\n2 workers ÷ 1, CPU an event: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
