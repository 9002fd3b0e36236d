import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.compare.confidence_sequence import Counts, compare_rates
from monitor.compare.rate_evidence import log_e_difference

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(b=COUNTS, a=COUNTS, alpha=st.sampled_from([0.05, 0.001]), share=st.floats(-0.9, 0.9))
def test_a_difference_lies_outside_of_the_bounds_where_the_e_value_reaches_one_over_alpha(b, a, alpha, share):
    bounds = compare_rates(Counts(*b), Counts(*a), alpha)
    log_e = float(log_e_difference(*b, *a, share))
    if abs(log_e - math.log(1 / alpha)) > 1e-3:  # on the edge itself both are right
        assert (log_e > math.log(1 / alpha)) == (not bounds.low <= share <= bounds.high)


def test_an_arm_without_events_is_no_evidence():
    assert log_e_difference([0, 10], [0, 5], [100, 0], [3, 0]).tolist() == [0, 0]


def test_looks_are_evaluated_elementwise():
    n = np.array([100.0, 1000.0])
    both = log_e_difference(n, n * 0.1, 10 * n, n * 0.3)
    assert both[1] == pytest.approx(float(log_e_difference(1000, 100, 10_000, 300)))
    assert both[1] > both[0]
