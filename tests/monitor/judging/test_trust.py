"""Agreement, correction and drift of judges: their figures, and what may page."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.judging.anchors import AnchorCheck, AnchorHistory, RiseWatch, rise_state
from monitor.judging.ledger import Ledger
from monitor.judging.standing import Standing
from monitor.judging.trust import Evidence, evidence_of, feature_doubt, trust_of
from monitor.stats.judge_agreement import Matrix, agreement_of, cohen_kappa, random_agreement
from monitor.stats.judge_correction import corrected_rate
from schemas.config.judges import Calibration, Judge

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NOW_US = round(NOW.timestamp() * 1e6)
DAY_US = 86_400_000_000
GOOD = Matrix(40, 20, 8, 432)


def judge(**more):
    return Judge.model_validate(
        {
            "name": "grounded",
            "rubric": {"prompt": "Is the answer right? {{output}}", "choice_scores": {"yes": 1, "no": 0}},
            "model": "m-1",
            "budget": 10,
            "prices": {"input": 1, "output": 1},
            "anchors": [{"id": "a", "output": "x"}],
            **more,
        }
    )


def calibration(labels=GOOD, days_ago=1, identity="abc", judged=(0.0, 0.0)):
    return {
        "record": "judge_calibration",
        "judge": "grounded",
        "identity": identity,
        "time": NOW - timedelta(days=days_ago),
        "labels": labels,
        "judged": judged,
    }


def reasons(labels=GOOD, days_ago=1, identity="abc", doubt="", **more):
    setting = judge(calibration=Calibration(**calibration(labels, days_ago)), **more)
    evidence = evidence_of(setting, identity, Matrix(), 0)
    return trust_of(setting, identity, evidence, NOW_US, doubt).reasons


def test_a_judge_that_agrees_with_people_is_calibrated():
    assert reasons() == ()


@pytest.mark.parametrize(
    ("case", "part"),
    [
        ({"labels": Matrix(4, 2, 1, 20)}, "label more answers"),
        ({"labels": Matrix(0, 0, 15, 485)}, "fails bad answers more often"),
        ({"labels": Matrix(5, 1, 2, 492)}, "failed only 7"),
        ({"labels": Matrix(60, 100, 100, 240)}, "below the bar of 85%"),
        ({"days_ago": 91}, "older than 90 days"),
        ({"identity": "def"}, "it is another judge (def)"),
        ({"identity": ""}, "has not answered yet"),
        ({"anchors": []}, "no anchors"),
        ({"doubt": "the judge changed"}, "the judge changed"),
        ({"bar": 0.95}, "the bar is 95%"),
    ],
)
def test_a_judge_is_uncalibrated_for_a_reason_that_names_it(case, part):
    assert any(part in reason for reason in reasons(**case))


def test_a_judge_without_a_calibration_file_can_be_calibrated_by_labels_that_come():
    setting = judge()
    assert "nobody has labelled" in trust_of(setting, "abc", Evidence(Matrix(), (0, 0), 0), NOW_US).reasons[0]
    assert trust_of(setting, "abc", evidence_of(setting, "abc", GOOD, NOW_US - DAY_US), NOW_US).calibrated


def test_kappa_of_chance_is_zero_and_its_error_is_that_of_a_simulation():
    rng = np.random.default_rng(1)
    cells = np.array([0.10, 0.05, 0.05, 0.80])
    draws = rng.multinomial(400, cells, 2000).tolist()
    kappas = [cohen_kappa(Matrix(*counts))[0] for counts in draws]
    _, error = cohen_kappa(Matrix(40, 20, 20, 320))
    assert abs(np.std(kappas) / error - 1) < 0.06
    assert abs(cohen_kappa(Matrix(9, 21, 21, 49))[0]) < 1e-12


def test_one_class_has_no_kappa_and_no_labels_say_nothing():
    assert math.isnan(cohen_kappa(Matrix(0, 0, 0, 50))[0])
    nothing = random_agreement(Matrix())
    assert nothing.sensitivity[1:] == nothing.specificity[1:] == (0.0, 1.0)


@pytest.mark.parametrize("failing", [0.01, 0.03, 0.10, 0.30])
@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.8, 0.97), (0.95, 0.99), (0.6, 0.9)])
def test_the_corrected_interval_contains_the_truth_as_often_as_promised(failing, sensitivity, specificity):
    rng, runs, n, labelled = np.random.default_rng(7), 400, 5000, 200
    judged = failing * sensitivity + (1 - failing) * (1 - specificity)
    right = failing * sensitivity / judged
    missed = failing * (1 - sensitivity) / (1 - judged)
    covered = 0
    for _ in range(runs):
        failed = int(rng.binomial(n, judged))
        a, c = int(rng.binomial(labelled // 2, right)), int(rng.binomial(labelled // 2, missed))
        labels = Matrix(a, labelled // 2 - a, c, labelled // 2 - c)
        share = corrected_rate((n, failed), labels, (n, failed))
        covered += share.low <= failing <= share.high
    assert covered / runs >= 0.95


def test_the_corrected_interval_contains_a_rate_that_rose_under_an_unchanged_judge():
    period = (100_000, 5_310)
    labels = Matrix(90, 110, 1, 199)
    share = corrected_rate((20_000, 1_524), labels, period)  # 6 % fail
    assert share.low < 0.06 < share.high
    assert share.value > corrected_rate((20_000, 1_062), labels, period).value


def test_labels_chosen_by_verdict_are_weighed_by_the_judged_rate():
    by_verdict = agreement_of(Matrix(45, 55, 1, 99), (20_000, 1060))
    assert abs(by_verdict.specificity.value - 0.97) < 0.002
    assert random_agreement(Matrix(45, 55, 1, 99)).specificity.value < 0.7  # what it would be without that


def runs_of(history, number, verdicts):
    for _ in range(number):
        check = history.compare(verdicts)
        history.add(verdicts)
    return check


def test_a_judge_that_fails_one_anchor_in_fourteen_anew_has_changed():
    history = AnchorHistory()
    usual = {f"a{number}": number % 20 > 0 for number in range(300)}
    assert not runs_of(history, 5, usual).changed
    changed = usual | {f"a{number}": False for number in range(1, 300, 14)}
    assert history.compare(changed).changed


def test_anchors_without_a_verdict_today_change_nothing():
    history = AnchorHistory()
    runs_of(history, 3, {f"a{number}": True for number in range(100)})
    check = history.compare({"a1": True})
    assert (check.n, check.flips, check.changed) == (1, 0, False)
    assert not AnchorHistory().compare({"a1": False}).changed


def test_few_anchors_cannot_say_that_a_small_rise_is_one_of_the_answers():
    check = AnchorCheck(0, 0, 30, 28, 0.1, 1.0)
    assert rise_state(check, 0.02)[0] == "unclear"
    assert rise_state(replace_check(check, n=500, passed=470), 0.02)[0] == "unchanged"


def replace_check(check, **more):
    return check._replace(**more)


def test_labels_that_are_as_often_right_as_before_speak_for_the_judge():
    check = AnchorCheck(2, 2, 200, 190, 0.5, 0.1)
    _, alone = rise_state(check, 0.03)
    _, agreed = rise_state(check, 0.03, (20, 12), 0.45, 0.053)
    _, wrong = rise_state(check, 0.03, (20, 3), 0.45, 0.053)
    assert wrong < alone < agreed


def test_a_rise_that_was_accepted_is_usual_from_then_on():
    watch = RiseWatch()
    rng = np.random.default_rng(3)
    for failed in rng.random(3000) < 0.05:
        watch.add(1, failed)
    for failed in rng.random(300) < 0.20:
        watch.add(1, failed)
    assert watch.rise().size > 0.05
    watch.accept()
    found = 0
    for failed in rng.random(1000) < 0.20:
        watch.add(1, failed)
        found += watch.rise().size > 0
    assert found < 100


def test_a_watch_is_the_same_after_it_was_stored():
    watch = RiseWatch()
    for number in range(2345):
        watch.add(1, number % 9 == 0)
    copy = RiseWatch(watch.n, watch.failed, [list(block) for block in watch.recent])
    for each in (watch, copy):
        for _ in range(40):
            each.add(1, True)
    assert copy.rise() == watch.rise()
    assert copy.n == watch.n


def test_labels_of_a_feature_bar_a_judge_for_that_feature_only():
    setting, judged = judge(), (400.0, 40.0)
    doubt = feature_doubt(setting, "bot/search", Matrix(5, 15, 15, 5), judged)
    assert doubt.startswith("in bot/search it agrees with people on ")
    assert feature_doubt(setting, "bot/search", Matrix(1, 0, 1, 0), judged) == ""  # too few to contradict
    assert feature_doubt(setting, "bot/search", Matrix(18, 2, 0, 20), judged) == ""


def test_a_rate_is_corrected_by_the_labels_of_its_own_feature_where_they_are_enough():
    standing, ledger = Standing(judge()), Ledger("grounded")
    standing.attach(0, ledger, 0.0, 1.0, NOW_US)
    identity = standing.answered_by("m-1")
    for number in range(60):
        for feature, human_failed in (("search", number % 2 == 0), ("answer", False)):
            ledger.feature("bot", feature).count(identity, 1.0, number % 2 == 0, NOW_US // DAY_US)
            ledger.remember("bot", feature, f"e{number}", number % 2 == 0, identity)
            ledger.label("bot", feature, f"e{number}", human_failed, NOW_US)
    labels = {rate.feature: rate.labels for rate in standing.rates(NOW_US)}
    assert labels["search"] == Matrix(30, 0, 0, 30)
    assert labels["answer"] == Matrix(30, 30, 0, 60)  # nobody failed an answer there: those of all features
