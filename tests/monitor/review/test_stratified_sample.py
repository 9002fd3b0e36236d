"""Drawing of answers: probabilities, bounds, strata."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.review.answer import Answer
from monitor.review.stratified_sample import STRATA, StratifiedSample, allocate


def answer(number):
    labels = {"service": "s", "feature": "f"}
    return Answer(str(number), "", labels, {}, 1.0, 1.0, "", "", "text", {}, 0.0)


def stratum(verdict="passed", feature="f", version="1", language="en"):
    return dict(zip(STRATA, (verdict, feature, version, language), strict=True))


def draw(strata, size, by=STRATA, seed=""):
    sample = StratifiedSample(size, by, seed)
    for number, of in enumerate(strata):
        sample.offer(str(number), of, lambda number=number: answer(number))
    return sample, sample.draw()


def test_half_of_a_sample_failed_and_the_weights_add_up_to_all_answers():
    strata = [stratum("failed" if number % 50 == 0 else "passed") for number in range(10_000)]
    _, drawn = draw(strata, 200)
    counts = Counter(answer.stratum["verdict"] for answer in drawn)
    assert counts == {"failed": 100, "passed": 100}
    assert round(sum(1 / answer.probability for answer in drawn)) == 10_000


def test_all_are_drawn_where_there_are_fewer_than_wanted():
    _, drawn = draw([stratum()] * 30, 200)
    assert len(drawn) == 30
    assert {answer.draw_probability for answer in drawn} == {1.0}


def test_few_failures_are_all_drawn_and_others_fill_the_sample():
    _, drawn = draw([stratum("failed")] * 7 + [stratum()] * 900, 100)
    assert Counter(answer.stratum["verdict"] for answer in drawn) == {"failed": 7, "passed": 93}


def test_a_small_feature_and_language_is_seen():
    strata = [stratum(feature="big")] * 5_000 + [stratum(feature="small", language="fr")] * 12
    _, drawn = draw(strata, 100)
    assert Counter(answer.stratum["feature"] for answer in drawn)["small"] >= 2


def test_dimensions_are_given_up_from_the_last_one_where_there_are_too_many_strata():
    strata = [stratum(version=str(number % 7), language=str(number % 31)) for number in range(4_000)]
    sample, drawn = draw(strata, 40)
    assert sample.by == ("verdict", "feature", "version")
    assert len(drawn) == 40
    assert round(sum(1 / answer.probability for answer in drawn)) == 4_000


def test_each_answer_of_a_stratum_is_drawn_equally_often():
    times = Counter()
    for seed in range(400):
        _, drawn = draw([stratum()] * 40, 10, seed=str(seed))
        times.update(int(answer.response_id) for answer in drawn)
    squares = sum((times[number] - 100) ** 2 / 75 for number in range(40))
    assert squares < 72, "chi-squared with 39 degrees of freedom: 72 is exceeded once in a thousand"


def test_the_order_of_the_events_does_not_matter_and_a_repeated_event_counts_once():
    numbers = list(range(300))
    first = StratifiedSample(50)
    second = StratifiedSample(50)
    for number in numbers:
        first.offer(str(number), stratum(), lambda number=number: answer(number))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        second.offer(str(number), stratum(), lambda number=number: answer(number))
    assert first.draw() == second.draw()
    again = StratifiedSample(50)
    for _ in range(3):
        again.offer("one", stratum(), lambda: answer(1))
    assert [drawn.draw_probability for drawn in again.draw()] == [1.0]


@given(
    st.integers(1, 300),
    st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=30),
)
def test_an_allocation_uses_the_whole_sample_and_no_stratum_gives_more_than_it_has(size, strata):
    sizes, failed = [n for n, _ in strata], [flag for _, flag in strata]
    counts = allocate(size, sizes, failed)
    assert sum(counts) == min(size, sum(sizes))
    assert all(0 <= count <= n for count, n in zip(counts, sizes, strict=True))
