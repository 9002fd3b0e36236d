"""Worker processes on a Kafka of their own, and what can be read of them from outside: shared by the
benchmarks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "bench"
STOP_S = 40


@contextmanager
def worker(
    address: str, folder: Path, port: int, partitions: int, *, name: str = "worker", prefix: str = PREFIX
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m agents worker` with default settings; its log is ``folder/NAME.log``."""
    config = {
        "kafka": {"brokers": address, "prefix": prefix, "partitions": partitions},
        "http": {"port": port},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config))
    with open(folder / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agents", "worker", "--config", str(path)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def figures(port: int, *names: str) -> dict[str, float]:
    """Sums over all series of these metrics; zeros while the worker does not answer."""
    totals = dict.fromkeys(names, 0.0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return totals
    for line in lines:
        name = line.partition("{")[0].partition(" ")[0]
        if name in totals:
            totals[name] += float(line.rpartition(" ")[2])
    return totals


def applied(port: int) -> int:
    """Records that the worker has applied; asked of /healthz, for a scrape of /metrics costs it as much as a
    thousand events.
    """
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            return int(json.load(answer)["applied_records"])
    except OSError:
        return 0


def ready(port: int) -> bool:
    """Whether /readyz says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30):
            return True
    except OSError:
        return False


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a worker, user and system: of its supervisor and of the process that works."""
    seconds = 0.0
    for process in _family(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def memory_mb(pid: int, which: str = "VmHWM") -> float:
    """Peak (``VmHWM``) or present (``VmRSS``) resident memory of a worker and its supervisor, MB of 1,000,000 bytes."""
    total_mb = 0.0
    for process in _family(pid):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(which):
                total_mb += int(line.split()[1]) * 1024 / 1e6
    return total_mb


def _family(pid: int) -> list[int]:
    """Return a process and its children, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(process for child in children for process in _family(int(child)))]
