"""Baselines and burn rates among the calls that meters count: sooner, and never by a number that is in doubt."""

from __future__ import annotations

import pytest

from monitor.protocol.messages import FileRecord
from monitor.rules.known_calls_baseline import ALL_CALLS, calls_name, weighs_calls
from monitor.rules.learned_baseline import RUN_LENGTH, Baseline
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import Units
from monitor.watch import Watch
from monitor.windows.pane_calls import rates_of_calls, were_calls_unknown
from schemas.config.monitor_config import Config
from tests.monitor.event_values import ANSWER, NINE, meter, response
from tests.monitor.quiet_watch import watch_of
from tests.monitor.rules.metered_fleet import fleet, pages

MINUTE_US = 60_000_000
START_US = round(NINE.timestamp() * 1e6)
CHANGE_MIN = 150
LEARNT = Config.model_validate(
    {
        "default_rules": False,
        "rules": [{"name": "fell", "on": "pass_rate", "below": "baseline", "severity": "error"}],
    }
)
BUDGET = Config.model_validate(
    {
        "default_rules": False,
        "objectives": [
            {
                "name": "budget",
                "on": "error_rate",
                "target": 0.99,
                "burn": [{"long": "1h", "short": "5m", "factor": 4, "severity": "critical"}],
            }
        ],
    }
)


def arrivals_of_a_rise(how: str = "all there", share: float = 0.1) -> list[tuple[float, bytes]]:
    def failing(second: float) -> float:
        return share if second >= CHANGE_MIN * 60 else 0.01

    return fleet(5, 0.001, CHANGE_MIN + 40, failing, 20, how, begins_s=3.7)


@pytest.mark.parametrize("restart_s", [None, (CHANGE_MIN + 5) * 60.0])
def test_a_baseline_finds_a_rise_among_the_calls_that_meters_count(restart_s):
    first, *_ = pages(arrivals_of_a_rise(), LEARNT, restart_s)
    assert CHANGE_MIN < first <= CHANGE_MIN + 15


def test_without_meters_the_events_decide_as_before():
    assert pages(arrivals_of_a_rise(how="without meters"), LEARNT) == []


@pytest.mark.parametrize("how", ["killed", "meters lost", "meters late"])
def test_a_baseline_of_calls_that_are_sometimes_unknown_does_not_page_without_a_change(how):
    assert pages(fleet(2, 0.001, 300, lambda second: 0.02, 30, how, begins_s=3.7), LEARNT) == []


def test_a_burn_rate_counts_failures_among_the_calls_that_meters_count():
    metered = arrivals_of_a_rise(share=0.3)
    silent = [(second, value) for second, value in metered if b'"meter"' not in value]
    assert pages(silent, BUDGET) == []
    first, *_ = pages(metered, BUDGET)
    assert CHANGE_MIN < first <= CHANGE_MIN + 25


FAILED = {"error_type": "timeout", "output": None, "sample_probability": 1.0}
PASSED = {"sample_probability": 0.01}


def feature_of(*values: bytes):
    return watch_of(list(values)).partition_state.features[ANSWER]


def known(*values: bytes):
    return rates_of_calls(feature_of(*values), ["error_rate", "pass_rate"], START_US + MINUTE_US, MINUTE_US)


def test_a_pane_counts_its_failures_among_all_its_calls():
    rates = known(
        response(5, sequence=0, event_id="a", **FAILED),
        response(9, sequence=1, event_id="b", **PASSED),
        meter(60, counts=(50, 2, 2, 0)),
        response(100, sequence=2, event_id="c", **PASSED),
    )
    assert {name: (rate.events, rate.failures) for name, rate in rates.items()} == {
        "error_rate": (50, 1),
        "pass_rate": (50, 1),
    }


@pytest.mark.parametrize(
    "more",
    [
        [],  # no meter since the end of the pane
        [meter(60, counts=(1, 1, 1, 0))],  # fewer calls than events
        [meter(60, counts=(50, 2, 2, 0)), response(20, producer=None, event_id="c", **PASSED)],
        [meter(60, counts=(50, 2, 2, 0)), response(20, "q", 0, event_id="c", **PASSED)],
    ],
)
def test_calls_in_doubt_are_unknown(more):
    ends = response(100, sequence=2, event_id="d", **PASSED)
    values = [
        response(5, sequence=0, event_id="a", **FAILED),
        response(9, sequence=1, event_id="b", **PASSED),
        *more,
        ends,
    ]
    assert known(*values) == {}


def test_failures_that_are_sampled_are_no_share_of_all_calls():
    assert (
        known(
            response(5, sequence=0, event_id="a", **{**FAILED, "sample_probability": 0.5}),
            response(9, sequence=1, event_id="b", **PASSED),
            meter(60, counts=(50, 2, 2, 0)),
            response(100, sequence=2, event_id="c", **PASSED),
        )
        == {}
    )


def test_calls_are_unknown_lately_only_if_no_pane_of_half_an_hour_had_them():
    values = [
        response(5, sequence=0, event_id="a", **FAILED),
        response(9, sequence=1, event_id="b", **PASSED),
        meter(60, counts=(50, 2, 2, 0)),
    ]
    feature = feature_of(*values, response(100, sequence=2, event_id="c", **PASSED))
    after = [START_US + minutes * MINUTE_US for minutes in (2, 40)]
    assert [were_calls_unknown(feature, "error_rate", edge_us, MINUTE_US) for edge_us in after] == [
        False,
        True,
    ]


def test_a_rise_is_handed_to_the_events_when_the_meters_stop():
    stop_s = (CHANGE_MIN + 20) * 60
    arrivals = [
        (second, value)
        for second, value in arrivals_of_a_rise()
        if second < stop_s or b'"meter"' not in value
    ]
    watch = Watch(LEARNT)
    for offset, (second, value) in enumerate(sorted(arrivals)):
        now_us = START_US + int(second * 1e6)
        watch.apply([FileRecord(value, offset, now_us // 1000)], now_us)
    watch.advance(START_US + (CHANGE_MIN + 60) * MINUTE_US)
    baselines = watch.partition_state.baselines[ANSWER][None]
    # few events come, but the calls are weighed each minute
    assert {baseline.detector.bound for baseline in baselines.values()} == {RUN_LENGTH}
    risen = [name for name in ("pass_rate", calls_name("pass_rate")) if baselines[name].risen is not None]
    assert risen == ["pass_rate"]


def pair_of(per_minute: int, p: float, failing: float = 0.01) -> dict[str, Baseline]:
    """Baselines of a day without a change, by expected counts."""
    events, calls = Baseline(0), Baseline(0)
    for minute in range(1, 1441):
        sampled, whole = Rate(), Rate()
        failures = minute % 2 * round(2 * per_minute * failing)
        sampled.add(1_000_000, failures, failures)
        sampled.add(round(1e6 * p), round(per_minute * p) or (minute % round(1 / per_minute / p) == 0), 0)
        whole.add(1_000_000, per_minute, failures)
        edge_us = minute * MINUTE_US
        calls.feed(whole, edge_us, MINUTE_US, frozen=False, known=ALL_CALLS, is_weighed=False)
        events.feed(sampled, edge_us, MINUTE_US, frozen=False, known=Units(1 / p, 1.0))
    return {"error_rate": events, calls_name("error_rate"): calls}


@pytest.mark.parametrize(
    ("per_minute", "p", "by_calls"), [(50, 0.001, True), (50, 0.1, False), (1000, 0.01, False)]
)
def test_a_pane_is_weighed_by_the_baseline_that_has_more_information(per_minute, p, by_calls):
    baselines, edge_us = pair_of(per_minute, p), 1441 * MINUTE_US
    assert weighs_calls(baselines, "error_rate", per_minute, Units(1 / p, 1.0), edge_us) == by_calls


def test_a_baseline_that_weighs_nothing_learns_and_gathers_no_evidence():
    baselines = pair_of(50, 0.001)
    calls = baselines[calls_name("error_rate")]
    assert calls.usual_rate == pytest.approx(0.01, rel=0.1)
    assert calls.detector.logs == [0.0] * len(calls.detector.logs)
    learned, worse = calls.detector.reference.n, Rate()
    worse.add(1_000_000, 50, 50)
    for minute in range(1441, 1460):
        edge_us = minute * MINUTE_US
        calls.feed(worse, edge_us, MINUTE_US, frozen=True, known=ALL_CALLS, is_weighed=False)
    assert calls.detector.reference.n == learned
    assert calls.detector.reference.recent == (0.0, 0.0)


def test_nothing_is_weighed_among_calls_before_as_much_was_learned_of_them():
    baselines = pair_of(50, 0.001)
    edge_us, units = 1441 * MINUTE_US, Units(1000.0, 1.0)
    assert weighs_calls(baselines, "error_rate", 50, units, edge_us)
    young = Baseline(edge_us - 2 * MINUTE_US, baselines[calls_name("error_rate")].detector)
    assert not weighs_calls({**baselines, calls_name("error_rate"): young}, "error_rate", 50, units, edge_us)
    small = Baseline(0)
    small.detector.learn(150, 1)
    assert not weighs_calls({**baselines, calls_name("error_rate"): small}, "error_rate", 50, units, edge_us)
