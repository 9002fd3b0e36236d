"""How many events a comparison needs."""

import numpy as np
import pytest

from monitor.compare.plan import plan_rates, session_inflation
from monitor.compare.rate_evidence import log_e_difference


@pytest.mark.parametrize(
    ("baseline", "detect", "share"), [(0.95, 0.03, 0.5), (0.97, 0.04, 0.1), (0.9, 0.05, 0.2)]
)
def test_with_the_planned_events_four_of_five_comparisons_see_the_change(baseline, detect, share):
    n = plan_rates(baseline, detect, share=share).sequential
    draw = np.random.default_rng(1)
    m = round(n * (1 - share) / share)
    new, old = draw.binomial(n, 1 - baseline + detect, 2000), draw.binomial(m, 1 - baseline, 2000)
    seen = (log_e_difference(n, new, m, old) >= np.log(20)) & (new * m > old * n)
    assert seen.mean() == pytest.approx(0.8, abs=0.08)


def test_sessions_and_traffic_make_calls_and_days():
    plan = plan_rates(0.95, 0.02, inflation=session_inflation(5, 0.1), calls_a_day=1000)
    assert plan.new_calls == pytest.approx(1.4 * plan.sequential, abs=1)
    assert plan.days == pytest.approx(plan.all_calls / 1000)
    assert plan.fixed < plan.sequential


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": 1.0}, "baseline is 1.0"),
        ({"detect": 0.99}, "below the baseline"),
        ({"detect": 1e-9}, "detect a larger change"),
        ({"share": 0.0}, "share is 0"),
        ({"alpha": 1.0}, "alpha is 1"),
        ({"inflation": 0.5}, "inflation is 0.5"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_rates(**{"baseline": 0.95, "detect": 0.02} | arguments)


def test_sessions_have_at_least_one_call():
    with pytest.raises(ValueError, match="at least 1"):
        session_inflation(0.5, 0.1)
