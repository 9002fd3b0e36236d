"""Laws of rates whose events have different weights."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, NO_UNITS, Units, WeightMemory, to_ppm
from monitor.stats.share_intervals import clopper_pearson_interval, wilson_interval
from tests.tiers import examples

BUDGET_Z = 4.8

Classes = dict[int, list[int]]

classes = st.dictionaries(
    st.sampled_from([MILLION, 500_000, 100_000, 10_000, 1000, 100]),
    st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)).map(list)),
    max_size=5,
)


def rate_of(*parts: tuple[float, int, int]) -> Rate:
    """Build a rate from (probability, events, failures)."""
    rate = Rate()
    for probability, n, failures in parts:
        rate.add(to_ppm(probability), n, failures)
    return rate


def low_of(rate: Rate, known: Units = NO_UNITS, z: float = BUDGET_Z) -> float:
    low = rate.estimate(z, interval=clopper_pearson_interval, known=known).low
    assert low is not None
    return low


@given(
    st.sampled_from([1.0, 0.5, 0.123, 0.001]),
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.sampled_from([wilson_interval, clopper_pearson_interval]),
    st.booleans(),
    st.booleans(),
)
def test_with_equal_weights_the_estimate_equals_the_unweighted_estimate_bit_for_bit(
    probability, counts, interval, inverted, is_known
):
    n, failures = counts
    ppm = to_ppm(probability)
    weight = MILLION / ppm
    failed, total = failures * MILLION / ppm, n * MILLION / ppm
    value = min(1.0, failed / total)
    if 0 < failed < total:
        squares = (failures * (1 - value) ** 2 + (n - failures) * value**2) * weight**2
        effective = value * (1 - value) * total**2 / squares
    else:
        effective = total**2 / (n * weight**2)
    value = 1 - value if inverted else value
    expected = Estimate(value, effective, *interval(value, effective, BUDGET_Z))
    known = Units(weight, weight if failures else 0.0) if is_known else NO_UNITS
    rate = rate_of((probability, n, failures))
    assert rate.estimate(BUDGET_Z, interval=interval, inverted=inverted, known=known) == expected
    assert rate.share_without_heaviest() == min(1.0, failed / total)


@given(classes, st.sampled_from([0.0, 1.0, 100.0, 10_000.0]), st.sampled_from([0.0, 1.0, 100.0]))
def test_an_interval_contains_its_value_and_a_known_heavier_class_never_narrows_it(counts, heaviest, failed):
    rate = Rate()
    for ppm, (n, failures) in counts.items():
        rate.add(ppm, n, failures)
    known = Units(max(heaviest, failed), failed)
    for interval in (wilson_interval, clopper_pearson_interval):
        estimate = rate.estimate(BUDGET_Z, interval=interval, known=known)
        if not rate.events:
            assert estimate == NO_ESTIMATE
            continue
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.n > 0
    if rate.events:
        plain = rate.units(known)
        heavier = low_of(rate, Units(plain.any * 10, plain.failed))
        assert heavier <= low_of(rate, plain) * (1 + 1e-9)


@given(classes, st.booleans())
def test_the_share_of_successes_mirrors_the_share_of_failures(counts, is_exact):
    rate = Rate()
    for ppm, (n, failures) in counts.items():
        rate.add(ppm, n, failures)
    if len(rate.classes) < 2 or not rate.events:
        return
    interval = clopper_pearson_interval if is_exact else wilson_interval
    plain, inverted = (rate.estimate(1.96, interval=interval, inverted=value) for value in (False, True))
    assert inverted == Estimate(1 - plain.value, plain.n, 1 - plain.high, 1 - plain.low)


def test_two_kept_errors_and_no_sampled_success_are_not_an_outage():
    rate, known = rate_of((1.0, 2, 2)), Units(100.0, 1.0)
    estimate = rate.estimate(1.96, known=known)
    assert estimate.n == pytest.approx(0.02)
    assert low_of(rate, known) < 0.001
    assert low_of(rate_of((1.0, 50, 50)), known) < 0.03  # the rate may be 3 %, of which half an event was due
    assert low_of(rate_of((1.0, 200, 200), (0.01, 0, 0)), known) > 0.08  # four successes were due at 50 %


def test_a_failing_event_of_weight_1000_beside_ten_events_of_weight_1_is_insufficient():
    rate = rate_of((0.001, 1, 1), (1.0, 10, 0))
    estimate = rate.estimate(BUDGET_Z, interval=clopper_pearson_interval)
    assert estimate.n == pytest.approx(1.0, abs=0.02)
    assert low_of(rate) < 0.001


def test_no_single_event_of_a_large_weight_clears_a_page():
    rate = rate_of((1.0, 50, 50), (0.0001, 1, 0))
    assert rate.estimate(1.96).value == pytest.approx(0.005, abs=1e-3)
    assert rate.share_without_heaviest() == 1.0
    rate.add(to_ppm(0.0001), 2, 0)
    assert rate.share_without_heaviest() == pytest.approx(50 / 20_050)


@pytest.mark.parametrize("z", [2.33, 4.8])
@pytest.mark.parametrize(
    ("calls", "theta", "p_failed", "p_passed"),
    [(200, 0.05, 1.0, 0.1), (1000, 0.02, 1.0, 0.01), (1000, 0.05, 1.0, 0.001), (3000, 0.01, 0.01, 0.01)],
)
def test_a_rate_at_the_threshold_breaches_at_most_as_often_as_promised(z, calls, theta, p_failed, p_passed):
    """Sum the probabilities of all counts of which the lower bound lies above the true rate."""
    known = Units(1 / min(p_failed, p_passed), 1 / p_failed)
    side = math.erfc(z / math.sqrt(2)) / 2
    failed = poisson(calls * theta * p_failed)
    passed = poisson(calls * (1 - theta) * p_passed)
    total = 0.0
    for n_failed in range(1, int(failed.isf(1e-9)) + 2):
        for n_passed in range(int(passed.isf(1e-12)) + 1):
            rate = rate_of((p_passed, n_passed, 0))
            rate.add(to_ppm(p_failed), n_failed, n_failed)
            if low_of(rate, known, z) <= theta:
                break  # more that passed only lower the bound
            total += failed.pmf(n_failed) * passed.pmf(n_passed)
    assert total <= side


def test_a_fleet_beside_a_canary_at_the_threshold_breaches_at_most_as_often_as_promised():
    """Four classes at small counts: of a fleet at 0.01 and a canary at 1, both failing at 10 %."""
    theta, z, tail = 0.1, 1.96, 1e-4
    means = (0.3, 2.7, 0.5, 4.5)  # heavy failed, heavy passed, light failed, light passed
    tables = [list(enumerate(poisson(mean).pmf(range(int(poisson(mean).isf(tail)) + 1)))) for mean in means]
    total = len(means) * tail
    for (heavy_failed, p1), (heavy_passed, p2), (light_failed, p3) in itertools.product(*tables[:3]):
        for light_passed, p4 in tables[3]:
            rate = rate_of((0.01, heavy_failed + heavy_passed, heavy_failed))
            rate.add(MILLION, light_failed + light_passed, light_failed)
            if not rate.events or low_of(rate, Units(100.0, 100.0), z) <= theta:
                break  # more that passed only lower the bound
            total += p1 * p2 * p3 * p4
    assert total <= math.erfc(z / math.sqrt(2)) / 2


observations = st.lists(classes, max_size=12)


def memory_of(blocks: list[Classes]) -> WeightMemory:
    memory = WeightMemory()
    for block in blocks:
        memory.observe(block)
    return memory


@settings(max_examples=examples(1 / 4))
@given(observations)
def test_a_class_memory_is_identical_after_a_restart_at_any_block(blocks):
    for position in range(len(blocks) + 1):
        restored = WeightMemory.from_state(memory_of(blocks[:position]).state())
        for block in blocks[position:]:
            restored.observe(dict(sorted(block.items(), reverse=True)))
        assert restored.state() == memory_of(blocks).state()


@settings(max_examples=examples(1 / 4))
@given(st.lists(observations, max_size=4), st.randoms(use_true_random=False))
def test_class_memories_merge_in_any_order(several, rng: random.Random):
    orders = [several[:], several[:]]
    rng.shuffle(orders[1])
    merged = [WeightMemory(), WeightMemory()]
    for memory, order in zip(merged, orders, strict=True):
        for blocks in order:
            memory.merge(memory_of(blocks))
    assert merged[0].state() == merged[1].state()
    assert merged[0].units.any == max([0.0, *(memory_of(blocks).units.any for blocks in several)])


@given(classes)
def test_the_classes_of_a_block_are_remembered_and_a_second_update_changes_nothing(block):
    memory = WeightMemory()
    assert memory.observe(block) == bool(block)
    assert memory.units.any == max([0.0, *(MILLION / ppm for ppm in block)])
    assert memory.units.failed == max([0.0, *(MILLION / ppm for ppm, (_, f) in block.items() if f)])
    assert memory.has_passed == any(n > f for n, f in block.values())
    if len(block) == 1:
        assert not memory.observe(block)


def test_a_weight_is_forgotten_after_a_hundred_times_its_number_of_calls():
    memory = WeightMemory()
    memory.observe({100: [1, 1], MILLION: [5, 0]})
    memory.observe({MILLION: [999_999, 0]})
    assert memory.units == Units(10_000.0, 10_000.0)
    memory.observe({MILLION: [1, 0]})
    assert memory.units == Units(1.0, 10_000.0)  # of failures nothing was counted since
