"""False alarms of learnt baselines of sampled features, by importance sampling.

    python -m benchmarks.tilted_alarms             the default run length, which counting cannot reach
    python -m benchmarks.tilted_alarms --check     a run length of 3,000, beside counting

A reference of three days, then a day of minutes without a change. Sampled is from a mixture in which the reference
has fewer failures or more other events than usual, and failures rise, or others fall, from some minute on; each
alarm is weighed by how much likelier the mixture made it. This is unbiased whatever the detector does; a way to an
alarm that the mixture seldom takes shows as a large error, or not at all.

Source: Siegmund, Ann. Statist. 4 (1976); Owen, Zhou, JASA 95 (2000), defensive mixtures.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.baseline_bank import BaselineBank, Floats
from benchmarks.markdown_table import print_table
from benchmarks.sampled_pages.designs import DESIGNS, FAILING, Cell, weights_of
from monitor.drift import block_correlation
from monitor.rules.learned_baseline import RUN_LENGTH

MINUTES, REFERENCE_DAYS = 1440, 3
COUNTABLE_RUN = 3e3
CALLS = (20, 200)
_REFERENCE_TILTS = ((1, 1), (0.85, 1), (0.7, 1), (0.55, 1), (0.4, 1), (1, 1.1), (0.8, 1.1))
_RISES = ((1, 1), (1.2, 1), (1.4, 1), (1.7, 1), (2, 1), (2.5, 1), (3.5, 1), (1.5, 0.8))
"""Factors on the means of failures and of other events."""


class Means(NamedTuple):
    """Expected failures and other events a minute, by weight."""

    weights: list[float]
    failed: Floats
    passed: Floats


def means_of(cell: Cell, risen: float | None = None) -> Means:
    """Return the means of the pass rate of a cell, of the whole feature; ``risen``: with this failure rate."""
    weights, (errors, refusals) = weights_of(cell.design), cell.rates
    if risen is not None:
        errors, refusals = errors * risen / cell.failing, refusals * risen / cell.failing
    failed, passed = np.zeros((2, len(weights)))
    for s in DESIGNS[cell.design]:
        calls = cell.calls * s.share
        text = weights.index(1 / (s.of_others * s.of_text))
        failed[weights.index(1 / s.of_errors)] += calls * errors * s.of_errors
        failed[text] += calls * refusals / weights[text]
        passed[text] += calls * (1 - errors - refusals) / weights[text]
    return Means(weights, failed, passed)


def _log_ratio(failed: Floats, passed: Floats, cell_means: Means, tilts: Floats, minutes: float) -> Floats:
    """Return ln of how much likelier each tilt makes the total counts of so many minutes, shape (tilts, streams)."""
    a, b = tilts[:, :1], tilts[:, 1:]
    return (
        failed * np.log(a) + passed * np.log(b)
        - minutes * (cell_means.failed.sum() * (a - 1) + cell_means.passed.sum() * (b - 1))
    )  # fmt: skip


def prepared(
    cell_means: Means, rng: np.random.Generator, tilts: Floats, run_length: float
) -> tuple[BaselineBank, Floats]:
    """Return baselines of an age of days with a drawn reference, and its ln ratios."""
    streams, minutes = len(tilts), MINUTES * REFERENCE_DAYS
    bank, weights = BaselineBank(streams, cell_means.weights, run_length), np.array(cell_means.weights)
    failed, passed = (
        rng.poisson(mean * minutes * tilts[:, nth, None]).astype(float)
        for nth, mean in enumerate((cell_means.failed, cell_means.passed))
    )
    any_unit, failed_unit = weights.max(), weights[cell_means.failed > 0].max()
    units = (cell_means.failed @ weights) / failed_unit + (cell_means.passed @ weights) / any_unit
    worth = 1 / (1 + max(0.0, units - 1) * block_correlation.CORRELATION[0] * block_correlation.CAUTION)
    worth = min(worth, 9e5 / (units * minutes))
    bank.memory.any[:, 0], bank.memory.failed[:, 0] = any_unit, failed_unit
    bank.unit_any[:], bank.unit_failed[:], bank.begun[:] = any_unit, failed_unit, -minutes
    bank.failures = failed @ weights / failed_unit * worth
    bank.n = bank.failures + passed @ weights / any_unit * worth
    totals = failed.sum(1), passed.sum(1)
    return bank, _log_ratio(*totals, cell_means, np.array(_REFERENCE_TILTS), minutes)


def alarms_a_day(
    cell_means: Means, streams: int, seed: int, run_length: float = RUN_LENGTH
) -> tuple[float, float]:
    """Return first alarms in a day, of one series, and their standard error."""
    rng = np.random.default_rng([seed, 21])
    references, rises = np.array(_REFERENCE_TILTS), np.array(_RISES)
    chosen = references[rng.integers(len(references), size=streams)]
    bank, of_reference = prepared(cell_means, rng, chosen, run_length)
    rise, begins = rises[rng.integers(len(rises), size=streams)], rng.integers(MINUTES, size=streams)
    changed, weight = np.zeros((len(rises), streams)), np.zeros(streams)
    reference = np.exp(np.minimum(of_reference, 600)).mean(0)
    for minute in range(MINUTES):
        factors = np.where((minute >= begins)[:, None], rise, 1.0)
        failed, passed = (
            rng.poisson(mean * factors[:, nth, None]).astype(float)
            for nth, mean in enumerate((cell_means.failed, cell_means.passed))
        )
        ratio = _log_ratio(failed.sum(1), passed.sum(1), cell_means, rises, 1)
        changed = np.minimum((changed + 1 / MINUTES) * np.exp(np.minimum(ratio, 600)), 1e250)
        rows, statistic = bank.feed(minute + 1, failed + passed, failed)
        alarms = rows[(statistic >= run_length) & (weight[rows] == 0)]
        mixture = changed[:, alarms].mean(0) + 1 - (minute + 1) / MINUTES
        weight[alarms] = np.exp(-np.log(reference[alarms]) - np.log(mixture))
    return float(weight.mean()), float(weight.std() / np.sqrt(streams))


def counted_a_day(cell_means: Means, streams: int, seed: int, run_length: float) -> tuple[float, float]:
    """Return the same without any tilt."""
    rng, has_alarmed = np.random.default_rng([seed, 22]), np.zeros(streams, bool)
    bank, _ = prepared(cell_means, rng, np.ones((streams, 2)), run_length)
    for minute in range(MINUTES):
        failed, passed = (
            rng.poisson(np.broadcast_to(mean, (streams, len(mean)))).astype(float) for mean in cell_means[1:]
        )
        rows, statistic = bank.feed(minute + 1, failed + passed, failed)
        has_alarmed[rows[statistic >= run_length]] = True
    return float(has_alarmed.mean()), float(has_alarmed.std() / np.sqrt(streams))


def rows_of(streams: int, seed: int) -> Iterator[list[str]]:
    for design, calls in itertools.product(
        [name for name in list(DESIGNS)[4:] if not DESIGNS[name][0].has_meters], CALLS
    ):
        row = [design, str(calls)]
        for failing in FAILING:
            mean, error = alarms_a_day(means_of(Cell(design, calls, failing)), streams, seed)
            row.append(f"{1000 * mean:.1g} ± {error / mean:.0%}" if mean > 1e-8 else "below 1e-5")
        print(row, file=sys.stderr, flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="beside counting, where that is possible")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.check:
        rows = []
        for cell in (Cell("errors at 1, others at 0.1", 20, 0.01), Cell("texts at 0.1 (q)", 20, 0.01)):
            cell_means = means_of(cell)
            tilted = alarms_a_day(cell_means, options.streams, options.seed, COUNTABLE_RUN)
            counted = counted_a_day(cell_means, 2 * options.streams, options.seed, COUNTABLE_RUN)
            rows.append([
                cell.design, str(cell.calls), f"{cell.failing:.0%}",
                *(f"{1000 * mean:.0f} ± {1000 * error:.0f}" for mean, error in (tilted, counted)),
                f"{1000 * MINUTES / COUNTABLE_RUN:.0f}",
            ])  # fmt: skip
        print_table(
            ["design", "calls a minute", "failing", "importance sampling", "counted", "promised"], rows
        )
        return
    head = ["design", "calls a minute", *(f"{failing:.1%} failing" for failing in FAILING)]
    print_table(head, list(rows_of(options.streams, options.seed)))


if __name__ == "__main__":
    main()
