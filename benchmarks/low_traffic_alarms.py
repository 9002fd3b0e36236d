"""False alarms of the detector at low traffic: one event a block, from 30 events of reference on.

    python -m benchmarks.low_traffic_alarms

Nothing changes, so every alarm is false. Prints alarms seen and promised (blocks divided by the run length)
at run lengths at which they can be counted, and failures in a row after which an alarm comes. Source of the
tables in docs/statistics.md, "Low traffic".
"""

from __future__ import annotations

import argparse

import numpy as np

from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.rules.learned_baseline import RUN_LENGTH
from monitor.rules.low_traffic import QUIET_LEARNT_US, QUIET_REFERENCE_EVENTS, adapt_detector


def detector_of(run_length: float, events_a_day: float) -> ShiryaevRoberts:
    """Return a detector as a baseline of two days has it."""
    detector = ShiryaevRoberts(RUN_LENGTH)
    adapt_detector(detector, run_length, events_a_day, QUIET_LEARNT_US)
    return detector


def alarms(seed: int, failing: float, run_length: float, streams: int, events: int) -> int:
    """Return the false alarms of some streams of single events."""
    rng, seen = np.random.default_rng(seed), 0
    for _ in range(streams):
        detector = ShiryaevRoberts(run_length)
        detector.reference.least_events = QUIET_REFERENCE_EVENTS
        for edge, failed in enumerate(rng.random(events) < failing):
            reading = detector.step(1, int(failed), edge * 60)
            if reading.statistic >= reading.bound:
                seen += 1
                detector.reset_evidence()
    return seen


def failures_in_a_row(events_a_day: float, before: int) -> int:
    """Return after how many failures in a row an alarm comes, if none failed before."""
    detector = detector_of(RUN_LENGTH, events_a_day)
    pane_edges = 1440 / events_a_day
    for number in range(before):
        detector.step(1, 0, number * pane_edges)
    failures = 0
    while failures < 100:
        failures += 1
        reading = detector.step(1, 1, (before + failures) * pane_edges)
        if reading.statistic >= reading.bound:
            break
    return failures


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print("| calls a day | after 30 good calls | 60 | 100 | 300 |\n|---|---|---|---|---|")
    for events_a_day in (2, 3, 6, 12, 24, 48, 96):
        row = [failures_in_a_row(events_a_day, before) for before in (30, 60, 100, 300)]
        print(f"| {events_a_day} | {' | '.join(map(str, row))} |", flush=True)
    print("\n| failures | run length | alarms | promised |\n|---|---|---|---|")
    streams, events = 200, 530
    for failing in (0.01, 0.03, 0.1, 0.3):
        for run_length in (300.0, 3000.0):
            seen = alarms(1, failing, run_length, streams, events)
            print(
                f"| {failing:.0%} | {run_length:,.0f} | {seen} | {streams * 500 / run_length:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
