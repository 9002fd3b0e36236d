"""Delays and rare false alarms of sampled baselines: estimates agree with counting, and nothing beats what knows
all.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import sampled_delays, tilted_alarms
from benchmarks.detector.conditional_windows import ConditionalWindows
from benchmarks.sampled_pages.designs import Cell


def test_the_means_of_a_cell_are_its_calls_and_failures() -> None:
    cell = Cell("texts at 0.1 (q)", 20, 0.05)
    means = tilted_alarms.means_of(cell)
    weights = np.array(means.weights)
    assert weights.tolist() == [1, 10]
    assert means.failed @ weights == pytest.approx(20 * 0.05)
    assert means.passed @ weights == pytest.approx(20 * 0.95)
    assert tilted_alarms.means_of(cell, 0.1).failed @ weights == pytest.approx(20 * 0.1)


def test_importance_sampling_agrees_with_counting_where_that_is_possible() -> None:
    means = tilted_alarms.means_of(Cell("errors at 1, others at 0.1", 20, 0.01))
    tilted, tilted_error = tilted_alarms.alarms_a_day(means, 200, 1, run_length=300)
    counted, counted_error = tilted_alarms.counted_a_day(means, 200, 1, run_length=300)
    assert counted > 0
    assert abs(tilted - counted) < 4 * (tilted_error + counted_error)


def test_an_alarm_at_the_default_run_length_is_as_rare_as_promised() -> None:
    means = tilted_alarms.means_of(Cell("errors at 1, others at 0.1", 20, 0.01))
    mean, error = tilted_alarms.alarms_a_day(means, 200, 1)
    assert 0 < mean < tilted_alarms.MINUTES / tilted_alarms.RUN_LENGTH + 2 * error


def test_a_rise_is_found_after_the_likelihood_ratio_that_knows_it() -> None:
    ours, best = sampled_delays.delays_of(Cell("errors at 1, others at 0.1", 200, 0.01), 0.1, 10, 1, None)
    assert 1 <= int(best) <= int(ours) <= 4


def test_conditional_windows_alarm_on_a_rise_only() -> None:
    rng, detector = np.random.default_rng(1), ConditionalWindows(20, 600)
    statistics = [detector.step(rng.binomial(10, 0.03 if block >= 500 else 0.01, 20)) for block in range(600)]
    assert np.median(statistics[499]) < 30
    assert np.median(statistics[599]) > 1e4
