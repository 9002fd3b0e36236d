"""Measure what the sequential detector and the drift tests find, how soon, and how often they are wrong.

Prints the tables of docs/statistics.md:

    delays      rates, at one false alarm in 100,000 events: softfail, CUSUM with known rates, river's ADWIN
    default     rates, at the default run length
    runs        run length at the default, by importance sampling
    dispersed   false alarms if rates are overdispersed or have a daily cycle
    numbers     latency and tokens: drift tests on histograms against KS on raw samples
    young       baselines of a few minutes: run length, false alarms of clustered failures, delay
    forgetting  a reference that halves, beside one that does not
    large       run length at the default with a large reference, by importance sampling
    bounds      young baselines beside detectors that know the change
    rare        a feature that never failed and fails a little, beside a detector that knows how much
    soonest     the same beside the soonest alarm that the promise allows, in minutes to the page
    windows     0.99 → 0.97 beside a sketch that compares each window with all events before it

Example: python -m benchmarks.detector_power delays --seed 100
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.detector.bank import DEFAULT_RUN, Bank, assert_same
from benchmarks.detector.conditional_windows import conditional_delay
from benchmarks.detector.importance_sampling import SHORT, run_length_by_importance
from benchmarks.detector.known_rates import informed_delay
from benchmarks.detector.peers import adwin, cusum
from benchmarks.detector.rare_failures import blocks_to_alarm, informed_blocks_to_alarm
from benchmarks.detector.soonest_alarm import minutes_of_information, soonest_minutes
from benchmarks.detector.streams import (
    delays,
    draw_failures,
    false_alarms,
    match_false_alarms,
    varying_rates,
    young_bank,
)
from benchmarks.drift_test_power import show_numbers
from benchmarks.markdown_table import print_table

RHOS = (0, 0.01, 0.02, 0.05)
YOUNG_CHANGES = (
    (40, 0.02, 0.35, 10),
    (40, 0.02, 0.1, 10),
    (40, 0.02, 0.1, 60),
    (10, 0.02, 0.35, 15),
    (12, 0.64, 0.89, 60),
    (60, 0.64, 0.89, 17),
    (60, 0.64, 0.89, 60),
    (60, 0.64, 0.999, 17),
    (60, 0.5, 0.999, 17),
    (60, 0.3, 0.95, 17),
    (60, 0.3, 0.8, 17),
    (60, 0.1, 0.7, 17),
)
DROPS = ((0.03, 0.05), (0.03, 0.07), (0.03, 0.10), (0.01, 0.03))


def show_delays(seed: int) -> None:
    peer, settings = adwin(seed), {}
    for p in (0.03, 0.01):

        def events_to_alarm(run_length: float, p: float = p) -> float:
            return false_alarms(run_length, p, 5000, 20_000, 2000, seed=seed)

        settings[p] = match_false_alarms(events_to_alarm, 200, 50_000)
    rows = []
    for p, risen in DROPS:
        ours, lost = delays(settings[p], p, risen, 5000, 6000, 3000, seed=seed)
        exact, assumed = (cusum(p, rate, risen, seed=seed) for rate in (risen, 7 / 3 * p))
        theirs, they_lost = peer[p, risen, 5000]
        rows.append(
            [
                f"{1 - p:.2f} → {1 - risen:.2f}",
                f"{ours:.0f}",
                f"{lost:.1%}",
                f"{theirs:.0f}",
                f"{they_lost:.1%}",
                f"{assumed:.0f}",
                f"{exact:.0f}",
                f"{ours / theirs:.2f}",
                f"{ours / assumed:.2f}",
                f"{ours / exact:.2f}",
            ]
        )
    print_table(
        [
            "pass rate",
            "ours",
            "never found",
            "ADWIN",
            "never found",
            "CUSUM, ×7/3",
            "CUSUM, exact",
            "÷ ADWIN",
            "÷ CUSUM ×7/3",
            "÷ CUSUM exact",
        ],
        rows,
    )
    _show_short_reference(settings, peer, seed)


def _show_short_reference(
    settings: dict[float, float], peer: dict[tuple[float, float, int], tuple[float, float]], seed: int
) -> None:
    rows = []
    for p, risen in DROPS:
        (ours, lost), (theirs, they_lost) = (
            delays(settings[p], p, risen, SHORT, 6000, 3000, seed=seed),
            peer[p, risen, SHORT],
        )
        rows.append(
            [
                f"{1 - p:.2f} → {1 - risen:.2f}",
                f"{ours:.0f}",
                f"{lost:.0%}",
                f"{theirs:.0f}",
                f"{they_lost:.0%}",
                f"{false_alarms(settings[p], p, SHORT, 5000, 6000, seed=seed):,.0f}",
            ]
        )
    print(f"{SHORT} events of reference; settings {settings}\n")
    print_table(
        [
            "pass rate",
            "ours",
            "never found",
            "ADWIN",
            "never found",
            "our events to a false alarm in the first 5,000",
        ],
        rows,
    )


def show_default(seed: int) -> None:
    rows = []
    for p, risen in (*DROPS, (0.03, 0.2), (0.01, 0.10)):
        row = [f"{1 - p:.2f} → {1 - risen:.2f}"]
        for block, reference in (
            (1, 500),
            (10, SHORT),
            (10, 5000),
            (10, 50_000),
            (60, 50_000),
            (1000, 500_000),
        ):
            delay, lost = delays(
                DEFAULT_RUN, p, risen, reference, 400 * block if block > 10 else 12_000, 400, block, seed
            )
            row.append(f"{delay:,.0f} ({lost:.0%})" if np.isfinite(delay) else f"— ({lost:.0%})")
        rows.append(row)
    print_table(
        [
            "pass rate",
            "1 a block, 500 of reference",
            "10, 550",
            "10, 5,000",
            "10, 50,000",
            "60, 50,000",
            "1000, 500,000",
        ],
        rows,
    )


def show_runs(seed: int) -> None:
    rows = []
    for block in (1, 10, 60, 1000):
        for p in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3):
            row = [str(block), f"{p:g}"]
            for reference in (500, 2000, 5000, 50_000):
                run, error = run_length_by_importance(
                    p, reference, block, blocks=1440 if block < 1000 else 300, seed=seed
                )
                row.append(f"{run / DEFAULT_RUN:.2g} ± {error:.0%}" if run < 1e3 * DEFAULT_RUN else "> 1000")
            rows.append(row)
    print_table(["events a block", "failures", "500", "2,000", "5,000", "50,000"], rows)


def show_young(seed: int) -> None:
    rows = []
    for block in (1, 10, 60):
        for p in (0.01, 0.03, 0.1, 0.3):
            row = [str(block), f"{p:g}"]
            for reference in (100, 200):
                run, error = run_length_by_importance(p, reference, block, seed=seed)
                row.append(f"{run / DEFAULT_RUN:.2g} ± {error:.0%}" if run < 1e3 * DEFAULT_RUN else "> 1000")
            rows.append(row)
    print_table(["events a block", "failures", "100", "200"], rows)
    rows = []
    for block, p in ((10, 0.03), (60, 0.003), (60, 0.03), (1000, 0.003), (1000, 0.03)):
        alarms = [young_bank(np.random.default_rng(17 + seed), block, p, 90, 4000, rho)[1] for rho in RHOS]
        rows.append([str(block), f"{p:g}", *map(str, alarms)])
    print_table(["events a block", "failures", *(f"rho {rho:g}" for rho in RHOS)], rows)
    rows = []
    for block, p, risen, minutes in YOUNG_CHANGES:
        rng, detected = np.random.default_rng(18 + seed), np.full(1000, np.inf)
        bank, _ = young_bank(rng, block, p, minutes, 1000)
        for index in range(1, 121):
            alarm = bank.step(block, draw_failures(rng, block, risen, 1000))
            detected[alarm & np.isinf(detected)] = index
        median = np.sort(detected)[500]
        delay = f"{median:.0f}" if np.isfinite(median) else "—"
        information = risen * np.log(risen / p) + (1 - risen) * np.log((1 - risen) / (1 - p))
        least = f"{np.log(DEFAULT_RUN) / information:.0f}"
        lost = f"{np.isinf(detected).mean():.0%}"
        rows.append([f"{p:g} → {risen:g}", str(block), str(minutes), delay, lost, least])
    head = [
        "failures",
        "events a minute",
        "after minutes",
        "median minutes",
        "not found in 2 h",
        "least events",
    ]
    print_table(head, rows)


def show_large(seed: int) -> None:
    rows = []
    for block, p in ((1, 0.01), (1, 0.03), (1, 0.1), (10, 0.003), (10, 0.01), (10, 0.03), (60, 0.1)):
        row = [str(block), f"{p:g}"]
        for reference in (2000, 5000):
            run, error = run_length_by_importance(p, reference, block, streams=600, seed=seed)
            row.append(f"{run / DEFAULT_RUN:.2g} ± {error:.0%}" if run < 1e3 * DEFAULT_RUN else "> 1000")
        rows.append(row)
    print_table(["events a block", "failures", "2,000", "5,000"], rows)


def show_bounds(seed: int) -> None:
    rows = []
    for p, risen, reference in (
        (0.64, 0.89, 1020),
        (0.64, 0.89, 3600),
        (0.3, 0.8, 1020),
        (0.02, 0.1, 400),
        (0.02, 0.1, 2400),
    ):
        row = [f"{p:g} → {risen:g}", f"{reference:,}"]
        for block, rho in ((1, 0.0), (60, 0.0), (60, 0.005), (60, 0.02)):
            for learnt in (None, reference):
                delay, lost = informed_delay(p, risen, block, learnt, rho, seed=seed)
                row.append(f"{delay:.0f}" if np.isfinite(delay) else f"— ({lost:.0%})")
        rows.append(row)
    kinds = ("1 a block", "60", "60, ρ 0.005", "60, ρ 0.02")
    columns = [f"{kind}: {knowledge}" for kind in kinds for knowledge in ("knows all", "learns the rate")]
    print_table(["failures", "events before", *columns], rows)


def show_rare(seed: int) -> None:
    """Blocks until the alarm, the first of them half bad: median, and in brackets the 90th percentile."""

    def cell(blocks: list[int]) -> str:
        return f"{blocks[len(blocks) // 2]} ({blocks[len(blocks) * 9 // 10]})"

    rows = []
    for block in (60, 240, 960):
        for risen in (0.03, 0.05, 0.1):
            row = [f"{risen:.0%}", f"{block}"]
            row += [cell(blocks_to_alarm(risen, block, before, 400, seed)) for before in (45, 120, 1440)]
            row += [cell(informed_blocks_to_alarm(risen, block, 120, rho, 400, seed)) for rho in (0.0, 0.005)]
            rows.append(row)
    print_table(
        [
            "fail",
            "events a block",
            "45 blocks before",
            "120 before",
            "1,440 before",
            "knows the rate since, 120 before",
            "knows it, ρ 0.005",
        ],
        rows,
    )


def show_soonest(seed: int) -> None:
    """Minutes from the first failure to the page, 30 s of lateness included: median, 90th percentile, worst of
    200. 3 % of 240 calls a minute fail, from the middle of a minute on.
    """
    lateness, streams = 0.5, 200

    def cell(delays: Sequence[float]) -> str:
        return f"{delays[streams // 2]:.1f} ({delays[streams * 9 // 10]:.1f}; {delays[-1]:.1f})"

    rows = []
    for before in (45, 90, 1440):
        # the first block is half bad, so as many blocks end half a minute sooner after it began
        ours = [number - 0.5 + lateness for number in blocks_to_alarm(0.03, 240, before, streams, seed)]
        row = [f"{before:,}", cell(ours)]
        for rho in (0.0, 0.005):
            soonest = [soonest_minutes(0.03, 240, before, rho, looks, streams, seed) for looks in (1, 4)]
            row += [cell(delays + lateness) for delays in soonest]
            row.append(f"{minutes_of_information(0.03, 240, before, rho):.1f}")
        rows.append(row)
    kinds = ("look a minute", "look each 15 s", "ln(run length) ÷ information")
    columns = [f"{known}: {kind}" for known in ("ρ 0", "ρ 0.005") for kind in kinds]
    print_table(["minutes before", "ours", *columns], rows)


def show_dispersed(seed: int) -> None:
    """False alarms in a thousand days of one series (1.44 million blocks)."""
    cases = (
        (0, 0),
        (0.005, 0),
        (0.01, 0),
        (0.02, 0),
        (0, 0.05),
        (0.005, 0.05),
        (0.005, 0.1),
        (0.005, 0.2),
        (0, 0.3),
    )
    for run in (1e6, DEFAULT_RUN):
        rows = []
        for rho, cycle in cases:
            row = [f"{rho:g}", f"± {cycle:.0%}"]
            for block, p in (
                (10, 0.01),
                (10, 0.1),
                (60, 0.01),
                (60, 0.1),
                (1000, 0.001),
                (1000, 0.01),
                (1000, 0.1),
            ):
                rate, learnt = varying_rates(run, block, p, rho, cycle, 1000, 1440, seed)
                row.append(
                    f"{rate * 1.44e6:.0f}" if learnt <= 0.006 else f"{rate * 1.44e6:.0f} ({learnt:.3f})"
                )
            rows.append(row)
        print(f"run length {run:g}; promised {1.44e6 / run:.2g}\n")
        print_table(
            [
                "rho",
                "cycle",
                "10 a block, 0.01",
                "10, 0.1",
                "60, 0.01",
                "60, 0.1",
                "1000, 0.001",
                "1000, 0.01",
                "1000, 0.1",
            ],
            rows,
        )


def show_forgetting(seed: int) -> None:
    """A million and more events of reference, then a step or a slope over days; with and without halving."""
    rows = []
    for title, days in (
        ("0.03 → 0.05 at once", 0),
        ("0.03 → 0.06 over a day", 1),
        ("over 7 days", 7),
        ("over 28 days", 28),
    ):
        row = [title]
        for horizon in (100_000.0, 1_000_000.0, np.inf):
            rng, streams = np.random.default_rng(17 + seed), 100
            bank, detected = Bank(streams, DEFAULT_RUN, horizon), np.full(streams, np.inf)
            bank.n[:], bank.f[:] = min(horizon, 1e6) * 0.75, min(horizon, 1e6) * 0.0225
            bank.refresh()
            for index in range(45_000):
                rate = 0.03 + 0.03 * min(1, index / (1440 * days)) if days else 0.05
                detected[bank.step(60, draw_failures(rng, 60, rate, streams)) & np.isinf(detected)] = (
                    index + 1
                )
                if np.isfinite(detected).all():
                    break
            row.append(f"{np.sort(detected)[streams // 2]:,.0f} ({np.isinf(detected).mean():.0%})")
        rows.append(row)
    print_table(["60 events a block", "halved beyond 100,000", "beyond 1,000,000", "never"], rows)


def show_windows(seed: int) -> None:
    """Delays at one false alarm in 100,000 events, beside a sketch that keeps the counts of every window."""

    def events_to_alarm(run_length: float) -> float:
        return false_alarms(run_length, 0.01, 5000, 20_000, 1200, seed=seed)

    setting = match_false_alarms(events_to_alarm, 200, 50_000, rounds=6)
    ours, _ = delays(setting, 0.01, 0.03, 5000, 6000, 2500, seed=seed)
    sketches = [conditional_delay(0.01, 0.03, lag=lag, seed=seed)[0] for lag in (0, 75)]
    head = ["pass rate", "ours", "conditional windows", "the same, 750 events of lag"]
    print_table(head, [["0.99 → 0.97", *(f"{delay:.0f}" for delay in (ours, *sketches))]])


TABLES = {
    "delays": show_delays,
    "default": show_default,
    "runs": show_runs,
    "dispersed": show_dispersed,
    "numbers": show_numbers,
    "forgetting": show_forgetting,
    "young": show_young,
    "large": show_large,
    "bounds": show_bounds,
    "rare": show_rare,
    "soonest": show_soonest,
    "windows": show_windows,
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", choices=TABLES, nargs="+")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="other streams than those of the tables, on which the detector was tuned",
    )
    options = parser.parse_args()
    assert_same()
    for name in options.tables:
        print(f"### {name}\n", flush=True)
        TABLES[name](options.seed)


if __name__ == "__main__":
    main()
