"""Rollouts of a new version, asked every minute: ``python -m benchmarks.rollouts``.

A rollout goes from 5 to 100 % of the traffic in eight steps of an hour. Calls come in sessions of five with a
correlation of 0.1, in a daily cycle of traffic and of failures. Ten critical metrics fail 3 % of the calls, each
independently. Beside the release gate of softfail, on the same streams: Kayenta's Mann-Whitney test of minutes after
each step, and Argo's threshold of 5 %, ten measurements of 60 calls.

    run --save FILE     simulate 10,000 rollouts of each kind, and add the counts to a file (10 minutes of CPU)
    table FILE ...      print the table of docs/statistics.md
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, rankdata

from benchmarks.markdown_table import print_table
from monitor.compare.design_effect import SESSION_GROUPS
from monitor.compare.rate_evidence import log_e_difference
from monitor.compare.release_gate import LEAST_MARGIN, MARGIN_SHARE, NO_WORSE_ALPHA, WORSE_ALPHA

Array = np.ndarray
SHARES = (0.05, 0.10, 0.15, 0.25, 0.40, 0.60, 0.80, 1.00)
STEP = 60  # minutes
METRICS, CALLS, RHO = 10, 5, 0.1
FAILING = 0.03
LEAST_MINUTES, LEAST_EVENTS = 30, 500
PROMOTES_EVERY = 10  # minutes between looks at "no worse", which take long
TRAFFIC = (200, 500)  # calls a minute


class World(NamedTuple):
    """What the new version does: its failures of the first metric, and the minute from which it sends nothing."""

    name: str
    failing: float
    silent_from: int = 10_000


WORLDS = (
    World("as good", 0.03),
    World("rise to 6 %", 0.06),
    World("rise to 10 %", 0.10),
    World("silent after 20 minutes", 0.03, silent_from=20),
)


class Outcome(NamedTuple):
    """Of each rollout: the minute of a decision; inf if there is none. Shape (rollouts,)."""

    rolled_back: Array
    promoted: Array
    argo_one: Array
    argo_all: Array
    kayenta: Array


@lru_cache(maxsize=64)
def failures_per_session(p: float) -> Array:
    """Return the probabilities of 0 to 5 failures of a session: beta-binomial."""
    a, b = p * (1 / RHO - 1), (1 - p) * (1 / RHO - 1)
    log = [
        math.lgamma(CALLS + 1) - math.lgamma(k + 1) - math.lgamma(CALLS - k + 1)
        + math.lgamma(k + a) + math.lgamma(CALLS - k + b) - math.lgamma(CALLS + a + b)
        + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        for k in range(CALLS + 1)
    ]  # fmt: skip
    return np.exp(log)


class ArmTotals:
    """Weighted counts of one arm so far, of each rollout and metric, and its groups of sessions."""

    def __init__(self, rollouts: int) -> None:
        self.total = np.zeros((rollouts, 1))
        self.squares = np.zeros((rollouts, 1))
        self.failed = np.zeros((rollouts, METRICS))
        self.groups = np.zeros((rollouts * METRICS, SESSION_GROUPS), np.float32)
        self.sizes = np.zeros((rollouts, SESSION_GROUPS), np.float32)

    def add(self, draw: np.random.Generator, sessions: Array, by_failures: Array, factor: Array) -> None:
        """Add a minute. sessions, factor: shape (rollouts,); by_failures: (rollouts, metrics, 0 to 5 failures)."""
        n = CALLS * sessions[:, None]
        self.total += factor[:, None] * n
        self.squares += factor[:, None] ** 2 * n
        self.failed += factor[:, None] * (by_failures @ np.arange(CALLS + 1))
        rows = np.repeat(np.arange(len(sessions)), sessions)
        place = rows * SESSION_GROUPS + draw.integers(0, SESSION_GROUPS, len(rows))
        self.sizes += CALLS * np.bincount(place, minlength=self.sizes.size).reshape(self.sizes.shape)
        flat = by_failures.reshape(-1, CALLS + 1)
        for k in range(1, CALLS + 1):
            rows = np.repeat(np.arange(len(flat)), flat[:, k])
            place = rows * SESSION_GROUPS + draw.integers(0, SESSION_GROUPS, len(rows))
            places, times = np.unique(place, return_counts=True)
            self.groups.ravel()[places] += k * times

    def design_effect(self, rows: Array, metrics: Array) -> tuple[Array, Array]:
        """Return the ratio of variances of some metrics of some rollouts, and its degrees of freedom."""
        groups = self.groups[rows * METRICS + metrics].astype(float)
        sizes = self.sizes[rows].astype(float)
        used = (sizes > 0).sum(1)
        n = np.maximum(sizes.sum(1), 1)
        share = groups.sum(1) / n
        between = ((groups - share[:, None] * sizes) ** 2).sum(1) * used / np.maximum(used - 1, 1)
        independent = n * share * (1 - share)
        known = (independent > 0) & (used > 1)
        return np.where(known, between / np.where(known, independent, 1), 0), np.where(known, used - 1, 0)


def counts(totals: ArmTotals, rows: Array, metrics: Array, effect: Array) -> tuple[Array, Array]:
    """Return effective events and failures: ``monitor.compare.paired_counts.rate_counts`` with one weight."""
    total, squares = totals.total[rows, 0], totals.squares[rows, 0]
    n = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0) / effect
    share = np.divide(totals.failed[rows, metrics], total, out=np.zeros_like(total), where=total > 0)
    return n, n * np.minimum(1.0, share)


def ask(a: ArmTotals, b: ArmTotals, rows: Array, metrics: Array) -> tuple[Array, Array, Array, Array]:
    """Return the counts of the new version and of the stable one, as the gate has them."""
    ratio_a, weight_a = a.design_effect(rows, metrics)
    ratio_b, weight_b = b.design_effect(rows, metrics)
    effect = (ratio_a * weight_a + ratio_b * weight_b) / np.maximum(weight_a + weight_b, 1)
    effect = np.maximum(1.0, effect)
    return (*counts(b, rows, metrics, effect), *counts(a, rows, metrics, effect))


def simulate(world: World, traffic: int, rollouts: int, seed: int) -> Outcome:
    """Run the rollouts of one world."""
    draw = np.random.default_rng((seed, traffic, WORLDS.index(world)))
    a, b = ArmTotals(rollouts), ArmTotals(rollouts)
    never = np.full(rollouts, np.inf)
    rolled_back, promoted = never.copy(), never.copy()
    events, last_event = np.zeros(rollouts), np.zeros(rollouts)
    minutes_a: list[Array] = []
    minutes_b: list[Array] = []
    phase = draw.uniform(0, 2 * math.pi, rollouts)
    everyone = np.repeat(np.arange(rollouts), METRICS)
    every_metric = np.tile(np.arange(METRICS), rollouts)
    for minute in range(STEP * len(SHARES)):
        share = SHARES[minute // STEP]
        cycle = np.sin(2 * math.pi * minute / 1440 + phase)
        rate = traffic / CALLS * (1 + 0.5 * cycle)
        sends = minute < world.silent_from
        sessions_a, sessions_b = draw.poisson(rate * (1 - share)), draw.poisson(rate * share * sends)
        by_a = sample_failures(draw, sessions_a, cycle, FAILING, FAILING)
        by_b = sample_failures(draw, sessions_b, cycle, FAILING, world.failing)
        both = (sessions_a > 0) & (sessions_b > 0)
        n = np.maximum(sessions_a + sessions_b, 1)
        a.add(draw, np.where(both, sessions_a, 0), by_a * both[:, None, None], sessions_b / n)
        b.add(draw, np.where(both, sessions_b, 0), by_b * both[:, None, None], sessions_a / n)
        events += CALLS * sessions_b * both
        last_event = np.where(sessions_b > 0, minute, last_event)
        for kept, sessions, by in ((minutes_a, sessions_a, by_a), (minutes_b, sessions_b, by_b)):
            kept.append(rates(sessions, by))
        open_rows = np.isinf(rolled_back[everyone])
        rows, metrics = everyone[open_rows], every_metric[open_rows]
        rows, metrics = promising(a, b, rows, metrics)
        if len(rows):
            n_b, f_b, n_a, f_a = ask(a, b, rows, metrics)
            log_e = log_e_difference(n_b, f_b, n_a, f_a)
            worse = (log_e >= math.log(METRICS / WORSE_ALPHA)) & (f_b * n_a > f_a * n_b)
            rolled_back[np.unique(rows[worse])] = minute
        if minute % PROMOTES_EVERY == PROMOTES_EVERY - 1 and minute + 1 >= LEAST_MINUTES:
            silent = (minute - last_event) > 10
            candidates = np.isinf(promoted) & np.isinf(rolled_back) & (events >= LEAST_EVENTS) & ~silent
            promoted[no_worse(a, b, np.flatnonzero(candidates))] = minute
    series_a, series_b = np.stack(minutes_a), np.stack(minutes_b)
    return Outcome(
        rolled_back,
        np.where(promoted < rolled_back, promoted, np.inf),
        argo(series_b[:, :, :1], 0.05, traffic),
        argo(series_b, 0.05, traffic),
        kayenta(series_a[:, : min(rollouts, 200)], series_b[:, : min(rollouts, 200)]),
    )


def sample_failures(
    draw: np.random.Generator, sessions: Array, cycle: Array, p: float, first: float
) -> Array:
    """Return the sessions by number of failures, shape (rollouts, metrics, 0 to 5); failures cycle by ± 30 %.

    Rollouts are drawn in ten classes of the cycle.
    """
    out = np.zeros((len(sessions), METRICS, CALLS + 1), np.int64)
    classes = np.clip(np.floor((cycle + 1) * 5), 0, 9)
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        factor = 1 + 0.3 * ((number + 0.5) / 5 - 1)
        n = np.repeat(sessions[rows, None], METRICS, 1)
        out[rows, 1:] = draw.multinomial(n[:, 1:], failures_per_session(p * factor))
        out[rows, :1] = draw.multinomial(n[:, :1], failures_per_session(first * factor))
    return out


def promising(a: ArmTotals, b: ArmTotals, rows: Array, metrics: Array) -> tuple[Array, Array]:
    """Return those whose new version fails so much more that the e-value may be large, without a design effect."""
    one = np.ones(len(rows))
    n_b, f_b = counts(b, rows, metrics, one)
    n_a, f_a = counts(a, rows, metrics, one)
    n = n_a + n_b
    with np.errstate(divide="ignore", invalid="ignore"):
        p = (f_a + f_b) / n
        z = (f_b / n_b - f_a / n_a) / np.sqrt(p * (1 - p) * (1 / n_a + 1 / n_b))
    kept = np.nan_to_num(z) > 3
    return rows[kept], metrics[kept]


def no_worse(a: ArmTotals, b: ArmTotals, candidates: Array) -> Array:
    """Return the rollouts of which every metric is no worse."""
    for metric in range(METRICS):
        if not len(candidates):
            return candidates
        n_b, f_b, n_a, f_a = ask(a, b, candidates, np.full(len(candidates), metric))
        share_a, share_b = f_a / np.maximum(n_a, 1e-9), f_b / np.maximum(n_b, 1e-9)
        margin = np.maximum(LEAST_MARGIN, MARGIN_SHARE * share_a)
        log_e = log_e_difference(n_b, f_b, n_a, f_a, margin)
        candidates = candidates[(share_b - share_a < margin) & (log_e >= -math.log(NO_WORSE_ALPHA))]
    return candidates


def rates(sessions: Array, by_failures: Array) -> Array:
    """Return the share of failing calls, NaN without calls; shape (rollouts, metrics)."""
    n = CALLS * sessions[:, None]
    return np.where(n > 0, (by_failures @ np.arange(CALLS + 1)) / np.maximum(n, 1), np.nan).astype(np.float32)


def argo(series: Array, share_failing: float, calls_a_minute: int) -> Array:
    """Return the minute at which one of ten measurements of the canary exceeds the threshold (failureLimit 0).

    A measurement is the mean of the minutes in which 60 calls are expected at the first step. series: shape (minutes,
    rollouts, metrics).
    """
    out = np.full(series.shape[1], np.inf)
    length = max(1, round(60 / (calls_a_minute * SHARES[0])))
    for start in range(0, 10 * length, length):
        block = series[start : start + length]
        known = np.isfinite(block)
        mean = np.where(known, block, 0).sum(0) / np.maximum(known.sum(0), 1)
        out = np.where(np.isinf(out) & (mean > share_failing).any(1), start + length - 1, out)
    return out


def kayenta(series_a: Array, series_b: Array) -> Array:
    """Return the end of the first step after which a metric is High: the 98 % interval of the shift of minutes lies
    above a quarter of the Hodges-Lehmann estimate. Steps without a stable version are left out.

    Source: MannWhitneyClassifier.scala of Kayenta; Hollander and Wolfe, Nonparametric Statistical Methods, 4.
    """
    out = np.full(series_a.shape[1], np.inf)
    for step in range(len(SHARES) - 1):
        minutes = slice(step * STEP, (step + 1) * STEP)
        for rollout in range(series_a.shape[1]):
            if np.isinf(out[rollout]) and any(
                is_high(series_a[minutes, rollout, metric], series_b[minutes, rollout, metric])
                for metric in range(METRICS)
            ):
                out[rollout] = (step + 1) * STEP - 1
    return out


def is_high(stable: Array, canary: Array) -> bool:
    """Return whether Kayenta calls a metric High."""
    stable, canary = stable[np.isfinite(stable)], canary[np.isfinite(canary)]
    n, m = len(canary), len(stable)
    if min(n, m) < 2:
        return False
    ranks = rankdata(np.concatenate([canary, stable]))
    u = ranks[:n].sum() - n * (n + 1) / 2
    if u <= n * m / 2:
        return False
    shifts = np.sort((canary[:, None] - stable[None, :]).ravel())
    spread = norm.isf(0.01) * math.sqrt(n * m * (n + m + 1) / 12)
    low = shifts[max(0, int(n * m / 2 - spread))]
    return bool(low > 0.25 * abs(float(np.median(shifts))))


def summary(world: World, outcome: Outcome) -> Counter[str]:
    """Return the counts of a simulation, which add."""
    before_25 = STEP * SHARES.index(0.25)
    tally: Counter[str] = Counter(rollouts=len(outcome.rolled_back), kayenta_rollouts=len(outcome.kayenta))
    for name, minutes in outcome._asdict().items():
        tally[name] = int(np.isfinite(minutes).sum())
        tally[f"{name}_before_25"] = int((minutes < before_25).sum())
    after = outcome.promoted[np.isfinite(outcome.promoted)]
    tally["promoted_silent"] = int((after > world.silent_from + 10).sum())
    return tally


def run(rollouts: int, seeds: Sequence[int], save: Path, worlds: list[int], traffic: list[int]) -> None:
    """Simulate a part for each seed, and add its counts to a file."""
    for seed in seeds:
        for calls in traffic:
            for number in worlds:
                tally = summary(WORLDS[number], simulate(WORLDS[number], calls, rollouts, seed))
                with save.open("a") as file:
                    file.write(json.dumps({"world": number, "traffic": calls, "seed": seed, **tally}) + "\n")


def table(files: list[Path]) -> None:
    """Print the table of the counts in some files."""
    tallies: dict[tuple[int, int], Counter[str]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            tally = Counter(json.loads(line))
            key = tally.pop("traffic"), tally.pop("world")
            tally.pop("seed")
            tallies.setdefault(key, Counter()).update(tally)
    rows = []
    for (traffic, world), tally in sorted(tallies.items()):
        n, few = tally["rollouts"], tally["kayenta_rollouts"]
        rows.append(
            [
                f"{traffic}",
                WORLDS[world].name,
                f"{n:,}",
                *(
                    f"{100 * tally[name] / n:.2f} %"
                    for name in ("rolled_back", "rolled_back_before_25", "promoted")
                ),
                f"{tally['promoted_silent']}",
                *(f"{100 * tally[name] / n:.0f} %" for name in ("argo_one", "argo_all")),
                f"{100 * tally['kayenta'] / few:.0f} %",
            ]
        )
    head = [
        "calls a minute",
        "new version",
        "rollouts",
        "rolled back",
        "of these before 25 %",
        "promoted",
        "in silence",
    ]
    print_table([*head, "Argo, 1 metric", "Argo, 10 metrics", "Kayenta, 10 metrics"], rows)


def main() -> None:
    """Simulate, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    simulation = commands.add_parser("run")
    simulation.add_argument("--rollouts", type=int, default=2500, help="of a part")
    simulation.add_argument("--parts", type=int, default=4)
    simulation.add_argument("--seed", type=int, default=0)
    simulation.add_argument("--save", type=Path, required=True)
    simulation.add_argument("--worlds", type=int, nargs="+", default=list(range(len(WORLDS))))
    simulation.add_argument("--traffic", type=int, nargs="+", default=list(TRAFFIC))
    commands.add_parser("table").add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "run":
        seeds = range(options.seed, options.seed + options.parts)
        run(options.rollouts, seeds, options.save, options.worlds, options.traffic)
    else:
        table(options.files)


if __name__ == "__main__":
    main()
