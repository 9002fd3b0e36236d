"""Whether two arms got the same questions."""

import numpy as np
import pytest

from monitor.compare.arm import Arm, CellKey
from monitor.compare.comparison import compare_arms
from monitor.compare.inputs import input_differences
from monitor.stats.exponential_buckets import bucket_codes
from monitor.windows.pane import Pane


def arm(name, tokens, languages=None, n=None):
    pane = Pane(0)
    pane.rate("error_rate").add(1_000_000, n or len(tokens), 0)
    values = np.round(tokens).astype(np.int64)
    codes, counts = np.unique(bucket_codes(values), return_counts=True)
    buckets = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    pane.number("input_tokens").add(1_000_000, len(values), int(values.sum()), buckets)
    if languages:
        pane.category("input_language").add(1_000_000, languages)
    return Arm(name, {CellKey(0): pane}, events=n or len(tokens))


def questions(rng, n=4000, factor=1.0):
    return np.maximum(1, rng.lognormal(4, 0.7, n) * factor)


def differences(a, b, *, prompt_changes=False, split=None):
    return input_differences(compare_arms(a, b), prompt_changes=prompt_changes, split=split)


@pytest.mark.parametrize("prompt_changes", [False, True])
def test_the_same_questions_are_no_difference(prompt_changes):
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = arm("a", questions(rng)), arm("b", questions(rng, 400))
        assert not differences(a, b, prompt_changes=prompt_changes)


def test_longer_questions_are_refused():
    rng = np.random.default_rng(2)
    (difference,) = differences(arm("a", questions(rng)), arm("b", questions(rng, factor=1.3)))
    assert difference.metric == "input_tokens"


@pytest.mark.parametrize("more", [-0, 40, 300, 3000])
def test_a_longer_prompt_is_no_difference_of_the_questions(more):
    rng = np.random.default_rng(3)
    a, b = arm("a", questions(rng) + 200), arm("b", questions(rng) + 200 + more)
    assert not differences(a, b, prompt_changes=True)


def test_longer_questions_are_refused_beside_a_longer_prompt():
    rng = np.random.default_rng(4)
    a, b = arm("a", questions(rng) + 200), arm("b", questions(rng, factor=2) + 300)
    assert [difference.metric for difference in differences(a, b, prompt_changes=True)] == ["input_tokens"]


def test_another_mix_of_languages_is_refused():
    rng = np.random.default_rng(5)
    a = arm("a", questions(rng), {"en": 900, "de": 100})
    assert not differences(a, arm("b", questions(rng), {"en": 90, "de": 12}))
    (difference,) = differences(a, arm("b", questions(rng), {"en": 500, "de": 500}))
    assert difference.metric == "input_language"
    assert "10 % of the calls of a, in 50 % of b" in difference.text


def test_a_split_that_is_not_the_intended_one_is_refused():
    rng = np.random.default_rng(6)
    a, b = arm("a", questions(rng), n=9000), arm("b", questions(rng), n=1000)
    assert not differences(a, b, split=0.1)
    assert [difference.metric for difference in differences(a, b, split=0.2)] == ["split"]
