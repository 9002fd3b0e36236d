"""How often bounds of a comparison miss the truth at any look: ``python -m benchmarks.release_coverage``.

Eight hours of a canary that grows from 5 to 80 % of 100 calls a minute, in sessions of five with a correlation of 0.1,
and a daily cycle of traffic; looked at each minute. Sessions are known, so counts are divided by the design effect of
1.4. Cells are merged as ``pair_cells`` does; at the end of each stream both are compared.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.markdown_table import print_table
from monitor.compare.arm import CellKey
from monitor.compare.paired_counts import rate_counts
from monitor.compare.pairing import HEAVY_EVENTS, LONGEST_CELL_US, MINUTE_US, pair_cells
from monitor.compare.rate_evidence import log_e_difference
from monitor.stats.rate import Rate

Array = np.ndarray
SHARES = (0.05, 0.10, 0.15, 0.25, 0.40, 0.60, 0.80)
STEP, TRAFFIC, CALLS, RHO, DESIGN_EFFECT = 60, 100, 5, 0.1, 1.4
ALPHAS = (0.05, 0.001)
RATES = ((0.03, 0.03), (0.08, 0.03))  # of the stable version, of the new one
MILLION = 1_000_000


class Design(NamedTuple):
    """Probabilities with which a failing and a passing call are kept.

    ``mixed``: share of the calls, whatever their outcome, that are kept at the second probability instead of 1.
    """

    name: str
    failing: float
    passing: float
    mixed: float = 0.0


DESIGNS = (
    Design("all kept", 1.0, 1.0),
    Design("half kept at 1, half at 0.1, whatever the outcome", 1.0, 1.0, mixed=0.1),
    Design("failures at 1, others at 0.1", 1.0, 0.1),
    Design("failures at 1, others at 0.01", 1.0, 0.01),
    Design("texts at q = 0.1: all at 0.1", 0.1, 0.1),
)


def classes_of(
    draw: np.random.Generator, design: Design, failures: int, passes: int
) -> list[tuple[int, int, int]]:
    """Return (ppm, events, failures) of the calls that are kept."""
    if design.mixed:
        light_f, light_p = draw.binomial(failures, 0.5), draw.binomial(passes, 0.5)
        kept_f, kept_p = (
            draw.binomial(failures - light_f, design.mixed),
            draw.binomial(passes - light_p, design.mixed),
        )
        return [
            (MILLION, light_f + light_p, light_f),
            (round(design.mixed * MILLION), kept_f + kept_p, kept_f),
        ]
    kept_f, kept_p = draw.binomial(failures, design.failing), draw.binomial(passes, design.passing)
    if design.failing == design.passing:
        return [(round(design.failing * MILLION), kept_f + kept_p, kept_f)]
    return [(round(design.failing * MILLION), kept_f, kept_f), (round(design.passing * MILLION), kept_p, 0)]


class Totals:
    """Sums of one arm over closed cells, and the open cell."""

    def __init__(self) -> None:
        self.total = self.failed = self.squares = 0.0
        self.open_n = self.open_f = 0.0
        self.heaviest = self.heaviest_failure = 0.0

    def add(self, classes: list[tuple[int, int, int]]) -> None:
        for ppm, n, f in classes:
            self.heaviest = max(
                self.heaviest, MILLION / ppm
            )  # known from `base_probability` before it is sampled
            if f:
                self.heaviest_failure = max(self.heaviest_failure, MILLION / ppm)
            self.open_n += n * MILLION / ppm
            self.open_f += f * MILLION / ppm

    def sums(self, other: Totals, *, close: bool) -> tuple[float, float, float]:
        """Return the sums with the open cell; ``close`` it."""
        factor = 0.0
        if self.open_n > 0 and other.open_n > 0:
            factor = other.open_n / (self.open_n + other.open_n)
        sums = (
            self.total + factor * self.open_n,
            self.failed + factor * self.open_f,
            self.squares + factor**2 * self.open_n,
        )
        if close:
            self.total, self.failed, self.squares = sums
        return sums

    def counts(self, sums: tuple[float, float, float]) -> tuple[float, float]:
        total, failed, squares = sums
        if total <= 0:
            return 0.0, 0.0
        share = min(1.0, failed / total)
        unit = (1 - share) * (self.heaviest_failure or self.heaviest) + share * self.heaviest
        n = total**2 / (squares * unit) / DESIGN_EFFECT
        return n, n * share


def stream(draw: np.random.Generator, design: Design, rates: tuple[float, float]) -> Array:
    """Return the counts (n_b, failures_b, n_a, failures_a) at each minute; checked against the product at the end."""
    arms = Totals(), Totals()
    cells: tuple[dict[CellKey, Rate], dict[CellKey, Rate]] = {}, {}
    looks = np.zeros((STEP * len(SHARES), 4))
    phase, began, is_weighted = (
        draw.uniform(0, 2 * math.pi),
        0,
        len({design.failing, design.passing, design.mixed or 1.0}) > 1,
    )
    for minute in range(len(looks)):
        share = SHARES[minute // STEP]
        sessions = TRAFFIC / CALLS * (1 + 0.5 * math.sin(2 * math.pi * minute / 1440 + phase))
        kept_any = False
        new_cell = all(arm.open_n == 0 for arm in arms)
        for arm, part, rate, cell in zip(arms, (1 - share, share), rates, cells, strict=True):
            n = draw.poisson(sessions * part)
            chance = draw.beta(rate * (1 / RHO - 1), (1 - rate) * (1 / RHO - 1), n)
            failures = int(draw.binomial(CALLS, chance).sum())
            classes = classes_of(draw, design, failures, CALLS * n - failures)
            if any(count for _, count, _ in classes):
                kept = cell[CellKey(minute * MINUTE_US)] = Rate()
                for ppm, count, f in classes:
                    if count:
                        kept.add(ppm, count, f)
                if new_cell and not kept_any:
                    began = minute
                kept_any = True
            arm.add(classes)
        a, b = arms
        enough = all(arm.open_n >= HEAVY_EVENTS * arm.heaviest and arm.open_n > 0 for arm in arms)
        close = not is_weighted or enough or (minute + 1 - began) * MINUTE_US >= LONGEST_CELL_US
        sums = a.sums(b, close=close), b.sums(a, close=close)
        if close:
            for arm in arms:
                arm.open_n = arm.open_f = 0.0
        looks[minute] = (*b.counts(sums[1]), *a.counts(sums[0]))
    if not is_weighted:
        of_a, of_b = rate_counts(pair_cells(*cells), DESIGN_EFFECT)
        assert np.allclose(looks[-1], (*of_b, *of_a), rtol=1e-6), (looks[-1], of_a, of_b)
    return looks


def rows_of(streams: int, seed: int) -> Iterator[list[str]]:
    """Yield how often some look misses the true difference, and the sizes at the end, of each design."""
    for design in DESIGNS:
        for rates in RATES:
            draw = np.random.default_rng((seed, DESIGNS.index(design), RATES.index(rates)))
            looks = np.stack([stream(draw, design, rates) for _ in range(streams)])
            n_b, f_b, n_a, f_a = np.moveaxis(looks, 2, 0)
            worst = log_e_difference(n_b, f_b, n_a, f_a, rates[1] - rates[0]).max(1)
            last = looks[:, -1]
            ends = np.median(last[:, 0]), np.median(last[:, 2])
            misses = [f"{100 * (worst >= math.log(1 / alpha)).mean():.1f} %" for alpha in ALPHAS]
            shares = ", ".join(f"{100 * rate:g} %" for rate in rates)
            yield [design.name, shares, *misses, *(f"{end:,.0f}" for end in ends)]


def main() -> None:
    """Print the table of docs/statistics.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head = [
        "kept",
        "failures of a, b",
        *(f"missed at {alpha}" for alpha in ALPHAS),
        "n of b at the end",
        "n of a",
    ]
    print_table(head, rows_of(options.streams, options.seed))


if __name__ == "__main__":
    main()
