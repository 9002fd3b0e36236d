"""The kernel test on sketches: nominal false-alarm rate on recorded and on repetitive answers, and power."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from monitor.drift import TEXT_TESTS
from monitor.drift.mmd import SURE_ALPHA, mmd, weighted_chi_square_p_value
from monitor.stats.text_sketch import TextSketch, text_features
from tests.llmdrift import JUNE, MARCH, rows_of

TEXT = (
    "the parcel ships on monday and you can follow its way with a number that we sent by mail please check"
    " the address first"
)


def answers(name: str, model: str) -> np.ndarray:
    """Return the vectors of the answers of a data set and model."""
    return text_features([row["answer"] for row in rows_of(name, model)])


def sketch_of(vectors: np.ndarray) -> TextSketch:
    sketch = TextSketch()
    sketch.update(vectors)
    return sketch


def p_values(draw: Callable[[int], np.ndarray], n: int, m: int, runs: int) -> np.ndarray:
    """Return the p-values of random splits of the texts that ``draw`` returns."""
    drawn_p_values = []
    for _ in range(runs):
        drawn = draw(n + m)
        drawn_p_values.append(mmd(sketch_of(drawn[:n]), sketch_of(drawn[n:])).p_value)
    return np.array(drawn_p_values)


@pytest.mark.llmdrift
@pytest.mark.parametrize("model", [MARCH, JUNE])
@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_random_splits_of_the_answers_of_a_model_have_the_nominal_false_alarm_rate(name, model):
    """The answers of June to PRIME_FULL are three texts, one of which occurs 934 times in 1,000."""
    vectors, rng = answers(name, model), np.random.default_rng(21)
    drawn_p_values = p_values(lambda count: vectors[rng.permutation(len(vectors))[:count]], 400, 60, 1000)
    assert (drawn_p_values < 0.05).mean() < 0.075
    assert (drawn_p_values < 0.001).sum() <= 5  # one expected; six come one time in 1,700
    if len(np.unique(vectors, axis=0)) > 100:
        assert (drawn_p_values < 0.05).mean() > 0.03


REPEATED = {
    "all different": lambda rng, n: rng.integers(0, 2000, n),
    "by Zipf's law": lambda rng, n: np.minimum(rng.zipf(1.5, n), 2000) - 1,
    "nearly always the same": lambda rng, n: np.where(rng.random(n) < 0.98, 0, rng.integers(1, 5, n)),
    "yes or no": lambda rng, n: rng.integers(0, 2, n),
}


@pytest.fixture(scope="module")
def generated() -> np.ndarray:
    rng, words = np.random.default_rng(22), TEXT.split()
    return text_features([" ".join(rng.choice(words, rng.integers(3, 60))) for _ in range(2000)])


@pytest.mark.parametrize("kind", REPEATED)
def test_generated_repetitive_answers_alarm_at_most_at_the_nominal_rate(generated, kind):
    rng = np.random.default_rng(23)
    drawn_p_values = p_values(lambda count: generated[REPEATED[kind](rng, count)], 300, 60, 1000)
    assert (drawn_p_values < 0.05).mean() < 0.075
    assert (drawn_p_values < 0.001).sum() <= 5


@pytest.mark.llmdrift
@pytest.mark.parametrize(("name", "effect"), [("OPINIONQA", 0.4), ("PRIME_FULL", 0.7)])
def test_june_is_detected_against_march_from_60_answers_with_a_large_effect(name, effect):
    march, june, rng = answers(name, MARCH), answers(name, JUNE), np.random.default_rng(24)
    for _ in range(20):
        comparison = mmd(
            sketch_of(march[rng.permutation(len(march))[:500]]),
            sketch_of(june[rng.permutation(len(june))[:60]]),
        )
        assert comparison.p_value < 1e-12
        assert comparison.effect > effect
        assert (comparison.n, comparison.m) == (500, 60)


@pytest.mark.llmdrift
def test_the_effect_grows_with_the_share_of_changed_answers():
    # the rows have an order of their own
    march, june = (
        np.random.default_rng(26).permutation(answers("PRIME_FULL", model)) for model in (MARCH, JUNE)
    )
    mixed = [np.concatenate([march[500 : 1000 - changed], june[:changed]]) for changed in (0, 50, 100, 250)]
    effects = [mmd(sketch_of(march[:500]), sketch_of(sketch)).effect for sketch in mixed]
    assert effects == sorted(effects)
    assert effects[1] == pytest.approx(effects[3] / 5, abs=0.05)


@pytest.mark.parametrize("name", TEXT_TESTS)
def test_an_empty_side_is_refused_and_equal_sides_show_no_drift(name, generated):
    sketch = sketch_of(generated[:100])
    with pytest.raises(ValueError, match="nothing to compare"):
        TEXT_TESTS[name](sketch, TextSketch())
    same = TEXT_TESTS[name](sketch, sketch)
    assert (same.effect, same.p_value > 0.5) == (0.0, True)


@pytest.mark.parametrize("name", TEXT_TESTS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (2, 2), (3, 50), (10_000, 2)])
def test_any_number_of_texts_gives_finite_results(name, n, m, generated):
    for first, second in ((0, 0), (0, 1)):
        reference, current = (
            sketch_of(np.repeat(generated[[first]], n, axis=0)),
            sketch_of(np.repeat(generated[[second]], m, axis=0)),
        )
        comparison = TEXT_TESTS[name](reference, current)
        assert np.isfinite(comparison).all()
        assert 0 <= comparison.p_value <= 1
        assert 0 <= comparison.effect <= 1
    if min(n, m) > 2:
        assert comparison.effect > 0.5


def test_the_weighted_chi_square_tail_equals_scipy_for_equal_weights_and_simulation_for_others():
    for freedom in (1, 2, 10, 30):
        for p in (0.9, 0.5, 0.1, 1e-3, 1e-6, 1e-12):
            assert weighted_chi_square_p_value(
                float(stats.chi2.isf(p, freedom)), np.ones(freedom)
            ) == pytest.approx(p, rel=0.13)
    weights = np.array([1, 0.6, 0.3, 0.1, 0.05, 0.0])
    drawn = np.random.default_rng(25).standard_normal((400_000, len(weights))) ** 2 @ weights
    for x in (0.5, 2.0, 2.1, 5.0, 10.0):
        assert weighted_chi_square_p_value(x, weights) == pytest.approx((drawn > x).mean(), rel=0.05)
    assert weighted_chi_square_p_value(0.0, weights) == 1.0


def test_a_p_value_within_two_standard_deviations_surely_exceeds_one_in_a_thousand():
    rng = np.random.default_rng(4)
    for size in (1, 2, 5, 32):
        for power in (0, 1, 4, 12):
            weights = rng.random(size) ** power
            for deviations in (0, 0.5, 1, 2):
                x = weights.sum() + deviations * np.sqrt(2 * weights @ weights)
                assert weighted_chi_square_p_value(x, weights) > 5 * SURE_ALPHA


def test_a_p_value_that_is_not_sure_is_the_same_with_a_limit():
    sketches = [TextSketch(), TextSketch()]
    sketches[0].update(text_features([f"It ships on day {n}." for n in range(200)]))
    sketches[1].update(text_features([f"I cannot help with request {n}, sorry." for n in range(60)]))
    assert mmd(*sketches, alpha=1e-6) == mmd(*sketches)
    assert mmd(*sketches).p_value < 1e-6
