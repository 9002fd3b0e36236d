"""False alarms of a baseline and its twin of known calls, at a run length at which alarms can be counted.

    python -m benchmarks.metered_alarms [--days 6] [--streams 10]

Errors are kept at p = 1, other calls at p; two producers send a meter every ten seconds at a random phase, so
that calls at an edge of a pane are shared by time. Nothing changes, so every alarm is false. Prints alarms
seen and promised: minutes after the first day, divided by the run length. Source of the table in
docs/statistics.md, "False alarms where meters state the calls".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from monitor.rules.known_calls_baseline import ALL_CALLS, calls_name, weighs_calls
from monitor.rules.learned_baseline import Baseline
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, Units
from monitor.windows.metered_calls import MeteredCalls

RUN_LENGTH = 3000.0
PANE_US = 60_000_000
METER_US = 10_000_000
DAY_MIN = 1440
PRODUCERS = 2


def panes(
    rng: np.random.Generator, minutes: int, per_minute: float, failing: float, p: float
) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each minute its calls as meters state them, its calls, failures and other events that were
    sampled.
    """
    phases = rng.uniform(0, METER_US, PRODUCERS)
    metered, seen_us = MeteredCalls(), [0] * PRODUCERS
    carried = [0] * PRODUCERS  # calls since the last meter
    previous = 0, 0, 0
    for minute in range(minutes):
        calls = 0
        for producer in range(PRODUCERS):
            start_us, end_us = minute * PANE_US, (minute + 1) * PANE_US
            times = np.sort(rng.uniform(start_us, end_us, rng.poisson(per_minute / PRODUCERS)))
            calls += len(times)
            meters = np.arange(phases[producer] + start_us, end_us, METER_US)
            counts = np.diff(np.searchsorted(times, meters), prepend=0)
            for meter_us, count in zip(meters, counts, strict=True):
                metered.add(seen_us[producer], int(meter_us), int(count) + carried[producer], PANE_US)
                seen_us[producer], carried[producer] = int(meter_us), 0
            carried[producer] += len(times) - int(counts.sum())
        if minute:
            shared = metered.within((minute - 1) * PANE_US, minute * PANE_US)
            assert shared is not None
            yield shared.n, *previous
        failures = int(rng.binomial(calls, failing))
        previous = calls, failures, int(rng.binomial(calls - failures, p))


def alarms(
    seed: int, days: int, per_minute: float, failing: float, p: float, known_share: float
) -> tuple[int, int]:
    """Return false alarms of a stream after its first day, and how many panes were weighed by calls.

    ``known_share``: share of the half hours in which the calls are known.
    """
    rng = np.random.default_rng(seed)
    events, calls = Baseline(0, ShiryaevRoberts(RUN_LENGTH)), Baseline(0, ShiryaevRoberts(RUN_LENGTH))
    baselines = {"error_rate": events, calls_name("error_rate"): calls}
    units, seen, by_calls, is_known = Units(1 / p, 1.0), 0, 0, True
    for minute, (metered, _, failures, others) in enumerate(
        panes(rng, days * DAY_MIN, per_minute, failing, p)
    ):
        edge_us = (minute + 1) * PANE_US
        if minute % 30 == 0:
            is_known = rng.random() < known_share
        rate, whole = Rate(), Rate()
        if failures:
            rate.add(MILLION, failures, failures)
        if others:
            rate.add(round(MILLION * p), others, 0)
        is_weighed = is_known and weighs_calls(baselines, "error_rate", metered, units, edge_us)
        if is_known and metered >= failures:
            whole.add(MILLION, metered, failures)
            calls.feed(whole, edge_us, PANE_US, frozen=False, known=ALL_CALLS, is_weighed=is_weighed)
        events.feed(rate, edge_us, PANE_US, frozen=False, known=units, is_weighed=not is_weighed)
        by_calls += is_weighed
        for baseline in (events, calls):
            if baseline.risen is not None:
                baseline.risen = None
                baseline.detector.reset_evidence()
                seen += minute >= DAY_MIN
    return seen, by_calls


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=6)
    parser.add_argument("--streams", type=int, default=10)
    given = parser.parse_args()
    promised = given.streams * (given.days - 1) * DAY_MIN / RUN_LENGTH
    print("| p of others | calls a minute | failing | calls known | weighed by calls | alarms | promised |")
    print("|---|---|---|---|---|---|---|")
    for p in (0.01, 0.001):
        for per_minute in (20, 200):
            for failing in (0.01, 0.05):
                for known_share in (1.0, 0.5):
                    results = [
                        alarms(seed, given.days, per_minute, failing, p, known_share)
                        for seed in range(given.streams)
                    ]
                    seen = sum(count for count, _ in results)
                    by_calls = sum(n for _, n in results) / (given.streams * given.days * DAY_MIN)
                    print(
                        f"| {p:g} | {per_minute} | {failing:.0%} | {known_share:.0%} of half hours"
                        f" | {by_calls:.0%} of minutes | {seen} | {promised:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
