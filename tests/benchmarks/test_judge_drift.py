"""The simulation of judges, small: what docs/statistics.md states of 1,000 runs."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.judge_drift import results_of

OPTIONS = argparse.Namespace(runs=6, seed=3, judged=19_600, labels=20, anchors=500, noise=0.005)


@pytest.mark.parametrize("scenario", ["judge", "answers"])
def test_a_change_of_the_judge_is_found_and_pages_nobody_and_one_of_the_answers_pages(scenario):
    results = results_of(scenario, OPTIONS, range(OPTIONS.runs))
    covered = [day for result in results for day in result.covered]
    assert sum(covered) >= 0.95 * len(covered)
    assert not any(result.paged_before or result.changed_before for result in results)
    if scenario == "judge":
        assert all(result.changed_after is not None and result.changed_after < 3 for result in results)
        assert all(result.paged_after is None for result in results)
    else:
        assert sum(result.paged_after is not None and result.paged_after < 1 for result in results) >= 5
