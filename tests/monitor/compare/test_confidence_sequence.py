"""Confidence sequences keep their coverage at every look; intervals of a fixed sample size do not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import beta, betabinom, norm

from monitor.compare.confidence_sequence import (
    INDEPENDENT_WEIGHT,
    LADDER,
    PRIOR,
    Bounds,
    Counts,
    compare_rates,
    log_e_value,
    rate_bounds,
)
from monitor.compare.confidence_sequence_means import MIN_EVENTS, Moments, compare_means
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.share_intervals import clopper_pearson_interval
from tests.tiers import examples

STREAMS, EVENTS = 400, 5000
FAULT = 1e-9  # of arithmetic


def most_missed(alpha: float, streams: int) -> float:
    """The share of streams that may miss: alpha plus three standard errors."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / streams)


def width(bounds: Bounds) -> float:
    return bounds.high - bounds.low


@st.composite
def counts(draw: st.DrawFn, least: int = 1, most: int = 100_000) -> Counts:
    n = draw(st.one_of(st.integers(least, most), st.floats(least, most)))
    return Counts(
        n,
        n * draw(st.sampled_from([0.0, 1e-6, 1.0]))
        if draw(st.booleans())
        else draw(st.one_of(st.floats(n / 1000, n), st.integers(0, int(n)))),
    )


alphas = st.floats(1e-9, 0.5)


@pytest.mark.parametrize("p", [0.003, 0.03, 0.3])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_at_most_alpha_of_all_streams_ever_exclude_the_true_rate(p: float, alpha: float) -> None:
    rng = np.random.default_rng(round(1000 * p))
    n = np.arange(1, EVENTS + 1)[:, None]
    failures = np.cumsum(rng.random((EVENTS, STREAMS)) < p, axis=0)
    missed = (log_e_value(n, failures, p) >= math.log(1 / alpha)).any(axis=0).mean()
    assert 0 < missed <= most_missed(alpha, STREAMS)


def test_repeated_clopper_pearson_intervals_exceed_alpha() -> None:
    rng = np.random.default_rng(30)
    n = np.arange(1, EVENTS + 1, 5)[:, None]
    failures = np.cumsum(rng.random((EVENTS, STREAMS)) < 0.03, axis=0)[::5]
    with np.errstate(invalid="ignore"):
        low = np.where(failures > 0, beta.ppf(0.025, failures, n - failures + 1), 0.0)
    high = np.where(failures < n, beta.ppf(0.975, failures + 1, n - failures), 1.0)
    assert [low[199, 0], high[199, 0]] == pytest.approx(
        clopper_pearson_interval(failures[199, 0] / n[199, 0], float(n[199, 0]), float(norm.isf(0.025)))
    )
    assert ((low > 0.03) | (high < 0.03)).any(axis=0).mean() > 3 * most_missed(0.05, STREAMS)


@pytest.mark.parametrize(
    ("new", "old", "grows"), [(0.03, 0.03, True), (0.03, 0.03, False), (0.08, 0.03, True), (0.5, 0.9, True)]
)
def test_at_most_alpha_of_all_pairs_ever_exclude_the_true_difference(
    new: float, old: float, grows: bool
) -> None:
    alpha, pairs, looks = 0.2, 100, np.unique(np.geomspace(1, 3000, 25).astype(int))
    rng = np.random.default_rng(5)
    failures = np.cumsum(rng.random((3000, pairs)) < new, axis=0)
    before = np.cumsum(rng.random((3000, pairs)) < old, axis=0)
    missed = 0
    for stream in range(pairs):
        for look in looks.tolist():
            m = look if grows else 3000
            bounds = compare_rates(
                Counts(look, int(failures[look - 1, stream])), Counts(m, int(before[m - 1, stream])), alpha
            )
            if not bounds.low <= new - old <= bounds.high:
                missed += 1
                break
    assert missed / pairs <= most_missed(alpha, pairs)


def test_at_most_alpha_of_all_equal_pairs_ever_show_a_difference() -> None:
    rng = np.random.default_rng(9)
    n, alpha = np.arange(1, EVENTS + 1), 0.3
    misses = []
    for _ in range(STREAMS):
        new, old = np.cumsum(rng.random((2, EVENTS)) < 0.1, axis=1)
        likeliest = np.where(
            new + old > 0,
            log_e_value(2 * n, new + old, np.clip((new + old) / (2 * n), 1e-12, 1 - 1e-12)),
            0.0,
        )
        apart = (
            log_e_value(n, new, 0.5)
            + log_e_value(n, old, 0.5)
            - log_e_value(2 * n, new + old, 0.5)
            + likeliest
        )
        # the part of the mixture without the ladder
        misses.append((math.log(INDEPENDENT_WEIGHT) + apart >= math.log(1 / alpha)).any())
        peak = int(np.argmax(apart))
        bounds = compare_rates(Counts(peak + 1, int(new[peak])), Counts(peak + 1, int(old[peak])), alpha)
        misses[-1] |= bounds.low > 0 or bounds.high < 0
    assert np.mean(misses) <= most_missed(alpha, STREAMS)


@given(counts(), st.floats(1e-6, 1 - 1e-6))
def test_the_mixture_equals_scipys_beta_binomial(counts: Counts, p: float) -> None:
    n, failures = round(counts.n), min(round(counts.n), round(counts.failures))
    sequences = math.lgamma(n + 1) - math.lgamma(failures + 1) - math.lgamma(n - failures + 1)
    mixture = float(betabinom.logpmf(failures, n, PRIOR, PRIOR)) - sequences
    likelihood = failures * math.log(p) + (n - failures) * math.log1p(-p)
    assert float(log_e_value(n, failures, p)) == pytest.approx(mixture - likelihood, rel=1e-8, abs=1e-6)


@given(counts(), alphas)
def test_the_bounds_of_a_rate_are_where_the_evidence_against_it_is_one_over_alpha(
    counts: Counts, alpha: float
) -> None:
    for end in rate_bounds(counts, alpha)[1:]:
        if 1e-300 < end < 1 - 1e-9:
            assert float(log_e_value(*counts, end)) == pytest.approx(math.log(1 / alpha), rel=1e-5, abs=1e-5)


@given(counts(), st.floats(1e-9, 0.3))
def test_the_bounds_contain_clopper_pearson_of_the_same_alpha(counts: Counts, alpha: float) -> None:
    value, low, high = rate_bounds(counts, alpha)
    fixed = clopper_pearson_interval(value, counts.n, float(norm.isf(alpha / 2)))
    assert 0 <= low <= fixed[0] + FAULT
    assert fixed[1] - FAULT <= high <= 1


@given(counts(), counts(), alphas)
def test_a_value_is_within_its_bounds_and_the_bounds_within_the_possible_range(
    new: Counts, old: Counts, alpha: float
) -> None:
    single, both = rate_bounds(new, alpha), compare_rates(new, old, alpha)
    assert 0 <= single.low <= single.value <= single.high <= 1
    assert -1 <= both.low <= both.value <= both.high <= 1


@given(counts(), counts(), alphas)
def test_swapping_successes_and_failures_mirrors_the_bounds(new: Counts, old: Counts, alpha: float) -> None:
    swapped = [Counts(counts.n, counts.n - counts.failures) for counts in (new, old)]
    bounds, swapped_bounds = rate_bounds(new, alpha), rate_bounds(swapped[0], alpha)
    assert [1 - swapped_bounds.high, 1 - swapped_bounds.low] == pytest.approx(
        [bounds.low, bounds.high], abs=1e-7
    )
    both, turned = compare_rates(new, old, alpha), compare_rates(*swapped, alpha)
    assert [-turned.high, -turned.low] == pytest.approx([both.low, both.high], abs=1e-7)


@given(counts(), counts(), alphas)
def test_swapping_old_and_new_mirrors_the_difference(new: Counts, old: Counts, alpha: float) -> None:
    value, low, high = compare_rates(new, old, alpha)
    assert compare_rates(old, new, alpha) == pytest.approx((-value, -high, -low), abs=1e-7)


@given(counts(), counts(), st.tuples(alphas, alphas))
def test_higher_confidence_widens_the_bounds(new: Counts, old: Counts, two: tuple[float, float]) -> None:
    surer, less_sure = sorted(two)
    for wide, narrow in (
        (rate_bounds(new, surer), rate_bounds(new, less_sure)),
        (compare_rates(new, old, surer), compare_rates(new, old, less_sure)),
    ):
        assert wide.low <= narrow.low + FAULT
        assert narrow.high <= wide.high + FAULT


@given(counts(most=10_000), counts(most=10_000), alphas)
def test_doubling_the_events_at_equal_rates_narrows_the_bounds(
    new: Counts, old: Counts, alpha: float
) -> None:
    more = [Counts(2 * counts.n, 2 * counts.failures) for counts in (new, old)]
    assert width(rate_bounds(more[0], alpha)) <= width(rate_bounds(new, alpha)) + FAULT
    assert width(compare_rates(*more, alpha)) <= width(compare_rates(new, old, alpha)) + FAULT


@settings(max_examples=examples(1 / 2))
@given(counts(2, 2000), counts(2, 2000), st.floats(1e-6, 0.3))
def test_a_difference_is_excluded_iff_the_mixture_beats_every_pair_of_rates_with_it(
    new: Counts, old: Counts, alpha: float
) -> None:
    def log_mixture() -> float:
        both = [
            (INDEPENDENT_WEIGHT, PRIOR, PRIOR),
            *(((1 - INDEPENDENT_WEIGHT) / len(LADDER), a, b) for a, b in LADDER),
        ]
        logs = []
        for weight, a, b in both:
            log = math.log(weight)
            for n, f in (new, old):
                log += (
                    math.lgamma(f + a)
                    + math.lgamma(n - f + b)
                    - math.lgamma(n + a + b)
                    - math.lgamma(a)
                    - math.lgamma(b)
                    + math.lgamma(a + b)
                )
            logs.append(log)
        return float(np.logaddexp.reduce(logs))

    def log_likelihood(n: float, f: float, p: float) -> float:
        return (f * math.log(p) if f else 0.0) + ((n - f) * math.log1p(-p) if n > f else 0.0)

    def against(difference: float) -> float:
        least, most = max(0.0, -difference), min(1.0, 1.0 - difference)
        minimum = minimize_scalar(
            lambda p: (
                -log_likelihood(*new, min(1 - 1e-15, max(1e-300, p + difference))) - log_likelihood(*old, p)
            ),
            bounds=(least, most),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return log_mixture() + float(minimum.fun)

    _, low, high = compare_rates(new, old, alpha)
    for end in (low, high):
        if abs(end) < 0.999:
            assert against(end) == pytest.approx(math.log(1 / alpha), abs=0.01)


def test_only_the_counts_matter_and_not_their_order() -> None:
    rate, reordered = Rate(), Rate()
    for part in ((10, 1), (500, 20), (490, 9)):
        rate.add(1_000_000, *part)
    for part in ((490, 9), (510, 21)):
        reordered.add(1_000_000, *part)
    assert rate_bounds(Counts.from_rate(rate), 0.01) == rate_bounds(
        Counts.from_rate(Rate.from_state(reordered.state())), 0.01
    )


@pytest.mark.parametrize(("kept_of_failures", "kept_of_others"), [(1.0, 0.05), (0.05, 1.0), (0.05, 0.05)])
def test_coverage_holds_when_sampling_depends_on_the_outcome(
    kept_of_failures: float, kept_of_others: float
) -> None:
    rng = np.random.default_rng(31)
    failed = rng.random((EVENTS, STREAMS)) < 0.1
    probability = np.where(failed, kept_of_failures, kept_of_others)
    weights = (rng.random(failed.shape) < probability) * 0.05 / probability
    missed = (
        (
            log_e_value(np.cumsum(weights, axis=0), np.cumsum(weights * failed, axis=0), 0.1)
            >= math.log(1 / 0.2)
        )
        .any(axis=0)
        .mean()
    )
    assert missed <= most_missed(0.2, STREAMS)


def test_a_sampled_event_counts_for_several_events_and_an_event_of_the_rarest_class_for_one() -> None:
    rate = Rate()
    rate.add(1_000_000, 20, 20)
    rate.add(10_000, 20, 0)
    n, failures = Counts.from_rate(rate, least=0.01)
    assert (n, failures) == pytest.approx((20.2, 0.2))
    assert failures / n == pytest.approx(rate.estimate(1.0).value)
    assert Counts.from_rate(rate, least=1.0) == Counts.from_rate(rate, least=0.01)
    assert Counts.from_rate(rate, least=0.001) == pytest.approx((2.02, 0.02))
    assert Counts.from_rate(Rate()) == (0.0, 0.0)


@pytest.mark.parametrize("least", [0.0, -1.0, 1.5, math.nan])
def test_an_invalid_minimum_probability_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="least is"):
        Counts.from_rate(Rate(), least)


def test_a_drop_is_detected_and_later_its_absence_beyond_a_margin() -> None:
    old = Counts(20_000, 600)
    assert compare_rates(Counts(400, 40), old, 0.001).low > 0
    few, many = (compare_rates(Counts(n, 0.03 * n), old, 0.05) for n in (300, 10_000))
    assert few.high > 0.02 > many.high > 0 > many.low


@pytest.mark.parametrize(
    "bad",
    [
        Counts(0, 0),
        Counts(-1, 0),
        Counts(10, 11),
        Counts(10, -1),
        Counts(math.nan, 0),
        Counts(10, math.nan),
        Counts(math.inf, 1),
    ],
)
def test_invalid_counts_are_refused(bad: Counts) -> None:
    good = Counts(10, 1)
    with pytest.raises(ValueError, match="cannot be"):
        rate_bounds(bad, 0.05)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="cannot be"):
            compare_rates(*pair, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 5.0, math.nan])
def test_an_alpha_outside_zero_to_one_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rate_bounds(Counts(10, 1), alpha)
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_rates(Counts(10, 1), Counts(10, 1), alpha)
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_means(Moments(200, 1, 1), Moments(200, 1, 1), alpha)


moments = st.builds(Moments, st.floats(MIN_EVENTS, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e9))


@pytest.mark.parametrize("grows", [True, False])
def test_from_100_events_at_most_alpha_of_all_pairs_ever_exclude_the_difference_of_means(
    grows: bool,
) -> None:
    alpha, pairs, looks = 0.2, 200, np.unique(np.geomspace(MIN_EVENTS, 3000, 30).astype(int))
    rng = np.random.default_rng(6)
    values = rng.lognormal(0, 0.6, (2, pairs, 3000))
    values[0] += 1.0
    missed = naive = 0
    for new, old in zip(*values, strict=True):
        outside = []
        for look in looks.tolist():
            current, reference = new[:look], old[: look if grows else 3000]
            bounds = compare_means(
                Moments(look, current.mean(), current.var()),
                Moments(len(reference), reference.mean(), reference.var()),
                alpha,
            )
            spread = norm.isf(alpha / 2) * math.sqrt(current.var() / look + reference.var() / len(reference))
            outside.append((not bounds.low <= 1.0 <= bounds.high, abs(bounds.value - 1.0) > spread))
        missed += any(sequential for sequential, _ in outside)
        naive += any(fixed for _, fixed in outside)
    assert missed / pairs <= most_missed(alpha, pairs)
    assert naive / pairs > 1.5 * most_missed(alpha, pairs)


@given(moments, moments, alphas)
def test_means_have_the_properties_of_rates(new: Moments, old: Moments, alpha: float) -> None:
    value, low, high = compare_means(new, old, alpha)
    assert low <= value <= high
    assert compare_means(old, new, alpha) == pytest.approx((-value, -high, -low))
    surer, more = (
        compare_means(new, old, alpha / 2),
        compare_means(new._replace(n=2 * new.n), old._replace(n=2 * old.n), alpha),
    )
    assert width(surer) >= width(Bounds(value, low, high)) >= width(more)
    fixed = norm.isf(alpha / 2) * math.sqrt(new.variance / new.n + old.variance / old.n)
    assert width(Bounds(value, low, high)) >= 2 * fixed - 1e-6


@given(moments, moments, alphas, st.floats(0.001, 1000), st.floats(-1e5, 1e5))
def test_bounds_of_means_are_equivariant_under_scale_and_shift(
    new: Moments, old: Moments, alpha: float, unit: float, origin: float
) -> None:
    changed = [
        Moments(moments.n, moments.mean * unit + origin, moments.variance * unit**2) for moments in (new, old)
    ]
    assert compare_means(*changed, alpha) == pytest.approx(
        [unit * x for x in compare_means(new, old, alpha)], rel=1e-6, abs=1e-5
    )


def test_fewer_than_100_events_give_no_bounds_of_a_mean() -> None:
    many, few = Moments(1000, 5.0, 1.0), Moments(MIN_EVENTS - 1, 1.0, 1.0)
    for pair in ((many, few), (few, many)):
        bounds = compare_means(*pair, 0.05)
        assert (bounds.low, bounds.high) == (-math.inf, math.inf)


def test_moments_equal_those_of_the_number_summary() -> None:
    number = NumberSummary()
    number.add(1_000_000, 6, 60, {33: 3, 0: 3})
    assert Moments.from_number(number) == (number.effective_n, 10.0, number.variance())
    assert Moments.from_number(NumberSummary()) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "bad",
    [
        Moments(0, 0, 0),
        Moments(200, math.nan, 1),
        Moments(200, 1, -1),
        Moments(200, 1, math.inf),
        Moments(math.inf, 1, 1),
    ],
)
def test_invalid_moments_are_refused(bad: Moments) -> None:
    for pair in itertools.permutations((bad, Moments(200, 1, 1))):
        with pytest.raises(ValueError, match="cannot be"):
            compare_means(*pair, 0.05)
