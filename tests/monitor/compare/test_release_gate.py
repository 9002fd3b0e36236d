"""What a gate says."""

import math

import pytest

from monitor.compare.confidence_sequence import Counts
from monitor.compare.evidence import RateEvidence
from monitor.compare.inputs import InputDifference
from monitor.compare.release_gate import (
    GateMetric,
    Look,
    Progress,
    Terms,
    Verdict,
    decide,
    find,
    since_us,
)

ERRORS = GateMetric("error_rate")
TERMS = Terms(least_s=1800, longest_s=86_400, least_events=500)
RUNNING = Progress(7200, 5000, 0.0, 1.0)


def finding(b, a=(50_000, 1500), metric=ERRORS, critical=1):
    return find(metric, RateEvidence(Counts(*a), Counts(*b)), critical)


def verdict(*findings, progress=RUNNING, inputs=(), terms=TERMS):
    return decide(findings, inputs, progress, terms)


def test_as_good_with_enough_events_is_promoted():
    assert verdict(finding((30_000, 900))).verdict is Verdict.PROMOTE


def test_surely_worse_is_rolled_back_before_the_least_time():
    decision = verdict(finding((2000, 200)), progress=Progress(60, 2000, 0.0, 1.0))
    assert decision.verdict is Verdict.ROLL_BACK
    assert decision.reasons[0].text == "error_rate is worse"


def test_worse_by_less_than_the_configured_excess_is_not_rolled_back():
    metric = GateMetric("error_rate", worse_by=0.1)
    assert verdict(finding((2000, 200), metric=metric)).verdict is Verdict.HOLD


def test_a_metric_that_is_not_critical_holds():
    decision = verdict(
        finding((30_000, 900)), finding((2000, 200), metric=GateMetric("x_rate", critical=False))
    )
    assert decision.verdict is Verdict.HOLD
    assert decision.reasons[0].name == "worse_not_critical"


def test_too_few_events_hold_and_say_how_many_are_needed():
    decision = verdict(finding((600, 18)), progress=Progress(7200, 600, 0.0, 1.0))
    assert decision.verdict is Verdict.HOLD
    assert 1000 < decision.needed < 100_000


def test_with_the_events_that_are_needed_it_is_decided():
    few = finding((600, 18), a=(60_000, 1800))
    n = 600 + few.needed
    assert finding((n, round(0.03 * n)), a=(100 * n, 3 * n)).state == "no worse"


@pytest.mark.parametrize(
    ("progress", "name"),
    [
        (Progress(600, 30_000, 0.0, 1.0), "too_early"),
        (Progress(7200, 400, 0.0, 1.0), "too_few"),
    ],
)
def test_the_least_time_and_the_least_events_hold(progress, name):
    decision = verdict(finding((30_000, 900)), progress=progress)
    assert (decision.verdict, decision.reasons[0].name) == (Verdict.HOLD, name)


@pytest.mark.parametrize("b", [(0, 0), (10_000, 300)])
def test_silence_never_promotes(b):
    decision = verdict(finding(b), progress=Progress(7200, 10_000, 3600, 1.0))
    assert decision.verdict is Verdict.CANNOT_TELL
    assert decision.reasons[0].name == "silent"


def test_a_slow_arm_is_not_silent_between_two_events():
    decision = verdict(
        finding((30_000, 900)), progress=Progress(10 * 86_400, 30_000, 3600, 1200), terms=Terms()
    )
    assert decision.verdict is Verdict.PROMOTE


def test_no_data_never_promotes():
    nothing = find(ERRORS, None, 1)
    assert verdict(nothing, progress=Progress(0, 0, 0.0, 0.0)).verdict is Verdict.CANNOT_TELL
    decision = verdict(finding((30_000, 900)), nothing)
    assert decision.verdict is Verdict.CANNOT_TELL
    assert "no data" in decision.reasons[0].text


def test_other_questions_give_no_verdict_even_if_the_answers_are_worse():
    decision = verdict(
        finding((2000, 200)), inputs=[InputDifference("input_language", "input_language is de in ...")]
    )
    assert decision.verdict is Verdict.CANNOT_TELL
    assert decision.reasons[0].text.startswith("arms differ: inputs")


def test_a_gate_that_is_not_decided_in_its_longest_time_gives_up():
    decision = verdict(finding((600, 18)), progress=Progress(90_000, 600, 0.0, 1.0))
    assert (decision.verdict, decision.reasons[0].name) == (Verdict.CANNOT_TELL, "too_long")


def test_more_critical_metrics_need_more_evidence():
    b = next((1000, f) for f in range(30, 200) if finding((1000, f), critical=1).state == "worse")
    assert finding(b, critical=50).state == "undecided"


def test_of_a_rating_less_is_worse():
    metric = GateMetric("feedback.rating.mean", margin=0.01, higher_is_worse=False)
    found = finding((30_000, 2400), metric=metric)  # the value rose, which is good
    assert found.state == "no worse"
    assert found.change.value < 0


def test_the_margin_of_a_rate_is_a_point_or_a_quarter():
    assert finding((1000, 30), a=(10_000, 100)).margin == 0.01
    assert finding((1000, 100), a=(10_000, 1000)).margin == pytest.approx(0.025)
    assert math.isnan(find(ERRORS, None, 1).margin)


def test_since_is_the_begin_of_the_last_run_of_one_verdict():
    good, bad = verdict(finding((30_000, 900))), verdict(finding((2000, 200)))
    looks = [Look(time_us, decision, RUNNING) for time_us, decision in enumerate([bad, good, bad, bad])]
    assert since_us(looks) == 2
    assert since_us([]) == 0
