"""Laws of histograms: integer, mergeable, of bounded size, and within their stated error: 1.1 % unless they
span more than 20 octaves.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.stats.exponential_buckets import (
    MAX_BUCKETS,
    MAX_SCALE,
    bucket_codes,
    bucket_middle,
    downscaled,
    relative_error,
    to_opentelemetry,
)
from monitor.stats.number_summary import NumberSummary
from monitor.stats.sampling_weights import MILLION, to_ppm
from tests.tiers import examples

ERROR = 0.011
values_of_any_size = st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=60)


def number_of(values: list[int], probability: float = 1.0) -> NumberSummary:
    number = NumberSummary()
    for value in values:
        number.add(to_ppm(probability), 1, value, {int(bucket_codes(np.array([value]))[0]): 1})
    return number


@given(values_of_any_size)
def test_each_value_is_within_the_stated_error_of_its_bucket(values: list[int]) -> None:
    for value, code in zip(values, bucket_codes(np.array(values)).tolist(), strict=True):
        assert bucket_middle(code) == pytest.approx(value, rel=ERROR)


@given(st.integers(1, 2**62 - 1))
def test_a_bucket_is_open_below_and_closed_above_as_in_the_otel_data_model(value: int) -> None:
    index = int(bucket_codes(np.array([value]))[0]) - 2
    assert 2 ** (index / 32) * (1 - 1e-12) <= value <= 2 ** ((index + 1) / 32) * (1 + 1e-12)
    assert index == -1 or 2 ** (index / 32) < value * (1 + 1e-12)


def test_powers_of_two_are_upper_bounds_of_their_bucket() -> None:
    codes = bucket_codes(np.array([2**k for k in range(61)]))
    assert (codes - 2 + 1).tolist() == [32 * k for k in range(61)]


@given(values_of_any_size, st.randoms(use_true_random=False))
def test_merging_in_any_order_gives_the_same_state(values: list[int], rng: random.Random) -> None:
    shuffled = values[:]
    rng.shuffle(shuffled)
    cut = rng.randint(0, len(values))
    merged = number_of(shuffled[:cut])
    merged.merge(number_of(shuffled[cut:]))
    assert merged.state() == number_of(values).state()
    back = NumberSummary.from_state(merged.state())
    assert back.state() == merged.state()
    back.merge(number_of([1, 2**61]))
    assert back.state() == number_of([*values, 1, 2**61]).state()


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=300), st.floats(0.01, 0.99))
def test_quantiles_agree_with_numpy_within_the_error(values: list[int], q: float) -> None:
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    number = number_of(values)
    assert number.quantile(q, 1.96).value == pytest.approx(exact, rel=number.error * (1 + 1e-9))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=200))
def test_the_mean_is_exact_and_has_a_normal_interval(values: list[int]) -> None:
    mean = number_of(values).mean(1.96)
    assert mean.value == pytest.approx(np.mean(values))
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    assert mean.low is not None
    assert mean.high is not None
    assert (mean.high - mean.low) / 2 == pytest.approx(half, rel=0.2, abs=0.03 * max(values) + 1e-9)


def test_sampled_values_count_by_their_weight() -> None:
    number = number_of([100] * 90)
    number.merge(number_of([10] * 10, probability=0.1))
    assert number.mean(1.96).value == pytest.approx((90 * 100 + 100 * 10) / 190)
    assert number.quantile(0.3, 1.96).value == pytest.approx(10, rel=ERROR)
    assert number.effective_n == pytest.approx(190**2 / (90 + 10 * 100))


def test_the_record_follows_the_otel_data_model() -> None:
    shown = to_opentelemetry(number_of([0, 0, 1, 2, 4, -2]).weighted_buckets())
    assert (shown["scale"], shown["zero"], shown["offset"]) == (5, 2, -1)
    assert shown["counts"][0] == shown["counts"][32] == shown["counts"][64] == 1
    assert sum(shown["counts"]) == 3
    assert shown["negative"] == {"scale": 5, "offset": 31, "counts": [1], "zero": 0}


def test_more_than_eight_probabilities_are_rounded_together_without_loss() -> None:
    number = NumberSummary()
    for k in range(1, 40):
        number.add(to_ppm(k / 1000), 1, k, {33: 1})
    assert len(number.classes) <= 8
    assert sum(histogram.n for histogram in number.classes.values()) == 39
    assert sum(histogram.sum for histogram in number.classes.values()) == sum(range(1, 40))
    assert all(1 <= ppm <= MILLION for ppm in number.classes)


def indices(values: list[int], scale: int) -> list[int]:
    """Return the bucket indices of positive values, by comparing whole powers: v <= 2**((i+1)/2**scale)."""
    return [
        next(
            i
            for i in range(int((value.bit_length() - 1) * 2**scale) - 1, 10**4)
            if value ** (2**scale) <= 2 ** (i + 1)
        )
        for value in values
    ]


@given(st.lists(st.integers(1, 2**61), min_size=1, max_size=20))
def test_the_scale_is_the_largest_at_which_the_values_span_640_buckets(
    values: list[int],
) -> None:
    number = number_of(values)
    spans = {
        scale: max(indices(values, scale)) - min(indices(values, scale)) + 1 for scale in range(MAX_SCALE + 1)
    }
    assert number.scale == max(scale for scale, span in spans.items() if span <= MAX_BUCKETS)
    expected: dict[int, int] = {}
    for index in indices(values, number.scale):
        expected[index + 2] = expected.get(index + 2, 0) + 1
    assert number.weighted_buckets() == expected
    mirrored = number_of([-value for value in values])
    assert (mirrored.scale, mirrored.weighted_buckets()) == (
        number.scale,
        {-code: count for code, count in expected.items()},
    )


@given(values_of_any_size)
def test_each_value_is_within_its_error_at_every_scale(values: list[int]) -> None:
    codes = bucket_codes(np.array(values)).tolist()
    for scale in range(MAX_SCALE + 1):
        for value, code in zip(values, codes, strict=True):
            (code_after,) = downscaled({code: 1}, MAX_SCALE - scale)
            assert bucket_middle(code_after, scale) == pytest.approx(
                value, rel=relative_error(scale) * (1 + 1e-9)
            )


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 0.5, 0.01]), st.integers(-(2**61), 2**61)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_all_weight_classes_share_a_scale_and_a_bounded_number_of_buckets(
    parts: list[tuple[float, int]], rng: random.Random
) -> None:
    numbers = [number_of([value], probability) for probability, value in parts]
    left, right = NumberSummary(), NumberSummary()
    for number in numbers:
        left.merge(number)
    rng.shuffle(numbers)
    tree = [*numbers]
    while len(tree) > 1:  # merged in pairs, and pairs of pairs
        first, second = tree.pop(), tree.pop()
        whole = NumberSummary.from_state(first.state())
        whole.merge(second)
        tree.insert(rng.randint(0, len(tree)), whole)
    right.merge(tree[0] if tree else NumberSummary())
    assert left.state() == right.state()
    assert all(len(histogram.buckets) <= 2 * MAX_BUCKETS + 1 for histogram in left.classes.values())


def test_a_rescaled_histogram_merges_with_finer_and_coarser_histograms() -> None:
    wide, fine = number_of([1, 2**45]), number_of([7, 7, 9])
    assert (wide.scale, fine.scale, wide.error > fine.error) == (3, 5, True)
    before = fine.state()
    wide.merge(fine)
    assert wide.state() == number_of([1, 2**45, 7, 7, 9]).state()
    assert fine.state() == before
    fine.merge(number_of([1, 2**45]))
    assert fine.state() == wide.state()
    assert to_opentelemetry(wide.weighted_buckets(), wide.scale)["scale"] == 3


DRAWS = {
    "log-normal": lambda rng, n: rng.lognormal(12, 1.2, n),
    "with many zeros": lambda rng, n: rng.lognormal(8, 1, n) * (rng.random(n) < 0.4),
    "uniform": lambda rng, n: rng.uniform(0, 10**6, n),
    "two humps": lambda rng, n: np.where(
        rng.random(n) < 0.5, rng.normal(-(10**5), 10**4, n), rng.normal(10**6, 10**5, n)
    ),
    "of all sizes": lambda rng, n: 2.0 ** rng.uniform(0, 61, n),
    "counts": lambda rng, n: rng.poisson(3, n),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 2000), q=st.floats(0.001, 0.999))
@settings(max_examples=examples(1 / 4))
def test_quantiles_of_random_distributions_equal_numpys_within_the_stated_error(
    draw: Any, seed: int, n: int, q: float
) -> None:
    values = draw(np.random.default_rng(seed), n).astype(np.int64)
    codes, counts = np.unique(bucket_codes(values), return_counts=True)
    number = NumberSummary()
    number.add(MILLION, n, int(sum(values.tolist())), dict(zip(codes.tolist(), counts.tolist(), strict=True)))
    assert number.quantile(q, 1.96).value == pytest.approx(
        float(np.quantile(values, q, method="inverted_cdf")), rel=number.error * (1 + 1e-9)
    )
    variance = number.variance()
    assert variance is not None
    assert abs(np.sqrt(variance) - np.std(values.astype(float))) <= number.error * np.sqrt(
        np.mean(values.astype(float) ** 2)
    ) * (1 + 1e-6)
    assert sum(number.weighted_buckets().values()) == n
    assert list(number.weighted_buckets()) == sorted(number.weighted_buckets())


def test_an_empty_summary_has_no_distribution() -> None:
    assert (NumberSummary().variance(), NumberSummary().weighted_buckets()) == (None, {})
    assert NumberSummary.from_state(NumberSummary().state()).state() == [0, []]


def test_a_state_of_the_fixed_scale_release_is_read_and_rescaled() -> None:
    old = [1, [[120_000, 3, 11, [0, 1, 2], [1, 1, 1]]]]
    assert NumberSummary.from_state(old).state() == old
    wide = NumberSummary.from_state([0, [[MILLION, 2, 2**45 + 1, [1, 32 * 45], [1, 1]]]])
    assert wide.state() == number_of([1, 2**45]).state()


@given(st.lists(st.tuples(st.sampled_from([1.0, 0.7, 0.3, 0.1, 0.013]), st.integers(1, 10**6)), min_size=3))
def test_estimates_do_not_depend_on_the_order_of_weight_classes(events: list[tuple[float, int]]) -> None:
    number, backwards = NumberSummary(), NumberSummary()
    for probability, value in events:
        number.merge(number_of([value], probability))
    for probability, value in reversed(events):
        backwards.merge(number_of([value], probability))
    assert number.effective_n == backwards.effective_n
    assert number.mean(4.8) == backwards.mean(4.8)
