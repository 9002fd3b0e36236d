from __future__ import annotations

from agents.demo.fake_pagerduty import PagerDutyIncident
from agents.demo.scenario import GRACE_S, misses, phases, planned
from agents.demo.terminal import announcer

PLAN = phases(60)


def incident(key="softfail/e1/high", feature="support-bot/answer", resolved_at=9.0):
    service, name = feature.split("/")
    return PagerDutyIncident(
        key,
        {"group": service, "component": name, "severity": "critical", "summary": "it broke"},
        1.0,
        resolved_at,
    )


def test_the_phases_take_the_requested_time():
    for duration_s in (40.0, 60.0, 600.0):
        assert abs(sum(phase.duration_s for phase in phases(duration_s)) - duration_s) < 1e-6
    assert planned(PLAN) == ["support-bot/answer"]
    assert GRACE_S > 0


def test_a_single_opened_and_resolved_episode_is_as_planned_even_if_it_started_as_a_ticket():
    assert misses([incident()], PLAN) == []
    assert misses([incident("softfail/e1/low"), incident()], PLAN) == []


def test_every_other_outcome_is_a_miss():
    assert misses([], PLAN) == ["support-bot/answer: 0 episodes at the receiver, 1 planned"]
    assert misses([incident(resolved_at=None)], PLAN) == ["softfail/e1/high: never resolved"]
    assert misses([incident(), incident()], PLAN) == ["softfail/e1/high: opened 2 times"]
    assert misses([incident(), incident("softfail/e2/high")], PLAN) == [
        "support-bot/answer: 2 episodes at the receiver, 1 planned"
    ]
    assert misses([incident(), incident("softfail/e2/high", "search/suggest")], PLAN) == [
        "search/suggest: 1 episodes at the receiver, 0 planned"
    ]


def test_each_page_and_each_resolve_is_printed_once():
    lines = []
    announce = announcer(lambda text, style: lines.append(text))
    page = incident(resolved_at=None)
    for _ in range(3):
        announce([page])
    page.resolved_at = 6.0
    for _ in range(3):
        announce([page])
    assert lines == [
        "PAGE at the receiver (critical): it broke",
        "RESOLVED at the receiver after 5 s: softfail/e1/high",
    ]
