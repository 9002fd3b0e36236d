from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitor.golden.case_score import case_score
from monitor.golden.comparison import compare
from monitor.golden.gate import Outcome, decide
from monitor.golden.paired_test import rise_bounds, sign_flip_p_value, smallest_visible
from monitor.stats.holm import holm

Runs = dict[str, list[bool]]


@given(st.lists(st.integers(-3, 3), max_size=10))
def test_the_p_value_equals_that_of_all_sign_flips(rises: list[int]) -> None:
    nonzero = [abs(rise) for rise in rises if rise]
    sums = [
        sum(sign * size for sign, size in zip(signs, nonzero, strict=True))
        for signs in product((-1, 1), repeat=len(nonzero))
    ]
    expected = sum(total >= sum(rises) for total in sums) / len(sums)
    assert sign_flip_p_value(rises) == pytest.approx(expected)


@pytest.mark.parametrize(("worse", "better"), [(12, 2), (5, 0), (300, 250), (0, 4), (1500, 1400)])
def test_single_answers_give_the_exact_test_of_mcnemar(worse: int, better: int) -> None:
    expected = binomtest(worse, worse + better, 0.5, alternative="greater").pvalue
    assert sign_flip_p_value([1] * worse + [-1] * better + [0] * 50) == pytest.approx(expected)


def test_bounds_cover_the_true_rise_in_most_samples() -> None:
    draw = np.random.default_rng(1)
    for rise, better in ((0.0, 0.0), (0.03, 0.01), (0.06, 0.05), (0.2, 0.0)):
        misses = 0
        for _ in range(400):
            up, down = draw.random((2, 150))
            rises = (up < rise).astype(float) - ((down < better) & (up >= rise))
            bounds = rise_bounds(list(rises), 1.645)
            misses += bounds.high < rise - better * (1 - rise)
        assert misses / 400 <= 0.075  # 5 % and the noise of 400 samples


def test_without_any_change_the_bound_shrinks_with_the_cases_only() -> None:
    assert rise_bounds([], 1.645) == (0.0, -1.0, 1.0)
    assert [round(rise_bounds([0.0] * n, 1.645).high, 3) for n in (20, 100, 500)] == [0.119, 0.026, 0.005]


def test_the_smallest_visible_change_is_significant_and_one_less_is_not() -> None:
    rises = [-1] * 7 + [1] * 9 + [0] * 100
    smallest = smallest_visible(rises, 1, 0.04)
    noise = [-1] * 7 + [1] * 7
    assert sign_flip_p_value(noise + [1] * smallest) <= 0.04 < sign_flip_p_value(noise + [1] * (smallest - 1))


def test_a_run_that_asked_more_often_is_read_as_one_that_asked_less() -> None:
    assert case_score([True, False, False], 1) == (0, 1)
    assert case_score([True, False, False], 3) == (2, 3)


def test_holm_is_monotone_and_bounded() -> None:
    assert holm([]) == []
    assert holm([0.9, 0.5]) == [1.0, 1.0]


def outcome(before: Runs, after: Runs, must_pass: tuple[str, ...] = (), **options: str) -> Outcome:
    comparison = compare(before, after, 1, {})
    return decide(comparison, after, must_pass, **options).outcome


GOOD = {f"c{n}": [True] for n in range(200)}


def broken(count: int) -> Runs:
    return {**GOOD, **{f"c{n}": [False] * 3 for n in range(count)}}


def test_five_newly_failing_cases_are_worse_and_four_are_too_few() -> None:
    comparison = compare(GOOD, broken(5), 1, {})
    assert decide(comparison, broken(5), ()).outcome is Outcome.WORSE
    assert [case.case_id for case in comparison.worse] == ["c0", "c1", "c2", "c3", "c4"]
    assert all(case.is_broken for case in comparison.worse)
    assert outcome(GOOD, broken(4)) is Outcome.NO_WORSE  # at most 4.5 %, below the margin


def test_few_cases_cannot_tell_and_say_what_they_could_have_shown() -> None:
    few = {f"c{n}": [True] for n in range(20)}
    decision = decide(compare(few, few, 1, {}), few, ())
    assert decision.outcome is Outcome.CANNOT_TELL
    assert "smallest change visible: 5 newly failing of 20 cases (25.0%)" in decision.reasons[0].text


def test_a_case_that_must_pass_decides_alone_and_only_if_it_always_fails() -> None:
    assert outcome(GOOD, broken(1), ("c0",)) is Outcome.WORSE
    assert outcome(broken(1), broken(1), ("c0",)) is Outcome.WORSE
    once = {**GOOD, "c0": [False, True, True]}
    assert outcome(GOOD, once, ("c0",)) is Outcome.NO_WORSE
    assert outcome(GOOD, {**GOOD, "c0": [False, False, True]}, ("c0",)) is Outcome.CANNOT_TELL
    assert outcome(GOOD, {**GOOD, "c0": [False]}, ("c0",)) is Outcome.CANNOT_TELL


def test_without_a_baseline_only_the_cases_that_must_pass_decide() -> None:
    assert decide(None, broken(50), ()).outcome is Outcome.NO_WORSE
    assert decide(None, broken(50), ("c3",)).outcome is Outcome.WORSE


def test_a_run_without_a_baseline_that_got_few_answers_is_open() -> None:
    gone: Runs = {**GOOD, **{f"c{n}": [] for n in range(10)}}
    assert decide(None, gone, ()).reasons[0].name == "unanswered"
    assert decide(None, {**GOOD, "c0": []}, ()).outcome is Outcome.NO_WORSE


def test_missing_answers_can_keep_the_gate_from_green_and_never_make_it_red() -> None:
    gone = {case: passed for number, (case, passed) in enumerate(GOOD.items()) if number >= 20}
    decision = decide(compare(GOOD, gone, 1, {}), gone, ())
    assert decision.outcome is Outcome.CANNOT_TELL
    assert decision.reasons[0].name == "unanswered"
    assert outcome(GOOD, GOOD, unfinished="stopped by the time limit") is Outcome.CANNOT_TELL


def test_a_tag_that_breaks_alone_is_worse_after_correction() -> None:
    draw = np.random.default_rng(3)
    before = {f"c{n}": [bool(draw.random() < 0.6)] * 3 for n in range(2000)}
    after = {f"c{n}": [bool(draw.random() < 0.6)] * 3 for n in range(2000)}
    for n in range(20):
        before[f"c{n}"], after[f"c{n}"] = [True] * 3, [False] * 3
    tags = {"returns": {f"c{n}" for n in range(20)}, "others": {f"c{n}" for n in range(20, 2000)}}
    comparison = compare(before, after, 1, tags)
    decision = decide(comparison, after, ())
    assert "worse_in_tag" in [reason.name for reason in decision.reasons]
    assert [tag.tag for tag in comparison.tags if (tag.p_value or 0) <= 0.01] == ["returns"]


def test_flaky_cases_are_known_from_history_and_come_after_the_others() -> None:
    history = [{"c0": [True], "c1": [passed]} for passed in (True, False, True, False)]
    comparison = compare(GOOD, broken(2), 1, {}, history)
    assert [(case.case_id, case.is_flaky) for case in comparison.worse] == [("c0", False), ("c1", True)]
