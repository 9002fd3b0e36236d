"""Ten faults of one service in event time: each is heard in time, by itself, in its own words."""

from __future__ import annotations

from tests.scenarios import ten_faults as plan
from tests.scenarios.deployment import run_plan


def test_each_of_ten_faults_of_one_service_rings_by_itself_in_time_and_with_its_own_cause():
    deployment = run_plan(
        plan.FEATURES,
        plan.PLAN,
        plan.MINUTES,
        a_minute=plan.CALLS_A_MINUTE,
        processes=plan.PROCESSES,
    )
    print("\n".join(plan.table(deployment.pagerduty)))
    assert list(plan.broken(deployment.pagerduty)) == []
