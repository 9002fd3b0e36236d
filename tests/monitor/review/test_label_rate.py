"""The rate of labels: unbiased, its interval covers, and labels that are missing."""

from __future__ import annotations

import random

from monitor.review.answer import Answer
from monitor.review.consensus import Consensus
from monitor.review.label_rate import label_rate, labels_for_width
from monitor.review.question import make_question
from monitor.review.sample_file import Sample

QUESTION = make_question("correct", None, None, None)


def sample_of(strata):
    """Make a sample: (verdict, probability) of each answer."""
    answers = [
        Answer(str(number), "", {}, {}, 1.0, 1.0, "", "", "", {"verdict": verdict}, probability)
        for number, (verdict, probability) in enumerate(strata)
    ]
    return Sample(QUESTION, ("verdict",), "", tuple(answers))


def verdicts(passed):
    return [Consensus(number, value, ()) for number, value in enumerate(passed, 1)]


def test_a_rate_weighs_the_strata_by_all_their_answers():
    sample = sample_of([("failed", 1.0)] * 50 + [("passed", 0.05)] * 50)  # 50 failed, 1,000 passed
    rate = label_rate(sample, verdicts([False] * 40 + [True] * 60))
    assert abs(rate.value - 40 / 1050) < 1e-12
    assert rate.low < rate.value < rate.high
    assert rate.labels == 100


def test_an_answer_without_majority_or_label_does_not_count():
    sample = sample_of([("failed", 1.0)] * 10 + [("passed", 0.1)] * 10)
    rate = label_rate(sample, verdicts([None, False] + [False] * 8 + [True] * 5))
    assert [(stratum.name, stratum.labels) for stratum in rate.strata] == [("failed", 9), ("passed", 5)]
    assert label_rate(sample, verdicts([None])) is None


def test_a_stratum_without_a_label_makes_the_interval_wide():
    sample = sample_of([("failed", 1.0)] * 10 + [("passed", 0.1)] * 10)
    rate = label_rate(sample, verdicts([False] * 10))
    assert rate.high > 0.9
    assert labels_for_width(rate, 0.1) is None


def test_labels_for_a_width_suffice_and_one_third_fewer_do_not():
    sample = sample_of([("failed", 0.5)] * 400 + [("passed", 0.02)] * 400)

    def rate_of(labels):
        half = labels // 2
        passed = [number % 5 == 0 for number in range(400)] + [number % 50 != 0 for number in range(400)]
        chosen = [*range(half), *range(400, 400 + half)]
        return label_rate(sample, [Consensus(number + 1, passed[number], ()) for number in chosen])

    now = rate_of(100)
    more = labels_for_width(now, 0.07)
    assert 20 < more < 500
    assert rate_of(100 + more).width < 0.08
    assert rate_of(100 + more * 2 // 3).width > 0.07
    assert labels_for_width(now, 0.9) == 0


def test_the_interval_covers_the_true_rate_in_at_least_95_percent_of_runs():
    """3 % fail; the evaluator has a sensitivity of 0.8 and a specificity of 0.97; 50 or 200 labels, half a verdict."""
    draw = random.Random(11)
    for labels in (50, 200):
        covered = 0
        for _ in range(300):
            half = labels // 2
            # of the failed 45 % truly fail, of the passed 0.63 %
            truly = [draw.random() < 0.024 / 0.0531 for _ in range(half)]
            others = [draw.random() < 0.006 / 0.9469 for _ in range(half)]
            sample = sample_of([("failed", half / 1062)] * half + [("passed", half / 18938)] * half)
            rate = label_rate(sample, verdicts([not fails for fails in truly + others]))
            covered += rate.low <= 0.03 <= rate.high
        assert covered >= 0.95 * 300
