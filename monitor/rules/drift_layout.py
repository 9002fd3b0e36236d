"""Where the arrays of counts have the statistics that drift tests read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.rules.drift_tests import BESIDE_RESPONSES, MIN_REFERENCE_TEXTS, MIN_TEXTS, MODELS, is_watched
from monitor.windows.count_columns import EVENTS, CountColumns
from monitor.windows.count_tables import Counts
from monitor.windows.metric_definitions import CATEGORIES, TEXT_CATEGORIES

Flags = npt.NDArray[np.bool_]
Indexes = npt.NDArray[np.int64]


class StatisticGroup(NamedTuple):
    """Statistics side by side: the columns of all, and where each begins among them.

    Attributes:
        columns: of all statistics; shape (columns,).
        starts: index of the first column of each statistic; shape (statistics,).
        statistic: of each column; shape (columns,).
    """

    columns: Indexes
    starts: Indexes
    statistic: Indexes

    @classmethod
    def of(cls, parts: Sequence[Sequence[int]]) -> StatisticGroup:
        """Return the group of statistics with these columns, each at least one."""
        lengths = [len(part) for part in parts]
        starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
        columns = np.array([column for part in parts for column in part], np.int64)
        return cls(columns, starts, np.repeat(np.arange(len(parts)), lengths))

    def counts(self, counts: Counts, rows: Indexes) -> Counts:
        """Return the counts of some rows; shape (rows, columns)."""
        picked: Counts = counts[rows[:, None], self.columns]
        return picked

    def sums(self, counts: Counts) -> Counts:
        """Return the sum of each statistic; shape (rows, statistics)."""
        sums: Counts = np.add.reduceat(counts, self.starts, axis=1)
        return sums


class TestLayout(NamedTuple):
    """Where the arrays have what the tests read.

    Attributes:
        numbers, categories: groups.
        least, least_known: events that a category needs, in the window and in the reference.
        is_model: which categories are models. models: the group of their columns, as indexes of
            ``categories``.
        absent: categories whose calls without a label count; absent_columns: of these calls, as indexes of
            the group. calls: the column of all calls, None if there is none.
        rates: columns of n and failures of the rates that are tested, shape (2, rates).
        has_beside: whether a number comes with other events than responses.
        is_mixed: whether labels and calls have different weights.
    """

    numbers: StatisticGroup
    categories: StatisticGroup
    least: Counts
    least_known: Counts
    is_model: Flags
    models: StatisticGroup
    absent: Indexes
    absent_columns: Indexes
    calls: int | None
    rates: Indexes
    has_beside: bool
    is_mixed: bool


def layout_of(columns: CountColumns, min_events: int, gating: Sequence[str]) -> TestLayout:
    """Return the layout of a feature, which is kept until a column is added.

    Args:
        min_events: events that a window needs.
        gating: evaluators whose failures a baseline watches.
    """
    key = "layout", min_events, gating
    known: tuple[tuple[int, int], TestLayout] | None = columns.results.get(key)
    if known is None or known[0] != columns.widths:
        known = columns.results[key] = columns.widths, _make_layout(columns, min_events, gating)
    return known[1]


def _make_layout(columns: CountColumns, min_events: int, gating: Sequence[str]) -> TestLayout:
    numbers = [[codes[code] for code in sorted(codes)] for codes in columns.numbers.values() if codes]
    categories = [
        category for category in (*CATEGORIES, *TEXT_CATEGORIES) if columns.labels.get(category.name)
    ]
    labels = [columns.labels[category.name] for category in categories]
    group = StatisticGroup.of([list(of_category.values()) for of_category in labels])
    texts = [category in TEXT_CATEGORIES for category in categories]
    calls = columns.rates.get("error_rate")
    absent = [
        index
        for index, category in enumerate(categories)
        if category.absent is not None and calls is not None
    ]
    positions = {int(column): index for index, column in enumerate(group.columns)}
    weights = columns.weights
    return TestLayout(
        StatisticGroup.of(numbers),
        group,
        np.array([min(MIN_TEXTS, min_events) if is_text else min_events for is_text in texts], float),
        np.array([MIN_REFERENCE_TEXTS if is_text else MIN_REFERENCE_EVENTS for is_text in texts], float),
        np.array([category.name in MODELS for category in categories], bool),
        StatisticGroup.of(
            [
                np.flatnonzero(group.statistic == index).tolist()
                for index, category in enumerate(categories)
                if category.name in MODELS
            ]
        ),
        np.array(absent, np.int64),
        np.array([positions[labels[index][categories[index].absent or ""]] for index in absent], np.int64),
        None if calls is None else calls[0],
        np.array(
            [pair for name, pair in columns.rates.items() if name != EVENTS and is_watched(name, gating)],
            np.int64,
        )
        .reshape(-1, 2)
        .T,
        any(name.startswith(BESIDE_RESPONSES) for name in columns.numbers),
        any(
            weights.get(categories[index].name, weights.get("error_rate")) != weights.get("error_rate")
            for index in absent
        ),
    )
