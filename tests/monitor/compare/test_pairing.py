"""Cells of two arms, and the counts that they sum to."""

import numpy as np
import pytest

from monitor.compare.arm import CellKey
from monitor.compare.paired_counts import number_values, rate_counts
from monitor.compare.pairing import MINUTE_US, WHOLE, pair_cells
from monitor.stats.exponential_buckets import bucket_codes
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate


def rate(n, failures, p=1.0):
    out = Rate()
    out.add(round(p * 1e6), n, failures)
    return out


def cells(*rates):
    return {CellKey(minute * MINUTE_US): one for minute, one in enumerate(rates) if one is not None}


def test_only_minutes_with_events_of_both_count():
    a, b = cells(rate(10, 1), rate(10, 5), None), cells(rate(5, 0), None, rate(7, 7))
    assert len(pair_cells(a, b)) == 1
    of_a, of_b = rate_counts(pair_cells(a, b))
    assert of_a == pytest.approx((10, 1))
    assert of_b == pytest.approx((5, 0))


def test_with_a_constant_split_the_counts_are_the_numbers_of_events():
    a, b = cells(rate(90, 3), rate(180, 9)), cells(rate(10, 1), rate(20, 0))
    of_a, of_b = rate_counts(pair_cells(a, b))
    assert of_a == pytest.approx((270, 12))
    assert of_b == pytest.approx((30, 1))


def test_a_cycle_of_failures_makes_no_difference_between_arms_that_grow_at_different_times():
    share, p = np.linspace(0.05, 0.8, 60), np.linspace(0.01, 0.1, 60)
    n = 10_000
    a = cells(*(rate(int(n * (1 - s)), round(n * (1 - s) * q)) for s, q in zip(share, p, strict=True)))
    b = cells(*(rate(int(n * s), round(n * s * q)) for s, q in zip(share, p, strict=True)))
    paired_a, paired_b = rate_counts(pair_cells(a, b))
    assert paired_b.failures / paired_b.n == pytest.approx(paired_a.failures / paired_a.n, abs=2e-4)
    whole_a, whole_b = rate_counts(pair_cells(a, b, WHOLE))
    assert whole_b.failures / whole_b.n > whole_a.failures / whole_a.n + 0.01


def test_a_mix_of_tenants_makes_no_difference():
    big, small = CellKey(0, ("big",)), CellKey(0, ("small",))
    a = {big: rate(900, 90), small: rate(100, 1)}
    b = {big: rate(10, 1), small: rate(100, 1)}
    of_a, of_b = rate_counts(pair_cells(a, b))
    assert of_b.failures / of_b.n == pytest.approx(of_a.failures / of_a.n)


def test_a_minute_in_which_only_a_failure_was_kept_is_no_minute_of_failures():
    """Errors are kept, other calls at 0.01: 20 calls a minute of a, 5 of b, 3 % fail."""
    rng = np.random.default_rng(5)

    def arm(calls):
        out = []
        for _ in range(4000):
            failures = rng.binomial(calls, 0.03)
            one = rate(failures, failures) if failures else Rate()
            if kept := rng.binomial(calls - failures, 0.01):
                one.add(10_000, int(kept), 0)
            out.append(one if one.classes else None)
        return cells(*out)

    of_a, of_b = rate_counts(pair_cells(arm(20), arm(5)))
    assert of_a.failures / of_a.n == pytest.approx(0.03, abs=0.004)
    assert of_b.failures / of_b.n == pytest.approx(0.03, abs=0.006)


def test_events_of_one_weight_count_as_many_as_they_are_whatever_the_other_arm_weighs():
    of_a, of_b = rate_counts(pair_cells(cells(rate(100, 3)), cells(rate(50, 2, p=0.1))))
    assert of_a == pytest.approx((100, 3))
    assert of_b == pytest.approx((50, 2))


def test_a_design_effect_divides_the_counts():
    of_a, _ = rate_counts(pair_cells(cells(rate(100, 4)), cells(rate(100, 4))), design_effect=2.0)
    assert of_a == pytest.approx((50, 2))


def test_the_mean_of_a_number_is_weighted_by_the_probability():
    number = NumberSummary()
    for ppm, value, n in ((1_000_000, 100, 10), (100_000, 10, 10)):
        code = int(bucket_codes(np.array([value]))[0])
        number.add(ppm, n, n * value, {code: n})
    of_a, _ = number_values(pair_cells({CellKey(0): number}, {CellKey(0): number}))
    assert of_a.moments.mean == pytest.approx((10 * 100 + 100 * 10) / 110)
    assert 0 < of_a.moments.n < 20
