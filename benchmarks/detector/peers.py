"""Detectors that softfail's is compared with: CUSUM with known rates, and ADWIN of river."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.detector.streams import match_false_alarms

RIVER = Path(__file__).resolve().parents[2] / ".cache" / "river"
RIVER_VERSION = "river==0.26.*"


def cusum(p: float, assumed: float, risen: float, streams: int = 3000, seed: int = 0) -> float:
    """Return the median delay of a CUSUM for a rise from ``p`` to ``assumed``, in events."""
    rng = np.random.default_rng(13 + seed)
    failure, success = np.log(assumed / p), np.log((1 - assumed) / (1 - p))

    def run(bound: float, rate: float, steps: int, g: np.ndarray, stop: bool) -> tuple[np.ndarray, int]:
        detected, count = np.full(streams, np.inf), 0
        for index in range(1, steps + 1):
            g = np.maximum(0, g) + np.where(rng.random(streams) < rate, failure, success)
            alarm = g >= bound
            count += int(alarm.sum())
            detected[alarm & np.isinf(detected)] = index
            if stop and np.isfinite(detected).all():
                break
            g[alarm & (not stop)] = 0
        return (detected if stop else g), count

    def events_to_alarm(bound: float) -> float:
        return streams * 4000 / max(1, run(bound, p, 4000, np.zeros(streams), False)[1])

    bound = match_false_alarms(events_to_alarm, 1.5, 12)
    resting = run(bound, p, 1000, np.zeros(streams), False)[0]
    return float(np.median(run(bound, risen, 20_000, resting, True)[0]))


ADWIN = """
import sys, numpy as np
from river.drift import ADWIN
rng = np.random.default_rng(14 + int(sys.argv[1]))
def rises(detector, xs):
    for index, x in enumerate(xs):
        before = detector.estimation
        detector.update(x)
        if detector.drift_detected and detector.estimation > before:
            yield index + 1
def alarms(p, delta, streams=160):
    count = 0
    for _ in range(streams):
        detector = ADWIN(delta=delta)
        list(rises(detector, (rng.random(5000) < p).astype(int).tolist()))
        count += sum(1 for _ in rises(detector, (rng.random(20_000) < p).astype(int).tolist()))
    return streams * 20_000 / max(1, count)
for p, changes in ((0.03, (0.05, 0.07, 0.10)), (0.01, (0.03,))):
    low, high = 0.02, 0.9
    for _ in range(6):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if alarms(p, middle) < 100_000 else (middle, high)
    delta = (low * high) ** 0.5
    for risen in changes:
        for reference in (5000, 550):
            delays = []
            for _ in range(1500):
                detector = ADWIN(delta=delta)
                for x in (rng.random(reference + int(rng.integers(32))) < p).tolist():  # it looks at each 32nd event
                    detector.update(int(x))
                delays.append(next(rises(detector, (rng.random(6000) < risen).astype(int).tolist()), float("inf")))
            print(p, risen, reference, delta, sorted(delays)[750], np.mean(np.isinf(delays)), flush=True)
"""


def adwin(seed: int = 0) -> dict[tuple[float, float, int], tuple[float, float]]:
    """Return for (p, risen, reference) the median delay of river's ADWIN and the share that it did not find.

    Rises alone count as alarms. The first call installs river in ``.cache``.
    """
    python = RIVER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(RIVER)], check=True)
    if subprocess.run([python, "-c", "import river"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", RIVER_VERSION], check=True)
    out = subprocess.run([python, "-c", ADWIN, str(seed)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    print(f"ADWIN: delta {sorted({(row[0], round(float(row[3]), 3)) for row in rows})}", file=sys.stderr)
    return {
        (float(p), float(risen), int(m)): (float(delay), float(lost)) for p, risen, m, _, delay, lost in rows
    }
