"""Each scenario of the bench keeps its laws: one fault, one ring; two faults, two rings; each as of now."""

from __future__ import annotations

import pytest

from tests.scenarios.laws import broken, run, table
from tests.scenarios.plans import scenarios

SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


@pytest.mark.long_form
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_fault_rings_once_in_its_own_words_and_nothing_rings_when_it_is_over(name):
    deployment = run(SCENARIOS[name])
    print("\n".join(table(SCENARIOS[name], deployment)))
    assert broken(SCENARIOS[name], deployment) == []


def test_the_bench_has_at_least_sixty_scenarios():
    assert len(SCENARIOS) >= 60
