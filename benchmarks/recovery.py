"""How long a worker takes to read its state back, and with how much memory; and a restart on a quiet topic.
See README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faust.types import TP
from kafka import KafkaProducer

from agents.kafka import topics
from agents.runtime.changelog import Changelog
from benchmarks.worker_processes import PREFIX, applied, cpu_s, memory_mb, ready, worker
from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config
from softfail.partitioning import partition_of
from tests import kafka_launcher

ROOT = Path(__file__).resolve().parents[1]
SEGMENTS_A_FEATURE = 200
PANE_S = 60
PATIENCE_S = 300
_WORDS = [
    "the",
    "parcel",
    "ships",
    "on",
    "monday",
    "and",
    "you",
    "can",
    "follow",
    "its",
    "way",
    "with",
    "number",
    "that",
    "we",
    "sent",
    "by",
    "mail",
]


async def build(
    address: str, partitions: int, segments: int, panes: int, events_a_pane: int
) -> dict[str, float]:
    """The state of a worker that has measured ``segments`` for ``panes`` minutes, made by the real core and
    written by the real journal.
    """
    kafka = Kafka(brokers=address, prefix=PREFIX, partitions=partitions)
    config = Config.model_validate(
        {"kafka": {"brokers": address, "prefix": PREFIX, "partitions": partitions}}
    )
    async with topics.admin_client(kafka) as admin:
        cluster = str((await admin.describe_cluster())["cluster_id"])
    rng, start = random.Random(1), int(time.time()) // PANE_S * PANE_S - (panes - 1) * PANE_S
    features = -(-segments // SEGMENTS_A_FEATURE)
    names_by_partition: dict[int, list[str]] = {}
    for number in range(features):
        names_by_partition.setdefault(partition_of("service", f"feature-{number}", partitions), []).append(
            f"feature-{number}"
        )
    totals = {"records": 0.0, "bytes": 0.0, "partitions": float(len(names_by_partition))}
    for partition, names in names_by_partition.items():
        watch = Watch(config, partition, partitions)
        journal = Changelog(kafka, "watch", TP(f"{PREFIX}.events", partition), cluster)
        await journal.open()
        offset = 0
        for pane in range(panes):
            records = []
            for name in names:
                for segment in range(min(SEGMENTS_A_FEATURE, segments)):
                    for nth in range(events_a_pane):
                        records.append(
                            FileRecord(
                                _event(
                                    rng, start + pane * PANE_S + nth * PANE_S // events_a_pane, name, segment
                                ),
                                offset,
                            )
                        )
                        offset += 1
            watch.apply(records)
            # no event is on the topic, so the position stays
            await journal.write(0, watch.changed(), Outputs())
        totals["records"] += journal.records
        totals["bytes"] += journal.bytes
        await journal.close()
    return totals


def _event(rng: random.Random, at_s: int, feature: str, segment: int) -> bytes:
    words = rng.choices(_WORDS, k=rng.randint(5, 60))
    return json.dumps(
        {
            "event_id": f"{rng.getrandbits(64):016x}",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s)),
            "service": "service",
            "feature": feature,
            "model": f"model-{segment % 10}",
            "prompt_version": f"v{segment // 10}",
            "variant": "",
            "output": " ".join(words),
            "input_tokens": rng.randint(50, 400),
            "output_tokens": len(words),
            "duration_s": round(rng.lognormvariate(0, 0.6), 3),
            "finish_reason": "stop",
        }
    ).encode()


def recovered(address: str, folder: Path, partitions: int, port: int) -> dict[str, float]:
    """One worker: seconds from exec to ready, its own figure of the restore, and memory."""
    began, log = time.perf_counter(), folder / "worker.log"
    seen = log.stat().st_size if log.exists() else 0
    with worker(address, folder, port, partitions) as process:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                raise SystemExit(f"the worker did not become ready:\n{log.read_text()[-3000:]}")
            time.sleep(0.02)
        took_s, cpu, peak_mb = time.perf_counter() - began, cpu_s(process.pid), memory_mb(process.pid)
        read = re.search(
            r"restored \d+ partitions: ([\d,]+) records of state in ([\d.]+) s",
            log.read_bytes()[seen:].decode(),
        )
        assert read is not None
    return {
        "ready_s": took_s,
        "restore_s": float(read[2]),
        "cpu_s": cpu,
        "records_read": int(read[1].replace(",", "")),
        "peak_mb": peak_mb,
    }


def quiet_restart(address: str, folder: Path, partitions: int, port: int) -> dict[str, float]:
    """SIGTERM, one event while nobody runs, a new process: seconds from exec until it has applied the event,
    and its imports apart.
    """
    with worker(address, folder, port, partitions) as process:
        while not ready(port):
            time.sleep(0.02)
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    producer = KafkaProducer(bootstrap_servers=address)
    producer.send(
        f"{PREFIX}.events",
        _event(random.Random(2), int(time.time()), "feature-0", 0),
        partition=partition_of("service", "feature-0", partitions),
    ).get(10)
    producer.close()
    began = time.perf_counter()
    with worker(address, folder, port, partitions) as process:
        while applied(port) == 0:
            time.sleep(0.01)
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                raise SystemExit(f"nothing was applied:\n{(folder / 'worker.log').read_text()[-3000:]}")
        took_s = time.perf_counter() - began
    alone_s = imports_s()
    return {"applied_s": took_s, "imports_s": alone_s, "after_imports_s": took_s - alone_s}


def imports_s() -> float:
    """Seconds that a process spends until everything is imported."""
    began = time.perf_counter()
    code = "import agents.commands.worker, monitor.config_check, agents.runtime.app, agents.notify, agents.watch, agents.web.server"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return time.perf_counter() - began


def _print(name: str, totals: dict[str, float]) -> None:
    print(
        f"{name}: "
        + ", ".join(f"{total} {value:,.2f}".removesuffix(".00") for total, value in totals.items()),
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=2000)
    parser.add_argument("--panes", type=int, default=120)
    parser.add_argument("--events", type=int, default=3, help="a pane")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if (lack := kafka_launcher.missing()) is not None:
        print(lack, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, kafka_launcher.Kafka() as broker:
        folder, port = Path(name), kafka_launcher.free_port()
        asyncio.run(
            topics.create(Kafka(brokers=broker.address, prefix=PREFIX, partitions=options.partitions))
        )
        for _ in range(options.runs):
            _print("quiet restart", quiet_restart(broker.address, folder, options.partitions, port))
        _print(
            "state",
            asyncio.run(
                build(broker.address, options.partitions, options.segments, options.panes, options.events)
            ),
        )
        for _ in range(options.runs):
            _print("recovery", recovered(broker.address, folder, options.partitions, port))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
