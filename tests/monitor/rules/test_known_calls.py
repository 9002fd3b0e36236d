"""Sampled rates among the calls that meters count: an outage pages at once, a healthy feature never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from monitor.stats.known_calls import Calls, estimate_of_calls
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import Units
from monitor.windows.metered_calls import MeteredCalls
from monitor.windows.producer_counters import ProducerTracker
from tests.monitor.event_values import ANSWER, NINE, meter, response
from tests.monitor.quiet_watch import watch_of
from tests.monitor.rules.metered_fleet import fleet, pages

MINUTE_US = 60_000_000


@pytest.mark.parametrize("how", ["all there", "killed", "without meters", "meters lost", "meters late"])
def test_a_healthy_feature_is_not_paged_whatever_becomes_of_meters(how):
    for seed in range(2):
        assert pages(fleet(seed, 0.001, 150, lambda second: 0.01, 60, how)) == []


@pytest.mark.parametrize("p", [0.01, 0.001, 0.0001])
def test_an_outage_pages_within_six_minutes_although_no_other_call_was_sampled(p):
    begins_min = 100

    def failing(second: float) -> float:
        return 1.0 if second >= begins_min * 60 else 0.01

    first, *_ = pages(fleet(3, p, begins_min + 20, failing, 20, "all there"))
    assert begins_min < first <= begins_min + 6


def test_bounds_miss_a_rate_as_rarely_as_their_standard_errors_say():
    """Failures of weights 1 and 10; exact in the counts of both, by summing over all outcomes."""
    calls, z, side = 60, 1.96, 0.025
    for share in (0.02, 0.2, 0.7, 1.0):
        missed_low = missed_high = 0.0
        kept = binom(calls // 2, share)
        sampled = binom(calls // 2, share / 10)
        for whole in range(calls // 2 + 1):
            for part in range(calls // 2 + 1):
                if (chance := kept.pmf(whole) * sampled.pmf(part)) < 1e-9:
                    continue
                rate = Rate()
                rate.add(1_000_000, whole, whole)
                rate.add(100_000, part, part)
                estimate = estimate_of_calls(rate, z, Calls(calls, calls, calls), Units(100.0, 10.0))
                if estimate is None:  # nothing was sampled
                    continue
                missed_low += chance * (estimate.low > share + 1e-9)
                missed_high += chance * (estimate.high < share - 1e-9)
        assert missed_low <= side
        assert missed_high <= side


@given(st.lists(st.tuples(st.integers(1, 110), st.integers(0, 1000)), max_size=30), st.integers(0, 60))
def test_calls_of_panes_add_up_and_bounds_contain_them(intervals, begins_s):
    calls, second, total, by_second = MeteredCalls(), float(begins_s), 0, []
    for length_s, n in intervals:
        calls.add(round(second * 1e6), round((second + length_s) * 1e6), n, MINUTE_US)
        by_second.append((second, second + length_s, n))
        second += length_s
        total += n
    end_us = -(-round(second * 1e6) // MINUTE_US) * MINUTE_US
    assert calls.within(0, end_us).n == total
    for edge_us in range(0, end_us, MINUTE_US):
        least, n, most = calls.within(edge_us, end_us)
        inside = sum(n for begin, _, n in by_second if begin * 1e6 >= edge_us)
        overlapping = sum(n for _, end, n in by_second if end * 1e6 > edge_us)
        assert least <= inside <= overlapping <= most
        assert least <= n <= most


def test_a_long_interval_and_lost_calls_are_unknown_until_their_end():
    calls = MeteredCalls()
    calls.add(0, 5 * MINUTE_US, 100, MINUTE_US)
    calls.add(5 * MINUTE_US, 6 * MINUTE_US, 7, MINUTE_US)
    assert calls.within(4 * MINUTE_US, 6 * MINUTE_US) is None
    assert calls.within(5 * MINUTE_US, 6 * MINUTE_US) == Calls(7, 7, 7)
    calls.lose(5 * MINUTE_US + 1)
    assert calls.within(5 * MINUTE_US, 6 * MINUTE_US) is None
    assert MeteredCalls.from_state(*calls.state()).state() == calls.state()


def test_calls_of_two_hours_are_kept():
    calls = MeteredCalls()
    for minute in range(1000):
        calls.add(minute * MINUTE_US, (minute + 1) * MINUTE_US, 1, MINUTE_US)
    assert calls.within(880 * MINUTE_US, 1000 * MINUTE_US).n == 120
    assert calls.within(0, 1000 * MINUTE_US) is None
    assert len(calls.state()[0]) <= 131


def test_calls_are_known_only_if_every_active_producer_has_sent_a_meter_since_the_end():
    producers, minute_s = ProducerTracker(), 60

    def send_meter(name: str, second: int, seen: int, *, closing: bool = False) -> None:
        producers.apply_meter(name, second * 1_000_000, 1, (seen, seen, seen, 0), closing=closing)

    def within(first_s: int, last_s: int) -> Calls | None:
        return producers.calls_within(first_s * 1_000_000, last_s * 1_000_000)

    send_meter("a", minute_s, 10)
    assert within(0, minute_s).n == 10
    producers.count_events("b", 30_000_000, 0, 4, 5)  # it has sent events, and no meter
    assert within(0, minute_s) is None
    send_meter("b", minute_s, 20)
    assert within(0, minute_s).n == 30
    assert within(minute_s, 2 * minute_s) is None  # nobody has said what came then
    send_meter("a", 2 * minute_s, 15)
    assert within(minute_s, 2 * minute_s) is None  # `b` was active and may have been killed
    send_meter("b", 2 * minute_s, 27, closing=True)
    assert within(minute_s, 2 * minute_s).n == 12
    send_meter("a", 3 * minute_s, 16)
    assert within(2 * minute_s, 3 * minute_s).n == 1  # `b` has closed


@pytest.mark.parametrize("unnumbered", [{"producer": None}, {"sequence": None}])
def test_an_event_that_no_meter_may_count_makes_the_calls_unknown(unnumbered):
    def calls(*events: bytes) -> Calls | None:
        watch = watch_of([response(5, "p", 0), *events, meter(60, "p", 0, (9, 1, 1, 0))])
        return watch.partition_state.features[ANSWER].producers.calls_within(
            round(NINE.timestamp() * 1e6), round(NINE.timestamp() * 1e6) + MINUTE_US
        )

    assert calls().n == 9
    event = response(7, **{"producer": "p", "sequence": 1, **unnumbered})
    assert calls(event) is None
    alone = watch_of([event, meter(60, "p", 0, (9, 1, 1, 0))]).partition_state.features[ANSWER]
    start_us = round(NINE.timestamp() * 1e6)
    assert alone.producers.calls_within(start_us, start_us + MINUTE_US) is None
