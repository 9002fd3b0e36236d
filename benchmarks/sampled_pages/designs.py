"""Sampling designs, and the sampled counts of a day."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.false_pages.traffic import MINUTES
from benchmarks.window_screen import Counts

TRAFFIC, FAILING = (20, 200, 1000), (0.002, 0.01, 0.05)


class Sampling(NamedTuple):
    """How one segment is sampled: its share of the calls, the probabilities of errors, of other calls, and of
    the text of a call that is sent, and whether meters state how many calls there were.
    """

    share: float
    of_errors: float
    of_others: float
    of_text: float = 1.0
    has_meters: bool = False


DESIGNS: dict[str, tuple[Sampling, ...]] = {
    **{f"all at {p:g}": (Sampling(1, p, p),) for p in (1.0, 0.1, 0.01, 0.001)},
    **{f"errors at 1, others at {p:g}": (Sampling(1, 1.0, p),) for p in (0.1, 0.01, 0.001)},
    "fleet at 0.001, canary (1 %) at 1": (Sampling(0.99, 0.001, 0.001), Sampling(0.01, 1.0, 1.0)),
    "texts at 0.1 (q)": (Sampling(1, 1.0, 1.0, 0.1),),
    **{
        f"errors at 1, others at {p:g}, meters": (Sampling(1, 1.0, p, 1.0, True),) for p in (0.1, 0.01, 0.001)
    },
}


class Cell(NamedTuple):
    """One design at one traffic (calls a minute) and failure rate."""

    design: str
    calls: int
    failing: float

    @property
    def has_meters(self) -> bool:
        """Whether meters state the calls."""
        return DESIGNS[self.design][0].has_meters

    @property
    def rates(self) -> tuple[float, float]:
        """Rates of errors and of refusals: at most 1 % are errors, for the default threshold is 2 %."""
        errors = self.failing / 2 if self.design.startswith("texts") else self.failing
        errors = min(errors, 0.01)
        return errors, self.failing - errors


class Day(NamedTuple):
    """Sampled events of a day, shape (minutes, segments, lives): errors, refusals, answers whose text was read
    and passed, and answers without text.
    """

    errors: Counts
    refused: Counts
    passed: Counts
    unread: Counts


def draw_day(cell: Cell, lives: int, key: tuple[int, ...]) -> Day:
    """Draw a day of a cell; ``key``: seed, round, day."""
    rng = np.random.default_rng(
        [*key, list(DESIGNS).index(cell.design), cell.calls, round(cell.failing * 1e4)]
    )
    errors, refusals = cell.rates
    kinds = []
    for s in DESIGNS[cell.design]:
        calls = cell.calls * s.share
        read = calls * s.of_others * s.of_text
        means = (
            calls * errors * s.of_errors,
            read * refusals,
            read * (1 - errors - refusals),
            calls * (1 - errors) * s.of_others * (1 - s.of_text),
        )
        kinds.append([rng.poisson(mean, (MINUTES, lives)).astype(np.int16) for mean in means])
    return Day(*(np.stack(columns, 1) for columns in zip(*kinds, strict=True)))


def weights_of(design: str) -> list[float]:
    """Return the weights of all events of a design."""
    return sorted({
        1 / p for s in DESIGNS[design] for p in (s.of_errors, s.of_others, s.of_others * s.of_text)
    })  # fmt: skip


def cells(pattern: str = "") -> list[Cell]:
    return [
        Cell(design, calls, failing)
        for design in DESIGNS
        if pattern in design
        for calls in TRAFFIC
        for failing in FAILING
    ]
