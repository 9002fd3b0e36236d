"""Minutes from a rise of the failure rate to an alarm, by sampling design.

    python -m benchmarks.sampled_delays                     beside a likelihood ratio that knows all
    python -m benchmarks.sampled_delays --before CHECKOUT   and beside the code of 97ec117, at equal weights

Failures rise from 1 % to 10 or 100 % after three days, at the default run length. All detectors get the same counts.
The likelihood ratio is a Shiryaev–Roberts statistic of the sampled events that knows the design and the rates before
and after, but not how many calls there are.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.baseline_bank import Floats
from benchmarks.markdown_table import print_table
from benchmarks.sampled_pages.designs import DESIGNS, TRAFFIC, Cell
from benchmarks.tilted_alarms import Means, means_of, prepared
from monitor.rules.learned_baseline import RUN_LENGTH

GIVE_UP_MINUTES = 720

BEFORE = """
import json, sys
from monitor.drift.sequential import Sequential

task = json.load(sys.stdin)
found = []
for (n, failures), counts in zip(task["references"], task["counts"]):
    detector, detected = Sequential(task["run_length"]), None
    detector.n, detector.failures = n, failures
    for minute, (n, failures) in enumerate(counts, 1):
        reading = detector.step(n, failures, minute)
        if reading.statistic >= reading.bound:
            detected = minute
            break
    found.append(detected)
print(json.dumps(found))
"""


def first_of(first_minutes: Floats, minute: int, alarms: Any) -> None:
    """Note the minute of those that alarm for the first time."""
    first_minutes[alarms] = np.minimum(first_minutes[alarms], minute)


def delays_of(cell: Cell, after: float, streams: int, seed: int, before: Path | None) -> list[str]:
    """Return the median delays of softfail, of the code before, and of the likelihood ratio that knows all."""
    now, then = means_of(cell), means_of(cell, after)
    rng = np.random.default_rng([seed, 31])
    bank, _ = prepared(now, rng, np.ones((streams, 2)), RUN_LENGTH)
    references = np.stack([bank.n, bank.failures], 1).round(4).tolist()
    shape = (GIVE_UP_MINUTES, streams, len(now.weights))
    failed, passed = (rng.poisson(np.broadcast_to(mean, shape)) for mean in then[1:])
    ours, oracle = np.full((2, streams), np.inf)
    gains = _log_ratios(now, then)
    statistic = np.zeros(streams)
    for minute in range(GIVE_UP_MINUTES):
        rows, statistics = bank.feed(minute + 1, failed[minute] + passed[minute], failed[minute])
        first_of(ours, minute + 1, rows[statistics >= RUN_LENGTH])
        gain = failed[minute] @ gains[0] + passed[minute] @ gains[1]
        statistic = (1 + statistic) * np.exp(np.minimum(gain, 600))
        first_of(oracle, minute + 1, statistic >= RUN_LENGTH)
        if np.isfinite(ours).all() and np.isfinite(oracle).all():
            break
    row = [_median(ours), _median(oracle)]
    if before is not None:
        row.insert(1, _median(_before(before, references, failed, passed)) if len(now.weights) == 1 else "–")
    return row


def _log_ratios(now: Means, then: Means) -> list[Floats]:
    """Return ln LR of a failure and of another event of each class, given that an event was sampled."""
    totals = [means.failed.sum() + means.passed.sum() for means in (now, then)]
    return [
        np.array([
            math.log(max(after, 1e-12) / totals[1] / (usual / totals[0])) if usual else 0.0
            for usual, after in zip(*columns, strict=True)
        ])
        for columns in ((now.failed, then.failed), (now.passed, then.passed))
    ]  # fmt: skip


def _before(checkout: Path, references: Sequence[Any], failed: Any, passed: Any) -> Floats:
    """Return the delays of the detector of another checkout; events have one weight."""
    counts = np.concatenate([failed + passed, failed], 2).swapaxes(0, 1).tolist()
    task = {"run_length": RUN_LENGTH, "references": references, "counts": counts}
    out = subprocess.run(
        [sys.executable, "-c", BEFORE],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
        cwd=checkout,
        env={"PYTHONPATH": str(checkout)},
    ).stdout
    return np.array([math.inf if minute is None else minute for minute in json.loads(out)], float)


def _median(minutes: Floats) -> str:
    median, never = np.sort(minutes)[len(minutes) // 2], np.isinf(minutes).mean()
    shown = "over 12 h" if np.isinf(median) else f"{median:.0f}"
    return shown + (f" ({never:.0%} not found)" if never else "")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="a checkout of 97ec117")
    parser.add_argument("--streams", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = ["softfail", *(["before"] if options.before else []), "knows all"]
    head = [
        "design",
        "calls a minute",
        *(f"1 → {after:.0%}: {name}" for after in (0.1, 1.0) for name in names),
    ]
    rows = []
    for design, calls in itertools.product(DESIGNS, TRAFFIC):
        row, cell = [design, str(calls)], Cell(design, calls, 0.01)
        for after in (0.1, 1.0):
            row += delays_of(cell, after, options.streams, options.seed, options.before)
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    print_table(head, rows)


if __name__ == "__main__":
    main()
