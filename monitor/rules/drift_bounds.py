"""Bounds of the drift tests of ``monitor.rules.drift_tests``, for all series of a feature at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitor.drift.block_correlation import CAUTION, CORRELATION
from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.rules.drift_layout import Flags, Indexes, TestLayout
from monitor.rules.drift_tests import MIN_EVENTS_UNSEEN, MIN_TEXTS
from monitor.windows.count_columns import EVENTS, Before, CountColumns
from monitor.windows.count_tables import Counts

MARGIN = 1e-6
"""Relative margin of the bounds: the tests compute the same in another order."""


class Limits(NamedTuple):
    """What a rule asks of a window and of a significant test.

    Attributes:
        x: least value of Stephens' statistic; z_squared: of the square of a normal variate.
    """

    min_events: int
    x: float
    z_squared: float


class _Known(NamedTuple):
    """What follows from the counts of a reference, for all rows.

    Attributes:
        m: values of each number; shares: of each bucket.
        labels: counts of each label; labels_m: their sum by category.
    """

    m: Counts
    shares: Counts
    labels: Counts
    labels_m: Counts


class DriftBounds:
    """Bounds of the drift tests at an edge."""

    def __init__(self, columns: CountColumns, limits: Limits, layout: TestLayout, edge_us: int) -> None:
        self._columns, self._limits, self._layout, self._edge_us = columns, limits, layout, edge_us
        self._all = np.arange(len(columns.rows))

    def events_within(self, length_us: int) -> Counts:
        """Return the events of each row in a window that ends at the edge."""
        counts: Counts = self._columns.rates_within(length_us, self._edge_us)
        return counts[:, self._columns.rates[EVENTS][0]]

    def may_find(self, length_us: int, panes: float, reference: Before, chosen: Flags) -> Flags:
        """Return which of the chosen rows may have a significant test.

        Args:
            length_us: of the window; ``panes``: the most fine panes that it can have.
        """
        hot = np.zeros(len(chosen), bool)
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return hot
        layout, limits = self._layout, self._limits
        if layout.is_mixed:
            return chosen
        rates = self._columns.rates_within(length_us, self._edge_us)
        others = self._columns.within(length_us, self._edge_us)
        known = self._known(reference)
        if len(layout.models.starts):
            hot[rows] |= self._models(others, known, rows)
        events = rates[rows, self._columns.rates[EVENTS][0]]
        if not layout.has_beside:
            rows = rows[events >= min(MIN_TEXTS, limits.min_events)]
        if not len(rows):
            return hot
        if len(layout.numbers.starts):
            hot[rows] |= self._numbers(others, known, rows)
        if len(layout.categories.starts):
            hot[rows] |= self._categories(rates, others, known, rows, panes)
        if layout.rates.shape[1]:
            of_n, of_failures = layout.rates
            before = reference.rates.shaped(*self._columns.shape_of_rates)
            hot[rows] |= self._rates(
                *(side[rows[:, None], column] for side in (rates, before) for column in (of_n, of_failures))
            )
        return hot

    def _known(self, reference: Before) -> _Known:
        """Return what follows from a reference; it is kept with it."""
        layout = self._layout
        known: tuple[TestLayout, int, _Known] | None = reference.results.get("known")
        if known is not None and known[0] is layout and known[1] == len(self._all):
            return known[2]
        rates = reference.rates.shaped(*self._columns.shape_of_rates)
        others = reference.others.shaped(*self._columns.shape_of_others)
        m, shares, labels, sums = (np.zeros((len(self._all), 0)) for _ in range(4))
        if len(layout.numbers.starts):
            counts = layout.numbers.counts(others, self._all)
            m = layout.numbers.sums(counts)
            shares = counts / np.maximum(m, 1)[:, layout.numbers.statistic]
        if len(layout.categories.starts):
            labels, sums = self._labels(rates, others, self._all)
        found = _Known(m, shares, labels, sums)
        reference.results["known"] = layout, len(self._all), found
        return found

    def _models(self, window: Counts, known: _Known, rows: Indexes) -> Flags:
        """Return where a segment has events of a model that its reference never saw."""
        layout = self._layout
        then = known.labels[rows[:, None], layout.models.columns]
        if then.all():
            return np.zeros(len(rows), bool)
        now = window[rows[:, None], layout.categories.columns[layout.models.columns]]
        unseen = layout.models.sums(np.where(then == 0, now, 0.0))
        enough = known.labels_m[rows[:, None], np.flatnonzero(layout.is_model)] >= MIN_REFERENCE_EVENTS
        return _any((unseen >= MIN_EVENTS_UNSEEN) & enough) & (rows > 0)

    def _numbers(self, window: Counts, known: _Known, rows: Indexes) -> Flags:
        """Return where the distance of a number may be significant.

        It is exact at the finest scale, and no greater at a coarser one.
        """
        group = self._layout.numbers
        counts, m = group.counts(window, rows), known.m[rows]
        n = group.sums(counts)
        is_tested = (n >= self._limits.min_events) & (m >= MIN_REFERENCE_EVENTS)
        if not is_tested.any():
            return np.zeros(len(n), bool)
        # where one side has no values, neither counts: so all differences of a number add up to 0
        scale = np.where(m > 0, 1 / np.maximum(n, 1), 0.0)
        apart = counts * scale[:, group.statistic]
        then = known.shares[rows]
        if not n.all():
            then *= (n > 0)[:, group.statistic]
        apart -= then
        np.cumsum(apart, axis=1, out=apart)
        d = np.maximum.reduceat(np.abs(apart, out=apart), group.starts, axis=1)
        root = np.sqrt(n * m / np.maximum(n + m, 1))
        x = (root + 0.12 + 0.11 / np.maximum(root, 1e-9)) * (d + MARGIN)
        return _any(is_tested & (x >= self._limits.x))

    def _labels(self, rates: Counts, others: Counts, rows: Indexes) -> tuple[Counts, Counts]:
        """Return the counts of all labels and their sums by category.

        Calls without a label count as in ``monitor.rules.drift_evidence.shares``.
        """
        layout = self._layout
        counts = layout.categories.counts(others, rows)
        sums = layout.categories.sums(counts)
        if layout.calls is not None and len(layout.absent):
            missing = np.maximum(0.0, rates[rows, layout.calls][:, None] - sums[:, layout.absent])
            counts[:, layout.absent_columns] += missing
            sums[:, layout.absent] += missing
        return counts, sums

    def _categories(self, rates: Counts, others: Counts, known: _Known, rows: Indexes, panes: float) -> Flags:
        """Return where G may be significant. See ``monitor.drift.category_tests.g_upper_bound``.

        The statistic grows with the events of the window, so as many panes as it can have give a bound.
        """
        layout = self._layout
        now, n = self._labels(rates, others, rows)
        then, m = known.labels[rows], known.labels_m[rows]
        is_tested = (
            (n >= layout.least) & (m >= layout.least_known) & ~(layout.is_model & (rows == 0)[:, None])
        )
        if not is_tested.any():
            return np.zeros(len(n), bool)
        statistic = layout.categories.statistic
        independent = n / (1 + CAUTION * np.maximum(0, n / panes - 1) * CORRELATION[0])
        q = now * (independent / np.maximum(n, 1))[:, statistic]
        pooled = (q + then) / np.maximum(independent + m, 1e-9)[:, statistic]
        terms = q * np.log(np.where(q > 0, q, 1.0) / np.where(q > 0, pooled, 1.0))
        terms += then * np.log(np.where(then > 0, then, 1.0) / np.where(then > 0, pooled, 1.0))
        g = layout.categories.sums(terms)
        g -= independent * np.log(np.maximum(independent, 1e-9)) + m * np.log(np.maximum(m, 1e-9))
        return _any(is_tested & (2 * g + MARGIN * m >= self._limits.z_squared))

    def _rates(self, n: Counts, failures: Counts, m: Counts, known: Counts) -> Flags:
        """Return where two proportions may differ. See ``monitor.drift.two_proportions``.

        The window counts as ``n`` events at most and as those of one pane at least; the variance lies between.
        """
        has_enough = (n >= self._limits.min_events) & (m >= MIN_REFERENCE_EVENTS)
        n, m = np.maximum(n, 1), np.maximum(m, 1)
        q, p = failures / n, known / m
        is_tested: Flags = np.asarray(np.logical_and(has_enough, q != p), np.bool_)
        if not is_tested.any():
            return np.zeros(len(n), bool)
        least = n / (1 + CAUTION * np.maximum(0, n - 1) * CORRELATION[0])
        variances = [(pooled := (count * q + m * p) / (count + m)) * (1 - pooled) for count in (n, least)]
        variance = np.minimum(*variances) * (1 / n + 1 / m)
        return _any(is_tested & ((q - p) ** 2 >= 0.98 * self._limits.z_squared * variance))


def _any(flags: Flags) -> Flags:
    """Return which rows have a set flag."""
    rows: Flags = np.asarray(flags.any(axis=1), np.bool_)
    return rows
