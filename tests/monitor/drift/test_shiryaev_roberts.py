"""What the sequential detector promises: it finds what rose, says since when, keeps quiet, and is the same
after a snapshot.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from monitor.drift.block_correlation import CORRELATION, event_weight
from monitor.drift.lagging_reference import HORIZON_EVENTS, MIN_REFERENCE_EVENTS, LaggingReference
from monitor.drift.likelihood_ratios import ODDS, WEIGHTS, pooled_log_ratios
from monitor.drift.shiryaev_roberts import ShiryaevRoberts
from tests.tiers import examples

RUN_LENGTH = 1.7e8


def fed(
    detector: ShiryaevRoberts, rng: np.random.Generator, p: float, blocks: int, size: int = 60, begin: int = 0
) -> int | None:
    """The first edge at which it alarmed."""
    first = None
    for edge in range(begin, begin + blocks):
        reading = detector.step(size, rng.binomial(size, p), edge)
        if first is None and reading.statistic >= reading.bound:
            first = edge
    return first


def test_three_failing_events_an_hour_after_a_healthy_week_alarm_by_the_eighth():
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(504):
        detector.step(1, 0, edge)
    readings = [detector.step(1, 1, 504 + minute) for minute in range(8)]
    assert readings[2].statistic < RUN_LENGTH <= readings[-1].statistic


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("hour", [0, 11, 23])
def test_a_daily_failure_at_three_events_an_hour_never_alarms_with_or_without_history(before, hour):
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(504):
        detector.step(1, float(before and edge % 72 == 5), edge)
    highest = max(
        detector.step(1, float(minute % 72 == 3 * hour), minute).statistic for minute in range(30 * 72)
    )
    assert highest < RUN_LENGTH / 100


@pytest.mark.parametrize(
    ("before", "after"), [(0.03, 0.07), (0.03, 0.2), (0.001, 0.02), (0.3, 0.5), (0.0, 0.05)]
)
def test_an_increased_rate_is_detected_with_both_rates_and_the_time_of_the_change(before, after):
    rng = np.random.default_rng(1)
    detector = ShiryaevRoberts(RUN_LENGTH)
    assert fed(detector, rng, before, 300) is None
    rose = fed(detector, rng, after, 120, begin=300)
    assert rose is not None
    reading = detector.step(60, rng.binomial(60, after), 420)
    assert abs(reading.edge - 300) <= 10  # a failure of before may stand close to those of after
    assert reading.rate == pytest.approx(before, abs=0.3 * before + 0.002)
    assert reading.since == pytest.approx(after, rel=0.2)


@pytest.mark.parametrize(
    ("n", "total", "failures"), [(1, 2000, 2), (10, 2000, 20), (60, 5000, 50), (150, 2000, 600)]
)
def test_against_the_pooled_rate_a_block_gains_nothing_on_average_whatever_the_rate(n, total, failures):
    """Given the failures of all events, those of the newest block are hypergeometric: E LR is at most 1."""
    counts = np.arange(n + 1)
    chances = hypergeom(total, failures, n).pmf(counts)
    for bad, good in pooled_log_ratios(failures / total):
        assert chances @ np.exp(counts * bad + (n - counts) * good) <= 1 + 1e-9


def test_a_large_reference_that_is_too_low_by_chance_is_put_right_by_the_events_compared_with_it():
    rng, highest = np.random.default_rng(6), []
    for _ in range(20):
        detector = ShiryaevRoberts(RUN_LENGTH)
        detector.reference.n, detector.reference.failures = 5000.0, 30.0  # 0.6 %; the rate is 1 %
        readings = [detector.step(10, rng.binomial(10, 0.01), edge) for edge in range(400)]
        highest.append(max(reading.statistic for reading in readings))
    assert max(highest) < RUN_LENGTH / 100


@pytest.mark.parametrize("size", [1, 10])
def test_a_rise_from_one_to_three_percent_is_detected_against_a_large_reference(size):
    rng, events = np.random.default_rng(7), []
    for _ in range(15):
        detector = ShiryaevRoberts(1e5)
        detector.reference.n, detector.reference.failures = 5000.0, 50.0
        edge = fed(detector, rng, 0.03, 3000 // size, size)
        events.append(3000 if edge is None else (edge + 1) * size)
    assert np.median(events) < 1000
    assert max(events) < 3000


def test_a_decreased_rate_is_ignored():
    rng = np.random.default_rng(2)
    detector = ShiryaevRoberts(RUN_LENGTH)
    fed(detector, rng, 0.3, 100)
    assert fed(detector, rng, 0.05, 400, begin=100) is None


def test_the_run_length_between_false_alarms_is_at_least_the_promised_run_length():
    """100 streams of 300 blocks at a run length of 3,000 blocks: at most ten false alarms are expected."""
    rng, alarms = np.random.default_rng(3), 0
    for _ in range(100):
        detector = ShiryaevRoberts(3000)
        fed(detector, rng, 0.03, 9)
        for edge in range(300):
            reading = detector.step(60, rng.binomial(60, 0.03), edge)
            if reading.statistic >= reading.bound:
                alarms += 1
                detector.reset_evidence()
    assert alarms <= 10


@pytest.mark.parametrize("rho", [0.002, 0.005])
def test_rates_that_vary_between_blocks_and_by_a_twentieth_over_the_day_do_not_alarm(rho):
    rng = np.random.default_rng(4)
    for _ in range(3):
        detector = ShiryaevRoberts(1e5)
        for edge in range(1440):
            p = 0.03 * (1 + 0.05 * np.sin(2 * np.pi * edge / 1440))
            failures = rng.binomial(1000, rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1)))
            if edge < 30:
                detector.learn(1000, failures)
                continue
            reading = detector.step(1000, failures, edge)
            assert reading.statistic < reading.bound


@pytest.mark.parametrize(
    ("failures", "tolerance", "usual"),
    [
        (100, 1.0, 0.1 * 1.05),
        (640, 1.0, 1 - 0.36 / 1.05),
        (900, 1.0, 1 - 0.1 / 1.05),
        (640, 1.02, 1 - 0.36 / 1.05),  # as much as may vary in any case
        (640, 1.2, 0.64 * 1.2),
        (900, 1.2, 0.95),
    ],
)
def test_the_rarer_outcome_may_vary_by_a_twentieth_and_failures_by_what_a_cycle_shows(
    failures, tolerance, usual
):
    reference = LaggingReference()
    reference.learn(500_000, 500 * failures)
    reference.allow(tolerance, 1.0)
    assert reference.usual_rate == pytest.approx(usual, rel=1.5e-3)


@pytest.mark.parametrize("p", [0.64, 0.9])
def test_a_feature_that_fails_most_of_the_time_may_vary_by_a_twentieth_of_the_rest(p):
    rng = np.random.default_rng(8)
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(6 * 1440):
        rate = 1 - (1 - p) * (1 + 0.05 * np.sin(2 * np.pi * edge / 1440))
        assert detector.step(60, rng.binomial(60, rate), edge).statistic < RUN_LENGTH


@pytest.mark.parametrize(("size", "blocks"), [(12, 18), (60, 5)])
def test_refusals_that_rise_from_64_to_89_percent_are_found_after_an_hour(size, blocks):
    found = []
    for seed in range(30):
        rng, detector = np.random.default_rng(seed), ShiryaevRoberts(RUN_LENGTH)
        for edge in range(60):
            detector.step(size, rng.binomial(size, 0.64), edge, lag=5)
        found.append(next(
            count for count in range(1, 100)
            if detector.step(size, rng.binomial(size, 0.89), 60 + count, lag=5).statistic >= RUN_LENGTH
        ))  # fmt: skip
    assert sorted(found)[15] <= blocks


def test_the_correlation_within_blocks_is_learned_and_excludes_the_increase():
    rng = np.random.default_rng(5)
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(400):
        detector.step(300, rng.binomial(300, rng.beta(0.1 * 19, 0.9 * 19)), edge)
    assert detector.reference.rho == pytest.approx(0.05, rel=0.3)
    calm = ShiryaevRoberts(RUN_LENGTH)
    fed(calm, rng, 0.05, 400)
    fed(calm, rng, 0.3, 50, begin=400)
    assert CORRELATION[0] <= calm.reference.rho < 2 * CORRELATION[0]


def test_no_single_block_alarms_at_any_size():
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(30):
        detector.step(1000, 1, edge)
    assert (
        detector.step(100_000, 100_000, 30).statistic
        < RUN_LENGTH
        <= detector.step(100_000, 100_000, 31).statistic
    )


def test_below_100_events_there_is_no_statistic():
    detector = ShiryaevRoberts(10)
    readings = [detector.step(1, edge % 2, edge) for edge in range(int(MIN_REFERENCE_EVENTS))]
    assert {(reading.statistic, reading.rate) for reading in readings[:-1]} == {(0.0, None)}
    assert detector.step(1, 0, MIN_REFERENCE_EVENTS).rate == pytest.approx(0.5)


@pytest.mark.parametrize(("events", "lag"), [(400, 0), (4000, 0), (4000, 30)])
def test_the_reference_lags_in_events_and_in_time(events, lag):
    """It lags by one or two buckets: half of its events, 500 at most, and 30 edges of 25 or more."""
    detector, total = ShiryaevRoberts(RUN_LENGTH), 0.0
    while total < 2 * events:
        total += 30 * event_weight(30, detector.reference.rho)
        detector.step(30, 3, total / 25, lag=lag)
        bucket = max(min(detector.reference.n / 2, 500), 25 * lag)
        assert total < events or 0.6 * bucket <= total - detector.reference.n <= 2 * bucket + 60


def test_an_outage_that_begins_after_100_events_is_compared_with_the_events_before_it():
    detector = ShiryaevRoberts(RUN_LENGTH)
    for edge in range(130):
        detector.step(1, 0, edge)
    readings = [detector.step(1, 1, 130 + nth) for nth in range(40)]
    alarmed = [nth for nth, reading in enumerate(readings) if reading.statistic >= reading.bound]
    assert 3 <= alarmed[0] <= 9
    assert readings[-1].rate < 0.01


@pytest.mark.parametrize(("size", "p"), [(1, 0.1), (10, 0.03), (40, 0.02)])
def test_a_reference_of_100_events_does_not_alarm_without_a_change(size, p):
    for seed in range(20):
        detector, rng = ShiryaevRoberts(1e6), np.random.default_rng(seed)
        assert fed(detector, rng, p, 400, size=size) is None


def test_an_assumed_correlation_reduces_the_weight_of_a_block_and_not_the_size_of_the_reference():
    plain, careful = ShiryaevRoberts(RUN_LENGTH), ShiryaevRoberts(RUN_LENGTH)
    for edge in range(10):
        plain.step(100, 2, edge)
        careful.step(100, 2, edge, least_correlation=0.02)
    assert careful.reference.n == plain.reference.n
    assert careful.step(100, 10, 10, least_correlation=0.02).statistic < plain.step(100, 10, 10).statistic


def test_a_step_change_does_not_enter_the_reference_while_it_is_undecided():
    rng = np.random.default_rng(6)
    detector = ShiryaevRoberts(RUN_LENGTH)
    fed(detector, rng, 0.03, 200)
    fed(detector, rng, 0.10, 300, begin=200)
    assert detector.reference.failures / detector.reference.n < 0.04


def test_the_reference_contains_nothing_of_the_incident_while_frozen_and_afterwards():
    rng = np.random.default_rng(7)
    detector = ShiryaevRoberts(RUN_LENGTH)
    fed(detector, rng, 0.03, 50)
    before = detector.reference.n, detector.reference.failures, detector.reference.rho
    for edge in range(50, 80):
        reading = detector.step(60, 60, edge, frozen=True)
    assert reading.statistic >= reading.bound
    assert (detector.reference.n, detector.reference.failures, detector.reference.rho) == before
    detector.reset_evidence()
    assert detector.step(0, 0).statistic == 0
    assert fed(detector, rng, 0.03, 50, begin=80) is None


def test_recovery_is_detected_within_a_few_blocks_after_the_outage():
    rng = np.random.default_rng(8)
    detector = ShiryaevRoberts(RUN_LENGTH)
    fed(detector, rng, 0.01, 100)
    fed(detector, rng, 0.9, 60, begin=100)
    readings = [detector.step(60, 0, 160 + minute) for minute in range(40)]
    assert readings[-1].statistic < RUN_LENGTH


def test_beyond_its_horizon_the_reference_is_halved_and_keeps_its_rate():
    detector = ShiryaevRoberts(RUN_LENGTH)
    while detector.reference.n < HORIZON_EVENTS * 0.45:
        detector.learn(1e7, 3e5)
    for _ in range(6000):
        detector.learn(1e7, 3e5)
    assert HORIZON_EVENTS / 2 <= detector.reference.n <= HORIZON_EVENTS
    assert detector.reference.failures / detector.reference.n == pytest.approx(0.03, rel=1e-3)


blocks = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1)), min_size=1, max_size=60)


@settings(max_examples=examples(1 / 2))
@given(blocks, st.integers(0, 60))
def test_a_restored_snapshot_is_identical_and_every_number_stays_finite(given_blocks, cut):
    through, stopped = ShiryaevRoberts(RUN_LENGTH), ShiryaevRoberts(RUN_LENGTH)
    for edge, (n, share) in enumerate(given_blocks):
        if edge == cut:
            stopped = ShiryaevRoberts.from_state(json.loads(json.dumps(stopped.state())), RUN_LENGTH)
        reading = through.step(n, n * share, edge)
        assert stopped.step(n, n * share, edge) == reading
        assert np.isfinite([reading.statistic, reading.edge, reading.events, *through.state()]).all()
        assert reading.since is None or 0 <= reading.since <= 1 + 1e-6
    assert stopped.state() == through.state()
    assert len(through.state()) == 17


def test_a_snapshot_is_short():
    rng = np.random.default_rng(9)
    detector = ShiryaevRoberts(RUN_LENGTH)
    fed(detector, rng, 0.03, 500)
    assert len(json.dumps(detector.state(), separators=(",", ":"))) < 170


def test_each_multiplier_has_a_weight_and_the_weights_sum_to_one():
    assert len(WEIGHTS) == len(ODDS)
    assert sum(WEIGHTS) == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "failures"), [(-1, 0), (1, 2), (1, -1), (float("nan"), 0), (float("inf"), 0), (1, float("nan"))]
)
def test_invalid_counts_are_refused_by_name(n, failures):
    for take in (ShiryaevRoberts(100).step, ShiryaevRoberts(100).learn):
        with pytest.raises(ValueError, match="failures"):
            take(n, failures)


@pytest.mark.parametrize("run_length", [0, 1, -5, float("nan")])
def test_an_invalid_run_length_is_refused(run_length):
    with pytest.raises(ValueError, match="run_length"):
        ShiryaevRoberts(run_length)


@pytest.mark.parametrize(("events", "lag"), [(200, 50), (450, 1000), (1200, 10**9)])
def test_a_reference_in_doubt_learns_later_the_larger_it_is(events, lag):
    reference = LaggingReference()
    reference.learn(events, events * 0.03)
    for edge in range(4000):
        reference.enqueue(1.0, 0.1, edge, 0, calm=False)
        if reference.n > events:
            break
    learned_after = edge + 1 if reference.n > events else 10**9
    assert lag <= learned_after <= max(2.2 * lag, 300)
