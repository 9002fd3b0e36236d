"""Contract of drift tests: nominal false-alarm rates without drift, power with drift, and agreement with
scipy.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.drift import DRIFT_TESTS, Distribution
from tests.monitor.drift.oracles.histograms import distribution_of, number_of
from tests.monitor.drift.oracles.kolmogorov_smirnov import kolmogorov_smirnov
from tests.monitor.drift.oracles.psi import psi
from tests.monitor.drift.oracles.wasserstein import wasserstein
from tests.tiers import examples

ORACLES = {"psi": psi, "wasserstein": wasserstein, "kolmogorov_smirnov": kolmogorov_smirnov}
TESTS = DRIFT_TESTS | ORACLES

NUMBERS = ("psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov")
CATEGORIES = ("psi", "jensen_shannon", "g")
RATES = ("two_proportions",)
SHARES = {"stop": 0.5, "length": 0.3, "tool_calls": 0.1, "content_filter": 0.06, "other": 0.04}


def numbers(values: np.ndarray) -> Distribution:
    """Return numbers in buckets of the exponential histogram."""
    return Distribution.from_weights(Counter(np.round(2 ** (np.ceil(np.log2(values) * 32) / 32), 9).tolist()))


def categories(rng: np.random.Generator, n: int, shares: dict[str, float] = SHARES) -> Distribution:
    return Distribution.from_weights(Counter(rng.choice(list(shares), n, p=list(shares.values())).tolist()))


def shares(n: int, failures: int) -> Distribution:
    return Distribution.from_weights({False: n - failures, True: failures})


def test_every_drift_test_is_tested_on_the_kind_of_statistic_it_compares():
    untested = set(TESTS) - {*NUMBERS, *CATEGORIES, *RATES}
    assert not untested, f"add {', '.join(sorted(untested))} to NUMBERS, CATEGORIES or RATES of this file"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(("n", "m"), [(100, 100), (500, 100), (5000, 300)])
def test_without_drift_a_test_of_numbers_has_its_nominal_false_alarm_rate(name, n, m):
    rng = np.random.default_rng(1)
    p_values = [
        TESTS[name](numbers(rng.lognormal(0, 1, n)), numbers(rng.lognormal(0, 1, m))).p_value
        for _ in range(400)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.10
    assert np.mean(np.array(p_values) < 0.01) < 0.035


@pytest.mark.parametrize("name", CATEGORIES)
@pytest.mark.parametrize(("n", "m"), [(100, 100), (5000, 300)])
def test_without_drift_a_test_of_categories_has_its_nominal_false_alarm_rate(name, n, m):
    rng = np.random.default_rng(2)
    p_values = [TESTS[name](categories(rng, n), categories(rng, m)).p_value for _ in range(400)]
    assert np.mean(np.array(p_values) < 0.05) < 0.10
    assert np.mean(np.array(p_values) < 0.01) < 0.035


@pytest.mark.parametrize("name", RATES)
def test_without_drift_a_test_of_rates_has_its_nominal_false_alarm_rate(name):
    rng = np.random.default_rng(3)
    p_values = [
        TESTS[name](shares(500, rng.binomial(500, 0.1)), shares(200, rng.binomial(200, 0.1))).p_value
        for _ in range(1000)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.08


@pytest.mark.parametrize("name", NUMBERS)
def test_doubled_numbers_are_detected_with_a_large_effect(name):
    rng = np.random.default_rng(4)
    before, after = numbers(rng.lognormal(0, 1, 2000)), numbers(rng.lognormal(np.log(2), 1, 500))
    comparison = TESTS[name](before, after)
    assert comparison.p_value < 1e-6
    assert comparison.effect > 0.1
    assert (comparison.n, comparison.m) == (2000, 500)
    assert TESTS[name](before, before).effect < 0.01


@pytest.mark.parametrize("name", CATEGORIES)
def test_a_category_that_grew_is_detected(name):
    rng = np.random.default_rng(5)
    grown = {**SHARES, "stop": 0.3, "content_filter": 0.26}
    comparison = TESTS[name](categories(rng, 2000), categories(rng, 500, grown))
    assert comparison.p_value < 1e-6
    assert comparison.effect > 0.1


@pytest.mark.parametrize("name", RATES)
def test_a_rate_that_grew_is_detected(name):
    comparison = TESTS[name](shares(2000, 200), shares(500, 150))
    assert comparison.p_value < 1e-6
    assert comparison.effect > 0.2


@pytest.mark.parametrize("name", DRIFT_TESTS)
def test_exchanging_reference_and_current_changes_no_p_value_and_no_size_of_the_effect(name):
    rng = np.random.default_rng(7)
    pairs = {
        NUMBERS: (numbers(rng.lognormal(0, 1, 2000)), numbers(rng.lognormal(0.1, 1, 500))),
        CATEGORIES: (categories(rng, 2000), categories(rng, 500, {**SHARES, "stop": 0.46, "other": 0.08})),
        RATES: (shares(2000, 200), shares(500, 60)),
    }
    for kind, (reference, current) in pairs.items():
        if name in kind:
            there, back = TESTS[name](reference, current), TESTS[name](current, reference)
            assert back.p_value == pytest.approx(there.p_value)
            assert abs(back.effect) == pytest.approx(abs(there.effect))


@pytest.mark.parametrize("name", TESTS)
def test_an_empty_side_is_refused_and_equal_sides_show_no_drift(name):
    distribution = (
        Distribution.from_weights({False: 90, True: 10})
        if name in RATES
        else Distribution.from_weights({1.0: 60, 2.0: 60, 4.0: 60})
    )
    with pytest.raises(ValueError, match="nothing to compare"):
        TESTS[name](distribution, Distribution((), (), 0.0))
    same = TESTS[name](distribution, distribution)
    assert (round(same.effect, 9), same.p_value > 0.5) == (0.0, True)


@pytest.mark.parametrize("name", TESTS)
@given(
    st.lists(st.integers(0, 500), min_size=2, max_size=12),
    st.lists(st.integers(0, 500), min_size=2, max_size=12),
)
@settings(max_examples=examples(1 / 4))
def test_any_counts_give_finite_results_that_do_not_depend_on_the_scale_of_weights(name, before, after):
    if sum(before) == 0 or sum(after) == 0:
        return
    values = (False, True) if name in RATES else tuple(range(1, 13))
    reference, current = (
        Distribution.from_weights(dict(zip(values, counts, strict=False)), float(sum(counts)))
        for counts in (before, after)
    )
    if not (sum(reference.weights) and sum(current.weights)):
        return
    comparison = TESTS[name](reference, current)
    assert all(np.isfinite(comparison))
    assert 0 <= comparison.p_value <= 1
    heavier = current._replace(weights=tuple(weight * 7 for weight in current.weights))
    assert TESTS[name](reference, heavier) == pytest.approx(comparison, rel=1e-9, abs=1e-9)


def test_g_and_two_proportions_equal_scipy():
    before, after = {"a": 400, "b": 300, "c": 100}, {"a": 150, "b": 160, "c": 70}
    table = np.array([[before[name] for name in "abc"], [after[name] for name in "abc"]])
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    comparison = TESTS["g"](Distribution.from_weights(before), Distribution.from_weights(after))
    assert (comparison.statistic, comparison.p_value) == (
        pytest.approx(expected.statistic),
        pytest.approx(expected.pvalue),
    )
    comparison = TESTS["two_proportions"](shares(800, 40), shares(300, 30))
    assert comparison.p_value == pytest.approx(
        stats.chi2_contingency([[760, 40], [270, 30]], correction=False).pvalue
    )


def test_distances_equal_scipys_on_raw_samples_within_the_error_of_the_histogram():
    rng = np.random.default_rng(6)
    before, after = rng.lognormal(0, 1, 3000), rng.lognormal(0.3, 1, 1000)
    reference, current = numbers(before), numbers(after)
    exact = stats.ks_2samp(before, after)
    comparison = TESTS["kolmogorov_smirnov"](reference, current)
    assert comparison.statistic == pytest.approx(exact.statistic, abs=0.01)
    assert TESTS["wasserstein"](reference, current).statistic == pytest.approx(
        stats.wasserstein_distance(before, after) / before.std(), rel=0.03
    )


DRAWS = {
    "log-normal": lambda rng, n: rng.lognormal(10, 1, n),
    "with many zeros": lambda rng, n: rng.lognormal(7, 1, n) * (rng.random(n) < 0.5),
    "uniform": lambda rng, n: rng.uniform(1, 10**5, n),
    "of all sizes": lambda rng, n: 2.0 ** rng.uniform(0, 55, n),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@given(seed=st.integers(0, 2**32), n=st.integers(20, 1500), m=st.integers(20, 500), times=st.floats(0.5, 2))
@settings(max_examples=examples(1 / 4))
def test_the_binned_kolmogorov_smirnov_distance_is_below_scipys_by_at_most_the_share_of_a_bin(
    draw, seed, n, m, times
):
    """Both histograms are ``NumberSummary``s as in panes. Bins hide only differences inside one bucket."""
    rng = np.random.default_rng(seed)
    before, after = draw(rng, n).astype(np.int64), (draw(rng, m) * times).astype(np.int64)
    reference, current = number_of(before), number_of(after)
    scale = min(reference.scale, current.scale)
    p, q = distribution_of(reference, scale), distribution_of(current, scale)
    exact = stats.ks_2samp(before, after, method="asymp")
    comparison = TESTS["kolmogorov_smirnov"](Distribution.from_weights(p), Distribution.from_weights(q))
    fullest = max(max(p.values()) / n, max(q.values()) / m)
    assert exact.statistic - fullest - 1e-9 <= comparison.statistic <= exact.statistic + 1e-9
