"""Laws of rates by weight class."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, to_ppm
from monitor.stats.share_intervals import clopper_pearson_interval, wilson_interval

counts = st.lists(
    st.tuples(st.floats(1e-7, 1.0), st.integers(0, 50)).flatmap(
        lambda pn: st.tuples(st.just(pn[0]), st.just(pn[1]), st.integers(0, pn[1]))
    ),
    max_size=40,
)


def rate_of(parts: list[tuple[float, int, int]]) -> Rate:
    rate = Rate()
    for probability, n, failures in parts:
        if n:
            rate.add(to_ppm(probability), n, failures)
    return rate


@given(counts, st.randoms(use_true_random=False))
def test_merging_in_any_order_and_grouping_gives_the_same_state(
    parts: list[tuple[float, int, int]], rng: random.Random
) -> None:
    whole = rate_of(parts)
    shuffled = parts[:]
    rng.shuffle(shuffled)
    cut = rng.randint(0, len(parts))
    merged = rate_of(shuffled[:cut])
    merged.merge(rate_of(shuffled[cut:]))
    assert merged.state() == whole.state()
    assert len(whole.classes) <= 8
    assert (whole.events, whole.failures) == (sum(n for _, n, _ in parts), sum(f for _, _, f in parts))


@given(counts)
def test_a_restored_state_is_identical(parts: list[tuple[float, int, int]]) -> None:
    rate = rate_of(parts)
    assert Rate.from_state(rate.state()).state() == rate.state()


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.5, 5))
def test_without_sampling_the_interval_is_scipys_wilson_interval(pair: tuple[int, int], z: float) -> None:
    n, failures = pair
    estimate = rate_of([(1.0, n, failures)]).estimate(z)
    expected = binomtest(failures, n).proportion_ci(
        confidence_level=float(2 * norm.cdf(z) - 1), method="wilson"
    )
    assert estimate.value == pytest.approx(failures / n)
    assert estimate.n == pytest.approx(n)
    assert estimate.low == pytest.approx(expected.low, abs=1e-6)
    assert estimate.high == pytest.approx(expected.high, abs=1e-6)


def test_errors_kept_at_probability_one_do_not_bias_the_rate_and_keep_their_precision() -> None:
    estimate = rate_of([(1.0, 20, 20), (0.01, 20, 0)]).estimate(1.96)
    assert estimate.value == pytest.approx(20 / 2020)
    assert 900 < estimate.n < 1100  # Kish's figure would be 20


def test_the_variance_of_a_weighted_rate_matches_simulation() -> None:
    """Errors are always kept, other events one time in ten: the effective n must match the spread of repeated
    samples.
    """
    rng, p, true, calls, runs = random.Random(7), 0.1, 0.05, 2000, 400
    values, ns = [], []
    for _ in range(runs):
        errors = sum(rng.random() < true for _ in range(calls))
        sampled = sum(rng.random() < p for _ in range(calls - errors))
        estimate = rate_of([(1.0, errors, errors), (p, sampled, 0)]).estimate(1.96)
        assert estimate.value is not None
        values.append(estimate.value)
        ns.append(estimate.n)
    mean = sum(values) / runs
    spread = sum((value - mean) ** 2 for value in values) / (runs - 1)
    assert mean == pytest.approx(true, rel=0.03)
    assert sum(ns) / runs == pytest.approx(mean * (1 - mean) / spread, rel=0.25)


def test_inverted_mirrors_the_interval() -> None:
    rate = rate_of([(1.0, 100, 7)])
    plain, mirrored = rate.estimate(2.0), rate.estimate(2.0, inverted=True)
    assert mirrored.value == pytest.approx(1 - plain.value)  # type: ignore[operator]
    assert (mirrored.low, mirrored.high) == (pytest.approx(1 - plain.high), pytest.approx(1 - plain.low))  # type: ignore[operator]


def test_an_empty_rate_has_no_value() -> None:
    assert Rate().estimate(1.96) == (None, 0.0, None, None)


@given(st.floats(0, 1), st.floats(0.5, 1e6), st.floats(0.1, 6))
def test_the_interval_contains_the_rate_and_is_within_zero_to_one(rate: float, n: float, z: float) -> None:
    low, high = wilson_interval(rate, n, z)
    assert 0 <= low <= rate <= high <= 1


@given(st.floats(1e-9, 1.0))
def test_the_grid_keeps_three_digits(probability: float) -> None:
    assert 1 <= to_ppm(probability) <= MILLION
    if probability > 0.001:
        assert to_ppm(probability) / MILLION == pytest.approx(probability, rel=0.006)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.5, 5))
def test_the_exact_interval_equals_scipys_and_contains_the_rate(pair: tuple[int, int], z: float) -> None:
    n, failures = pair
    estimate = rate_of([(1.0, n, failures)]).estimate(z, interval=clopper_pearson_interval)
    expected = binomtest(failures, n).proportion_ci(
        confidence_level=float(2 * norm.cdf(z) - 1), method="exact"
    )
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.low, estimate.high) == (
        pytest.approx(expected.low, abs=1e-6),
        pytest.approx(expected.high, abs=1e-6),
    )
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    mirrored = rate_of([(1.0, n, failures)]).estimate(z, inverted=True, interval=clopper_pearson_interval)
    assert (mirrored.low, mirrored.high) == (
        pytest.approx(1 - estimate.high, abs=1e-9),
        pytest.approx(1 - estimate.low, abs=1e-9),
    )


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("p", [0.005, 0.02, 0.05])
def test_the_exact_interval_has_its_nominal_coverage_and_the_wilson_interval_does_not(
    n: int, p: float
) -> None:
    """Sums the binomial probabilities of intervals that lie entirely above the true rate."""
    z = 4.8

    def missed(interval):
        first = next(k for k in range(n + 1) if interval(k / n, n, z)[0] > p)
        return binom.sf(first - 1, n, p)

    assert missed(clopper_pearson_interval) <= norm.sf(z)
    assert missed(wilson_interval) > 4 * norm.sf(z)


@given(st.floats(0, 1), st.floats(0.5, 1e6), st.floats(0.1, 6))
def test_the_exact_interval_of_any_effective_n_is_within_zero_to_one(rate: float, n: float, z: float) -> None:
    low, high = clopper_pearson_interval(rate, n, z)
    assert 0 <= low <= rate <= high <= 1


@given(st.floats(0.001, 0.999), st.floats(2, 1e5), st.floats(1.01, 3))
def test_the_exact_interval_narrows_with_more_events(rate: float, n: float, times: float) -> None:
    few, many = clopper_pearson_interval(rate, n, 3.0), clopper_pearson_interval(rate, n * times, 3.0)
    assert few[0] <= many[0] + 1e-12
    assert many[1] <= few[1] + 1e-12
