import numpy as np
import pytest

from monitor.compare.design_effect import SESSION_GROUPS, design_effect, session_group
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.rate import Rate


def groups_of(sessions, rng, p=0.03, rho=0.1, calls=5):
    groups = [Rate() for _ in range(SESSION_GROUPS)]
    share = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), sessions) if rho else np.full(sessions, p)
    for index, failures in enumerate(rng.binomial(calls, share).tolist()):
        groups[session_group(f"session {index}")].add(1_000_000, calls, failures)
    return groups


@pytest.mark.parametrize(("rho", "expected"), [(0.1, 1.4), (0.5, 3.0), (0.0, 1.0)])
def test_sessions_of_five_calls_have_the_design_effect_of_kish(rho, expected):
    rng = np.random.default_rng(3)
    effects = [design_effect(groups_of(4000, rng, rho=rho), groups_of(400, rng, rho=rho)) for _ in range(20)]
    assert np.mean(effects) == pytest.approx(expected, abs=0.15)


def test_independent_calls_never_count_more_than_once():
    rng = np.random.default_rng(4)
    assert min(design_effect(groups_of(500, rng, rho=0, calls=1)) for _ in range(20)) >= 1.0


def test_without_groups_calls_are_independent():
    assert design_effect([], []) == 1.0


def test_a_category_that_a_session_keeps_has_the_size_of_the_session():
    rng = np.random.default_rng(5)
    groups = [CategoryCounts() for _ in range(SESSION_GROUPS)]
    for index in range(3000):
        groups[session_group(f"s{index}")].add(1_000_000, {str(rng.choice(["en", "de", "fr"])): 4})
    assert design_effect(groups) == pytest.approx(4.0, abs=0.8)
