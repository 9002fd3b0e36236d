"""Comparisons of unmerged distributions equal those of merged ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import DRIFT_TESTS
from monitor.drift.category_tests import g_upper_bound
from monitor.drift.histogram_distance import HistogramShape, PooledNumber, histogram_distance
from monitor.drift.interface import Distribution
from monitor.stats.number_summary import NumberSummary
from tests.monitor.drift.oracles.histograms import number_of

values = st.lists(st.one_of(st.integers(0, 300), st.integers(-20, 2**50)), min_size=1, max_size=12)
parts = st.lists(
    st.tuples(st.sampled_from([1_000_000, 500_000, 100_000, *range(1_000, 13_000, 1_000)]), values),
    min_size=1,
    max_size=12,
)

counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 500), min_size=2)


@given(parts, st.integers(0, 5))
def test_unmerged_numbers_have_the_histogram_of_merged_numbers_bit_for_bit(
    panes: list[tuple[int, list[int]]], scale: int
) -> None:
    numbers, merged = [number_of(values, ppm) for ppm, values in panes], NumberSummary()
    for number in numbers:
        merged.merge(number)
    joined, expected = PooledNumber(numbers), HistogramShape.from_number(merged, min(scale, merged.scale))
    shape = joined.shape(scale)
    assert expected is not None
    assert shape is not None
    assert (joined.effective_n, shape.scale, shape.low, shape.n) == (
        merged.effective_n,
        expected.scale,
        expected.low,
        expected.n,
    )
    assert shape.shares.tolist() == expected.shares.tolist()


@given(counts, counts)
def test_pooling_rare_categories_never_increases_g(before: dict[str, float], now: dict[str, float]) -> None:
    n, m = float(sum(before.values())), float(sum(now.values()))
    comparison = DRIFT_TESTS["g"](Distribution.from_weights(before, n), Distribution.from_weights(now, m))
    assert comparison.statistic <= g_upper_bound(before, n, now, m) * (1 + 1e-9) + 1e-6


def test_the_histogram_distance_is_computed_only_where_it_can_matter() -> None:
    shape, other = (
        HistogramShape.from_number(number_of(values)) for values in ([1, 2, 3] * 100, [2, 3, 4] * 100)
    )
    assert shape is not None
    assert other is not None
    full = histogram_distance(shape, other)
    assert histogram_distance(shape, other, full.p_value) == full
    assert histogram_distance(shape, other, full.p_value / 2) == full._replace(wasserstein=0.0)
    assert full.wasserstein == pytest.approx(1 / shape.spread, rel=0.05)
