"""Events a second of one worker process on a real Kafka, beside a bare loop and Quix Streams 3. `make bench`;
see README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer

from agents.kafka.topics import create
from benchmarks import event_generator
from benchmarks.worker_processes import PREFIX, applied, cpu_s, figures, worker
from monitor.evaluators.configured import parse_setting
from monitor.evaluators.suite import DEFAULT_EVALUATORS
from schemas.config.connections import Kafka
from tests import kafka_launcher

ROOT = Path(__file__).resolve().parents[1]
QUIX = ROOT / ".cache" / "quix"
QUIX_VERSION = "quixstreams==3.28.*"
PARTITIONS = 16
PATIENCE_S = 600


class Speed(NamedTuple):
    """Events a second, by wall clock and by CPU time of the one process."""

    wall: float
    cpu: float


def publish(
    address: str, events: list[tuple[int, bytes, bytes]], compression: str, prefix: str = PREFIX
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": address,
            "compression.type": compression,
            "linger.ms": 20,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    for partition, key, value in events:
        while True:
            try:
                producer.produce(f"{prefix}.events", value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(PATIENCE_S)
    assert not left, f"{left} events were not published"


def drained(
    process: subprocess.Popen[bytes], port: int, count: int, log: Path
) -> tuple[Speed, dict[str, float]]:
    """From the last look that saw nothing measured to the first that saw everything, so if anything too slow."""
    received = "softfail_received_events_total"
    extra = "softfail_checkpoints_total", "softfail_checkpoint_seconds_total", "softfail_gaps_refetched_total"
    began = time.perf_counter(), cpu_s(process.pid)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        looked = time.perf_counter(), cpu_s(process.pid)
        so_far = applied(port)
        if so_far == 0:
            began = looked
            time.sleep(0.05)
        elif so_far >= count:
            ended = time.perf_counter(), cpu_s(process.pid)
            now = figures(port, received, *extra)
            assert now[received] == count, (
                f"{now[received]:,.0f} events were measured, {count:,} were published"
            )
            return Speed(count / (ended[0] - began[0]), count / (ended[1] - began[1])), now
        else:
            time.sleep(0.1)
    raise SystemExit(
        "the worker did not measure everything; the end of its"
        f" log:\n{log.read_text(errors='replace')[-3000:]}"
    )


def quix(address: str, count: int, folder: Path) -> Speed | None:
    """Quix Streams on the same topic; None if it cannot be installed."""
    python = QUIX / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(QUIX)], check=True)
        if subprocess.run([python, "-c", "import quixstreams, re2"], capture_output=True).returncode:
            subprocess.run([python, "-m", "pip", "install", "-q", QUIX_VERSION, "google-re2"], check=True)
    except subprocess.CalledProcessError as error:
        print(f"Quix Streams left out: {error}", file=sys.stderr)
        return None
    (folder / "patterns.json").write_text(json.dumps(_patterns()))
    command = [
        python,
        str(ROOT / "benchmarks" / "quix_baseline.py"),
        "--broker",
        address,
        "--topic",
        f"{PREFIX}.events",
        "--events",
        str(count),
        "--patterns",
        str(folder / "patterns.json"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=True)
    return Speed(**json.loads(done.stdout.splitlines()[-1]))


def _patterns() -> dict[str, list[str]]:
    """Return the distinct patterns of the default evaluators: all, and those that can match an ASCII text."""
    evaluators = [parse_setting(name).build(None) for name in DEFAULT_EVALUATORS]
    patterns: dict[str, bool] = {}
    for evaluator in evaluators:
        for name, pattern in evaluator.patterns.items():
            patterns[pattern] = name in evaluator.non_ascii_patterns or patterns.get(pattern, False)
    return {"all": list(patterns), "ascii": [pattern for pattern, beyond in patterns.items() if not beyond]}


def bare(file: Path) -> dict[str, Speed]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.core_throughput", str(file)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name: Speed(**speed) for name, speed in json.loads(done.stdout).items()}


def report(
    ours: Speed,
    alone: dict[str, Speed],
    peer: Speed | None,
    extra: dict[str, float],
    size: float,
    count: int,
    where: str,
) -> str:
    base = alone["bare"]
    lines = [
        (
            f"{count:,} events of {size:,.0f} bytes on average ({where}),"
            f" {event_generator.SERVICES * event_generator.FEATURES} features, {PARTITIONS} partitions;"
        ),
        f"{os.cpu_count()} cores shared with the broker; Python {sys.version.split()[0]}.",
        "",
        (
            "| | events/s, wall | events/s, CPU | of the bare loop (CPU) | worker ÷ this (wall) | worker ÷"
            " this (CPU) |"
        ),
        "|---|---:|---:|---:|---:|---:|",
    ]
    table: list[tuple[str, Speed | None]] = [
        ("softfail worker, durable state", ours),
        ("bare loop: decode + evaluate", base),
        ("`Watch.apply` without Kafka", alone["apply"]),
        ("Quix Streams 3, 60 s counts, own state", peer),
    ]
    for name, speed in table:
        if speed is not None:
            ratios = f"{speed.cpu / base.cpu:.2f} | {ours.wall / speed.wall:.2f} | {ours.cpu / speed.cpu:.2f}"
            lines.append(f"| {name} | {speed.wall:,.0f} | {speed.cpu:,.0f} | {ratios} |")
    return "\n".join([*lines, "", *_parts(ours, alone), "", _work(extra)])


def _parts(ours: Speed, alone: dict[str, Speed]) -> list[str]:
    decode, evaluate, apply, whole = (
        1e6 / item.cpu for item in (alone["decode"], alone["bare"], alone["apply"], ours)
    )
    parts = {
        "decode": decode,
        "evaluate": evaluate - decode,
        "group, count, edges, rules, encode state": apply - evaluate,
        "Kafka, Faust, transactions": whole - apply,
        "all": whole,
    }
    return [
        "Where the time goes, CPU an event:",
        "",
        "| part | µs | share |",
        "|---|---:|---:|",
        *(f"| {name} | {micro:.2f} | {micro / whole:.0%} |" for name, micro in parts.items()),
    ]


def _work(extra: dict[str, float]) -> str:
    checkpoints = extra["softfail_checkpoints_total"]
    each_ms = 1000 * extra["softfail_checkpoint_seconds_total"] / max(checkpoints, 1)
    return (
        f"{checkpoints:,.0f} checkpoints, {each_ms:.1f} ms each;"
        f" {extra['softfail_gaps_refetched_total']:,.0f} bundles fetched again."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000, help="how many (default 400,000)")
    parser.add_argument(
        "--per-second", type=int, default=2000, help="events a second of event time (default 2,000)"
    )
    parser.add_argument(
        "--compression",
        choices=("none", "gzip"),
        default="none",
        help="of the published batches (default none)",
    )
    parser.add_argument("--no-quix", action="store_true", help="leave Quix Streams out")
    parser.add_argument("--profile", action="store_true", help="print a profile of Watch.apply too")
    options = parser.parse_args()
    if (lack := kafka_launcher.missing()) is not None:
        print(lack, file=sys.stderr)
        return 1
    where = event_generator.rows(random.Random(1))[1]
    with tempfile.TemporaryDirectory() as name, kafka_launcher.Kafka() as broker:
        folder = Path(name)
        print(f"making {options.events:,} events", file=sys.stderr)
        events = list(event_generator.messages(options.events, PARTITIONS, options.per_second))
        size = sum(len(value) for _, _, value in events) / len(events)
        (folder / "events.ndjson").write_bytes(b"\n".join(value for _, _, value in events))
        asyncio.run(create(Kafka(brokers=broker.address, prefix=PREFIX, partitions=PARTITIONS)))
        publish(broker.address, events, options.compression)
        del events
        print("worker", file=sys.stderr)
        port = kafka_launcher.free_port()
        with worker(broker.address, folder, port, PARTITIONS) as process:
            ours, extra = drained(process, port, options.events, folder / "worker.log")
        print("Quix Streams", file=sys.stderr)
        peer = None if options.no_quix else quix(broker.address, options.events, folder)
        broker.stop()
        print("bare loop", file=sys.stderr)
        alone = bare(folder / "events.ndjson")
        print(report(ours, alone, peer, extra, size, options.events, where))
        if options.profile:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.core_throughput",
                    str(folder / "events.ndjson"),
                    "--profile",
                ],
                check=True,
                cwd=ROOT,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
