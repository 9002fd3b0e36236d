"""The fast histogram distance agrees with the reference implementation and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign, wasserstein_distance

from monitor.drift.histogram_distance import (
    HistogramDistance,
    HistogramShape,
    histogram_distance,
    kolmogorov_p_value,
)
from monitor.drift.interface import Distribution, DriftTest, harmonic_size
from monitor.stats.exponential_buckets import bucket_codes, bucket_middle
from monitor.stats.number_summary import NumberSummary
from tests.monitor.drift.oracles.histograms import distribution_of, number_of
from tests.monitor.drift.oracles.kolmogorov_smirnov import kolmogorov_smirnov
from tests.monitor.drift.oracles.wasserstein import wasserstein


def quick(reference: NumberSummary, current: NumberSummary) -> HistogramDistance:
    scale = min(reference.scale, current.scale)
    first, second = HistogramShape.from_number(reference, scale), HistogramShape.from_number(current, scale)
    assert first is not None
    assert second is not None
    return histogram_distance(first, second)


def slow(test: DriftTest, reference: NumberSummary, current: NumberSummary) -> tuple[float, float]:
    scale = min(reference.scale, current.scale)
    comparison = test(
        *(
            Distribution.from_weights(distribution_of(item, scale), item.effective_n)
            for item in (reference, current)
        )
    )
    return comparison.statistic, comparison.p_value


near = st.lists(st.integers(-300, 5000), min_size=2, max_size=80)
# beyond what scale 5 spans
far = st.lists(st.one_of(st.integers(0, 10), st.integers(-(10**12), 10**15)), min_size=2, max_size=60)


@given(
    st.one_of(st.tuples(near, near), st.tuples(far, near), st.tuples(near, far)),
    st.sampled_from([1_000_000, 100_000]),
)
def test_fast_and_reference_implementation_agree(pair: tuple[list[int], list[int]], ppm: int) -> None:
    reference, current = number_of(pair[0], ppm), number_of(pair[1])
    apart = quick(reference, current)
    assert apart.d == pytest.approx(slow(kolmogorov_smirnov, reference, current)[0], abs=1e-9)
    assert apart.wasserstein == pytest.approx(slow(wasserstein, reference, current)[0], rel=1e-6, abs=1e-9)


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=60),
    st.lists(st.integers(0, 30), min_size=2, max_size=60),
)
def test_values_in_separate_buckets_compare_like_raw_values_in_scipy(
    first: list[int], second: list[int]
) -> None:
    apart = quick(number_of(first), number_of(second))
    assert apart.d == pytest.approx(ks_2samp(first, second, method="asymp").statistic, abs=1e-9)
    first_middles, second_middles = (
        [bucket_middle(code) for code in bucket_codes(np.array(values)).tolist()]
        for values in (first, second)
    )
    assume(np.ptp(first_middles) > 0)
    assert apart.wasserstein == pytest.approx(
        wasserstein_distance(first_middles, second_middles) / np.std(first_middles), rel=1e-6, abs=1e-9
    )


@given(st.floats(0, 1), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_kolmogorov_p_value_equals_scipys_in_the_deciding_range(d: float, n: int, m: int) -> None:
    root = harmonic_size(n, m) ** 0.5
    p = float(kstwobign.sf((root + 0.12 + 0.11 / root) * d))
    p_value = kolmogorov_p_value(d, n, m)
    assert 0 <= p_value <= 1
    if 1e-250 < p < 0.3:
        assert p_value == pytest.approx(p, rel=1e-3)
    elif p >= 0.3:
        assert p_value > 0.29


def test_a_histogram_has_distance_zero_to_itself_and_none_to_an_empty_histogram() -> None:
    number = number_of([1, 5, 5, 900])
    assert quick(number, number) == (0.0, 0.0, 1.0)
    assert HistogramShape.from_number(NumberSummary()) is None


def test_two_different_single_values_have_the_maximum_distance() -> None:
    apart = quick(number_of([7] * 100), number_of([9] * 100))
    assert (apart.d, apart.p_value < 1e-9) == (1.0, True)


def test_histograms_of_different_scales_are_refused() -> None:
    fine, coarse = (
        HistogramShape.from_number(number_of([1, 2, 3])),
        HistogramShape.from_number(number_of([1, 2, 3]), 3),
    )
    assert fine is not None
    assert coarse is not None
    with pytest.raises(ValueError, match="scale 5 and 3"):
        histogram_distance(fine, coarse)
