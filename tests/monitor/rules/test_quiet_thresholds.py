"""The bound of quiet thresholds never leaves out a breach, and decides nearly all rates that are far from one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.rules.quiet_thresholds import may_exceed
from monitor.stats.share_intervals import clopper_pearson_interval

Z = 4.8
SIDE = math.erfc(Z / math.sqrt(2)) / 2


@st.composite
def counted(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.one_of(st.integers(1, 60), st.integers(1, 100_000)))
    return draw(st.one_of(st.integers(0, min(n, 40)), st.integers(0, n))), n


@given(counted(), st.sampled_from([0.0, 0.001, 0.02, 0.05, 0.3, 0.5, 0.97, 1.0]))
def test_a_rate_that_breaches_may_exceed_its_threshold(counts: tuple[int, int], share: float) -> None:
    k, n = counts
    low, _ = clopper_pearson_interval(k / n, float(n), Z)
    may = may_exceed(np.array([float(k)]), np.array([float(n)]), share, SIDE)
    assert may[0] or not low > share


def test_only_counts_close_to_a_breach_may_exceed() -> None:
    n = np.full(200, 1000.0)
    counts = np.arange(200.0)
    may = may_exceed(counts, n, 0.02, SIDE)
    breaches = np.array([clopper_pearson_interval(k / 1000, 1000.0, Z)[0] > 0.02 for k in counts])
    assert not (breaches & ~may).any()
    assert (may & ~breaches).sum() <= 2
