"""The simulation of rollouts has the counts of the product."""

import numpy as np
import pytest

from benchmarks.rollouts import METRICS, ArmTotals, ask, is_high
from monitor.compare.arm import CellKey
from monitor.compare.paired_counts import rate_counts
from monitor.compare.pairing import MINUTE_US, pair_cells
from monitor.stats.rate import Rate


def test_the_counts_of_a_rollout_are_those_of_the_gate():
    draw = np.random.default_rng(1)
    arms, cells = (ArmTotals(1), ArmTotals(1)), ({}, {})
    for minute in range(200):
        sessions = draw.poisson(30), draw.poisson(0.3 + minute / 20)
        both = min(sessions) > 0
        for index, arm in enumerate(arms):
            by_failures = draw.multinomial([[sessions[index]] * METRICS], [0.9, 0.05, 0.02, 0.01, 0.01, 0.01])
            failures = int(by_failures[0, 3] @ np.arange(6))
            if sessions[index]:
                rate = cells[index][CellKey(minute * MINUTE_US)] = Rate()
                rate.add(1_000_000, 5 * sessions[index], failures)
            kept = np.array([sessions[index] * both])
            factor = np.array([sessions[1 - index] / max(1, sum(sessions))])
            arm.add(draw, kept, by_failures * both, factor)
    n_b, f_b, n_a, f_a = ask(*arms, np.array([0]), np.array([3]))
    of_a, of_b = rate_counts(pair_cells(*cells))
    effect = of_b.n / n_b[0]
    assert effect > 1.2
    assert (n_a[0] * effect, f_a[0] * effect) == pytest.approx(of_a)
    assert f_b[0] * effect == pytest.approx(of_b.failures)


def test_kayenta_calls_a_shift_high_and_no_shift_not():
    draw = np.random.default_rng(2)
    stable = draw.normal(0.03, 0.01, 60)
    assert is_high(stable, stable + 0.03)
    assert not is_high(stable, draw.normal(0.03, 0.01, 60))
