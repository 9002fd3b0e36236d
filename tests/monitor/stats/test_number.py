"""Laws of histograms: integer, mergeable, right within 1.1 %."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.buckets import LIMIT, codes_of, middle, opentelemetry
from monitor.stats.number import Number
from monitor.stats.weights import WHOLE, grid

ERROR = 0.011
values_of_any_size = st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=60)


def number_of(values: list[int], probability: float = 1.0) -> Number:
    number = Number()
    for value in values:
        number.add(grid(probability), 1, value, {int(codes_of(np.array([value]))[0]): 1})
    return number


@given(values_of_any_size)
def test_each_value_lies_within_the_stated_error_of_its_bucket(values: list[int]) -> None:
    for value, code in zip(values, codes_of(np.array(values)).tolist(), strict=True):
        assert middle(code) == pytest.approx(value, rel=ERROR)


@given(st.integers(1, LIMIT - 1))
def test_a_bucket_is_open_below_and_closed_above_as_in_the_data_model(value: int) -> None:
    index = int(codes_of(np.array([value]))[0]) - 2
    assert 2 ** (index / 32) * (1 - 1e-12) <= value <= 2 ** ((index + 1) / 32) * (1 + 1e-12)
    assert index == -1 or 2 ** (index / 32) < value * (1 + 1e-12)


def test_powers_of_two_are_upper_bounds() -> None:
    codes = codes_of(np.array([2**k for k in range(61)]))
    assert (codes - 2 + 1).tolist() == [32 * k for k in range(61)]


@given(values_of_any_size, st.randoms(use_true_random=False))
def test_merging_in_any_order_gives_the_same_state(values: list[int], rng: random.Random) -> None:
    shuffled = values[:]
    rng.shuffle(shuffled)
    cut = rng.randint(0, len(values))
    merged = number_of(shuffled[:cut])
    merged.merge(number_of(shuffled[cut:]))
    assert merged.state() == number_of(values).state()
    assert Number.from_state(merged.state()).state() == merged.state()


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=300), st.floats(0.01, 0.99))
def test_quantiles_agree_with_numpy_within_the_error(values: list[int], q: float) -> None:
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    assert number_of(values).quantile(q, 1.96).value == pytest.approx(exact, rel=ERROR)


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=200))
def test_the_mean_is_exact_and_its_interval_is_the_normal_one(values: list[int]) -> None:
    mean = number_of(values).mean(1.96)
    assert mean.value == pytest.approx(np.mean(values))
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    assert mean.low is not None
    assert mean.high is not None
    assert (mean.high - mean.low) / 2 == pytest.approx(half, rel=0.2, abs=0.03 * max(values) + 1e-9)


def test_a_sampled_half_counts_for_as_much_as_it_stands_for() -> None:
    number = number_of([100] * 90)
    number.merge(number_of([10] * 10, probability=0.1))
    assert number.mean(1.96).value == pytest.approx((90 * 100 + 100 * 10) / 190)
    assert number.quantile(0.3, 1.96).value == pytest.approx(10, rel=ERROR)
    assert number.effective_n == pytest.approx(190**2 / (90 + 10 * 100))


def test_the_record_is_that_of_the_data_model() -> None:
    shown = opentelemetry(number_of([0, 0, 1, 2, 4, -2]).weighted_buckets())
    assert (shown["scale"], shown["zero"], shown["offset"]) == (5, 2, -1)
    assert shown["counts"][0] == shown["counts"][32] == shown["counts"][64] == 1
    assert sum(shown["counts"]) == 3
    assert shown["negative"] == {"scale": 5, "offset": 31, "counts": [1], "zero": 0}


def test_more_than_eight_probabilities_are_rounded_together_and_lose_nothing() -> None:
    number = Number()
    for k in range(1, 40):
        number.add(grid(k / 1000), 1, k, {33: 1})
    assert len(number.classes) <= 8
    assert sum(held.n for held in number.classes.values()) == 39
    assert sum(held.sum for held in number.classes.values()) == sum(range(1, 40))
    assert all(1 <= ppm <= WHOLE for ppm in number.classes)
